import { createHmac, timingSafeEqual } from 'node:crypto';
import { MICROS_PER_SECOND, type Micros, type PendingFile, presignedMarginOf } from '../dataset/dataset.js';
import { ServiceError } from '../dataset/errors.js';
import { blobKeyOf, type Presigning } from '../storage/blobs/blobs.js';
import type { DatasetKey } from './datasets.js';

/** Read links of one period are equal, so that browsers, which cache by URL, find cached files. */
const PERIOD: Micros = 3600 * MICROS_PER_SECOND;

/** What the signature covers. The method separates the kinds of links. */
interface LinkClaims {
  readonly method: 'GET' | 'GET shared' | 'GET tar' | 'PUT';
  readonly fields: readonly string[];
  /** Microseconds since 1970. */
  readonly expires: string;
}

/** HMAC-SHA-256 in base64url over method, fields and expiry, one per line. */
function signatureOf({ method, fields, expires }: LinkClaims, key: Buffer): string {
  return createHmac('sha256', key)
    .update([method, ...fields, expires].join('\n'))
    .digest('base64url');
}

/** @throws ServiceError `link_invalid` if the signature does not match the claims, or `link_expired` */
function verifyLink(
  claims: LinkClaims,
  { signature, key, now }: { signature: string; key: Buffer; now: Micros },
  { invalid, expired }: { invalid: string; expired: string },
): void {
  const expected = Buffer.from(signatureOf(claims, key));
  const given = Buffer.from(signature);
  if (given.length !== expected.length || !timingSafeEqual(given, expected)) {
    throw new ServiceError('link_invalid', invalid);
  }
  if (Number(claims.expires) <= now) throw new ServiceError('link_expired', expired);
}

/** Accepts the bytes of a file with PUT. */
export interface UploadLink {
  /** Absolute, or a path of the service. */
  readonly url: string;
  readonly headers: Record<string, string>;
  readonly expiresAt: Micros;
}

export interface SignedUpload {
  readonly fileId: string;
  readonly sizeBytes: number;
}

/** Makes and verifies upload links, by which a holder without a token can upload one file of an exact size. */
export class UploadLinks {
  readonly #key: Buffer;
  readonly #presigning: Presigning | undefined;

  /** @param key at least 32 random bytes, the same for every process of an installation */
  constructor(key: Buffer, presigning?: Presigning) {
    this.#key = key;
    this.#presigning = presigning;
  }
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
    const sizeBytes = expectedBytes ?? 0;
    const seconds = (expiresAt - presignedMarginOf(sizeBytes) - now) / MICROS_PER_SECOND;
    // The time of the database: this machine's clock may be wrong by more than a link's lifetime.
    const times = { expiresInSeconds: Math.max(1, Math.floor(seconds)), signedAt: new Date(now / 1000) };
    const link = await this.#presigning.presign(blobKeyOf(file), { sizeBytes, ...times });
    return { url: link.url, headers: link.headers, expiresAt: now + link.expiresInSeconds * MICROS_PER_SECOND };
  }

  #sign({ id, upload }: PendingFile): UploadLink {
    const { expiresAt } = upload;
    const [expires, size] = [String(expiresAt), String(upload.expectedBytes)];
    const signature = signatureOf({ method: 'PUT', fields: [id, size], expires }, this.#key);
    const query = new URLSearchParams({ size, expires, signature });
    return { url: `/uploads/${id}?${query}`, headers: {}, expiresAt };
  }

  /** @throws ServiceError `link_invalid`, `link_expired` */
  verify(
    { id, size, expires, signature }: Readonly<Record<'id' | 'size' | 'expires' | 'signature', string>>,
    now: Micros,
  ): SignedUpload {
    verifyLink(
      { method: 'PUT', fields: [id, size], expires },
      { signature, key: this.#key, now },
      {
        invalid:
          'The signature of this upload link is not valid. Use the upload_url exactly as get-upload-endpoint returned it.',
        expired: 'This upload link has expired. Call get-upload-endpoint again for a new one.',
      },
    );
    return { fileId: id, sizeBytes: Number(size) };
  }
}

export interface ReadLinkParts {
  readonly account: string;
  readonly id: string;
  /** Only in a tar link: the digest of the state, and the id of the token that made the link. */
  readonly tar?: { readonly digest: string; readonly token: string } | undefined;
  /** Only in a link of a share, for the current files: its id. */
  readonly share?: string | undefined;
  readonly expires: string;
  readonly signature: string;
}

interface NewReadLink extends Pick<ReadLinkParts, 'tar' | 'share'> {
  readonly now: Micros;
  readonly latest?: Micros;
  readonly until?: Micros | null | undefined;
}

/**
 * Makes and verifies links for reading one dataset, or the archive of one state, without a token. A browser can't send a token
 * for images and downloads, and a token in a URL would end up in logs and history.
 */
export class ReadLinks {
  readonly #key: Buffer;
  constructor(key: Buffer) {
    this.#key = key;
  }

  /**
   * The query for reading a dataset's files for one to two hours, or an archive until `latest`, for the token that asks for it; at
   * most until `until`. A share's link shows current files only.
   */
  linkFor(
    { accountId: account, id }: DatasetKey,
    { now, latest = (Math.floor(now / PERIOD) + 2) * PERIOD, until, tar, share }: NewReadLink,
  ): { query: string; expiresAt: Micros } {
    const expiresAt = Math.min(latest, until ?? Number.POSITIVE_INFINITY);
    const expires = String(expiresAt);
    const signature = signatureOf(claimsOf({ account, id, tar, share, expires }), this.#key);
    const parameters = { account, ...tar, ...(share !== undefined && { share }), expires, signature };
    return { query: new URLSearchParams(parameters).toString(), expiresAt };
  }

  /** @returns the account of the link @throws ServiceError `link_invalid`, `link_expired` */
  verify({ signature, ...link }: ReadLinkParts, now: Micros): string {
    verifyLink(claimsOf(link), { signature, key: this.#key, now }, messagesFor(link));
    return link.account;
  }
}

/** No link passes for one of another kind. */
function claimsOf({ account, id, tar, share, expires }: Omit<ReadLinkParts, 'signature'>): LinkClaims {
  if (tar !== undefined) return { method: 'GET tar', fields: [account, id, tar.digest, tar.token], expires };
  return share === undefined
    ? { method: 'GET', fields: [account, id], expires }
    : { method: 'GET shared', fields: [account, id, share], expires };
}

function messagesFor({ tar }: Pick<ReadLinkParts, 'tar'>) {
  if (tar === undefined) {
    return {
      invalid: 'The signature of this link is not valid for this dataset. Use the query exactly as links returned it.',
      expired: 'This link has expired. Call links again for a new one.',
    };
  }
  return {
    invalid: 'The signature of this link is not valid. Use the whole link, in quotation marks, as it was printed.',
    expired: 'This link has expired. To make a new one, run "trainyard link" or use the page of the dataset.',
  };
}
