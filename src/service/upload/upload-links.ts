import { DETECTION_MARGIN, MICROS_PER_SECOND, type Micros, type PendingFile } from '../../dataset/dataset.js';
import { blobKeyOf, type Presigning } from '../../storage/blobs/blobs.js';
import { type LinkClaims, signatureOf, verifyLink } from '../link-signature.js';

/** A URL to which a client sends the bytes of a file with PUT. */
export interface UploadLink {
  /** Absolute, or a path on the service's own host. */
  readonly url: string;
  /** Headers to send with the PUT. */
  readonly headers: Record<string, string>;
  readonly expiresAt: Micros;
}

/** The upload that a verified link allows. */
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
 * Makes and verifies upload links. A link allows its holder to upload one file of an exact size until the link expires,
 * without a token. A presigned link leads to the store; any other leads to this service's PUT route.
 */
export class UploadLinks {
  readonly #key: Buffer;
  readonly #presigning: Presigning | undefined;

  /**
   * @param key at least 32 random bytes, the same for every process of an installation
   * @param presigning `undefined` if the store can't presign
   */
  constructor(key: Buffer, presigning?: Presigning) {
    this.#key = key;
    this.#presigning = presigning;
  }

  /** Makes a link for each file, under the same map keys. */
  async linksFor<K>(files: ReadonlyMap<K, PendingFile>, now: Micros): Promise<Map<K, UploadLink>> {
    const links = new Map<K, UploadLink>();
    for (const [key, file] of files) {
      links.set(key, file.upload.via === 'presigned' ? await this.#presign(file, now) : this.#sign(file));
    }
    return links;
  }

  async #presign(file: PendingFile, now: Micros): Promise<UploadLink> {
    const { expiresAt, expectedBytes } = file.upload;
    if (this.#presigning === undefined) throw new Error(`${file.filename} needs a link that the store can't presign.`);
    const expiresInSeconds = Math.max(1, Math.floor((expiresAt - DETECTION_MARGIN - now) / MICROS_PER_SECOND));
    const sizeBytes = expectedBytes ?? 0;
    // The time of the database, which all instances share. This machine's clock may be wrong by more than a link's lifetime.
    const signedAt = new Date(now / 1000);
    const link = await this.#presigning.presign(blobKeyOf(file), { sizeBytes, expiresInSeconds, signedAt });
    return { url: link.url, headers: link.headers, expiresAt: now + link.expiresInSeconds * MICROS_PER_SECOND };
  }

  #sign({ id, upload }: PendingFile): UploadLink {
    const { expiresAt } = upload;
    const [expires, size] = [String(expiresAt), String(upload.expectedBytes)];
    const signature = signatureOf(claimsOf({ id, size, expires }), this.#key);
    const query = new URLSearchParams({ size, expires, signature });
    return { url: `/uploads/${id}?${query}`, headers: {}, expiresAt };
  }

  /** @throws ServiceError `link_invalid` if any part was changed, `link_expired` */
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
