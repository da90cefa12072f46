import { createHmac, timingSafeEqual } from 'node:crypto';
import { DETECTION_MARGIN, MICROS_PER_SECOND, type Micros, type PendingFile } from '../dataset/dataset.js';
import { ServiceError } from '../dataset/errors.js';
import { blobKeyOf, type Presigning } from '../storage/blobs/blobs.js';
import type { DatasetKey } from './datasets.js';

/** All read links to a dataset within one period are the same, so that browsers, which cache by URL, find cached files. */
const PERIOD: Micros = 3600 * MICROS_PER_SECOND;

/** The parts of a link that its signature covers. The method separates the kinds of links of the same key. */
interface LinkClaims {
  readonly method: 'GET' | 'GET shared' | 'GET tar' | 'PUT';
  readonly fields: readonly string[];
  /** Microseconds since 1970, as written in the URL. */
  readonly expires: string;
}

/** HMAC-SHA-256 in base64url over method, fields and expiry, one per line. */
function signatureOf({ method, fields, expires }: LinkClaims, key: Buffer): string {
  return createHmac('sha256', key)
    .update([method, ...fields, expires].join('\n'))
    .digest('base64url');
}

interface GivenLink {
  readonly signature: string;
  readonly key: Buffer;
  readonly now: Micros;
  /** Messages of the errors. */
  readonly invalid: string;
  readonly expired: string;
}

/** @throws ServiceError `link_invalid` if the signature does not match the claims, or `link_expired` */
function verifyLink(claims: LinkClaims, { signature, key, now, invalid, expired }: GivenLink): void {
  const expected = Buffer.from(signatureOf(claims, key));
  const given = Buffer.from(signature);
  if (given.length !== expected.length || !timingSafeEqual(given, expected)) {
    throw new ServiceError('link_invalid', invalid);
  }
  if (Number(claims.expires) <= now) throw new ServiceError('link_expired', expired);
}

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

/**
 * Makes and verifies upload links. A link allows its holder to upload one file of an exact size until the link expires,
 * without a token. A presigned link leads to the store; any other leads to this service's PUT route.
 */
export class UploadLinks {
  readonly #key: Buffer;
  readonly #presigning: Presigning | undefined;

  /** @param key at least 32 random bytes, the same for every process of an installation */
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
    const signature = signatureOf({ method: 'PUT', fields: [id, size], expires }, this.#key);
    const query = new URLSearchParams({ size, expires, signature });
    return { url: `/uploads/${id}?${query}`, headers: {}, expiresAt };
  }

  /** @throws ServiceError `link_invalid` if any part was changed, `link_expired` */
  verify(
    { id, size, expires, signature }: Readonly<Record<'id' | 'size' | 'expires' | 'signature', string>>,
    now: Micros,
  ): SignedUpload {
    verifyLink(
      { method: 'PUT', fields: [id, size], expires },
      {
        ...{ signature, key: this.#key, now },
        invalid:
          'The signature of this upload link is not valid. Use the upload_url exactly as get-upload-endpoint returned it.',
        expired: 'This upload link has expired. Call get-upload-endpoint again for a new one.',
      },
    );
    return { fileId: id, sizeBytes: Number(size), expiresAt: Number(expires) };
  }
}

/** The parts of a read link as its URL has them. */
export interface ReadLinkParts {
  readonly account: string;
  readonly id: string;
  /** Only in a link to the tar archive of one state: the digest, and the id of the token that made the link. */
  readonly tar?: { readonly digest: string; readonly token: string } | undefined;
  /** Only in a read link of a share, which is for the current files: the id of the share. */
  readonly share?: string | undefined;
  readonly expires: string;
  readonly signature: string;
}

/**
 * Makes and verifies links for reading without a token until they expire. A read link is for all files of one dataset, and a
 * tar link for the archive of one state of it. A browser can't send a token for images, clips and downloads, and one in a
 * URL would end up in logs and history; the same holds for a line that is typed on a training machine.
 */
export class ReadLinks {
  readonly #key: Buffer;

  /** @param key the key of `UploadLinks` */
  constructor(key: Buffer) {
    this.#key = key;
  }

  /**
   * Makes the query for reading a dataset's files, valid for one to two hours, and at most until `until`.
   *
   * @param options.share the share that the link is for, and ends with; the link shows current files only
   */
  linkFor(
    { accountId, id }: DatasetKey,
    { now, until, share }: { now: Micros; until?: Micros | null | undefined; share?: string | undefined },
  ): { query: string; expiresAt: Micros } {
    return this.#signed({ account: accountId, id, share }, (Math.floor(now / PERIOD) + 2) * PERIOD, until);
  }

  /** Makes the query for reading the archive of a state, for the token that asks for it, at most until `until`. */
  tarLinkFor(
    { accountId, id }: DatasetKey,
    tar: { digest: string; token: string },
    { expiresAt, until }: { expiresAt: Micros; until?: Micros | null | undefined },
  ): { query: string; expiresAt: Micros } {
    return this.#signed({ account: accountId, id, tar }, expiresAt, until);
  }

  #signed(
    { account, id, tar, share }: Omit<ReadLinkParts, 'expires' | 'signature'>,
    latest: Micros,
    until: Micros | null | undefined,
  ): { query: string; expiresAt: Micros } {
    const expiresAt = Math.min(latest, until ?? Number.POSITIVE_INFINITY);
    const expires = String(expiresAt);
    const signature = signatureOf(claimsOf({ account, id, tar, share, expires }), this.#key);
    const parameters = { account, ...tar, ...(share !== undefined && { share }), expires, signature };
    return { query: new URLSearchParams(parameters).toString(), expiresAt };
  }

  /** Returns the account of the link. @throws ServiceError `link_invalid` if any part was changed, `link_expired` */
  verify({ signature, ...link }: ReadLinkParts, now: Micros): string {
    verifyLink(claimsOf(link), { signature, key: this.#key, now, ...messagesFor(link) });
    return link.account;
  }
}

/** A different first line for each kind, so that no link passes for one of another kind. */
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
