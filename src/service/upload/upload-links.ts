import { setImmediate as turn } from 'node:timers/promises';
import { MICROS_PER_SECOND, type Micros, type PendingFile } from '../../dataset/dataset.js';
import { blobKeyOf, type Presigning } from '../../storage/blobs/blobs.js';
import { type LinkClaims, signatureOf, verifyLink } from '../link-signature.js';

/** Where a client brings the bytes of a file, and how. */
export interface UploadLink {
  /** Absolute, or from the service's address on. */
  readonly url: string;
  /** To be sent with the PUT. */
  readonly headers: Record<string, string>;
  readonly expiresAt: Micros;
}

/**
 * A presigned link runs out so much earlier than its promise: what is brought in the last moment is noticed only some time
 * later, and until then the dataset is not FAILED.
 */
export const DETECTION_MARGIN: Micros = 60 * MICROS_PER_SECOND;

const LINKS_PER_TURN = 100;

/** What a link promises, once its signature has been found right. */
export interface SignedUpload {
  readonly fileId: string;
  readonly sizeBytes: number;
  readonly expiresAt: Micros;
}

/** The signed parts of a link as its URL has them. */
interface SignedLinkParts {
  readonly id: string;
  readonly size: string;
  readonly expires: string;
}

/**
 * Links for uploads. Whoever has one may send the bytes of one file, of exactly one size, until it expires, without a token:
 * to the store itself where it was promised so, else to our own PUT route, signed with HMAC-SHA-256 over method, file id,
 * size and expiry.
 */
export class UploadLinks {
  readonly #key: Buffer;
  readonly #presigning: Presigning | undefined;

  /**
   * @param key at least 32 random bytes, the same for every process of an installation
   * @param presigning of the store, where it has that
   */
  constructor(key: Buffer, presigning?: Presigning) {
    this.#key = key;
    this.#presigning = presigning;
  }

  /** A link for each file, by the same keys. */
  async linksFor<K>(files: ReadonlyMap<K, PendingFile>, now: Micros): Promise<Map<K, UploadLink>> {
    const links = new Map<K, UploadLink>();
    for (const [key, file] of files) {
      links.set(key, file.upload.via === 'presigned' ? await this.#presign(file, now) : this.#sign(file));
      // Thousands of signatures are no reason to keep everybody else waiting.
      if (links.size % LINKS_PER_TURN === 0) await turn();
    }
    return links;
  }

  async #presign(file: PendingFile, now: Micros): Promise<UploadLink> {
    const { expiresAt, expectedBytes } = file.upload;
    if (this.#presigning === undefined) throw new Error(`${file.filename} was promised to a store without links.`);
    const expiresInSeconds = Math.max(1, Math.floor((expiresAt - DETECTION_MARGIN - now) / MICROS_PER_SECOND));
    const sizeBytes = expectedBytes ?? 0;
    // The database's clock is one for all instances, while that of this machine may be off by more than a link holds.
    const signedAt = new Date(now / 1000);
    const link = await this.#presigning.presign(blobKeyOf(file), { sizeBytes, expiresInSeconds, signedAt });
    return { url: link.url, headers: link.headers, expiresAt: now + link.expiresInSeconds * MICROS_PER_SECOND };
  }

  #sign({ id, upload }: PendingFile): UploadLink {
    const { expiresAt } = upload;
    const [expires, size] = [String(expiresAt), String(upload.expectedBytes)];
    const query = new URLSearchParams({
      size,
      expires,
      signature: signatureOf(claimsOf({ id, size, expires }), this.#key),
    });
    return { url: `/uploads/${id}?${query}`, headers: {}, expiresAt };
  }

  /** @throws ServiceError `link_invalid` where any part was changed, `link_expired` */
  verify({ signature, ...link }: SignedLinkParts & { signature: string }, now: Micros): SignedUpload {
    const messages = {
      invalid:
        'The signature of this upload link is not valid. Use the upload_url exactly as get-upload-endpoint returned it.',
      expired: 'This upload link has expired. Call get-upload-endpoint again for a new one.',
    };
    verifyLink(claimsOf(link), { signature, key: this.#key, now, messages });
    return { fileId: link.id, sizeBytes: Number(link.size), expiresAt: Number(link.expires) };
  }
}

function claimsOf({ id, size, expires }: SignedLinkParts): LinkClaims {
  return { method: 'PUT', fields: [id, size], expires };
}
