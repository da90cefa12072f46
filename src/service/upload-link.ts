import { createHmac, timingSafeEqual } from 'node:crypto';
import type { Micros, PendingFile } from '../dataset/dataset.js';
import { ServiceError } from '../dataset/errors.js';

/** The part of a link after the service's address. */
export type LinkTarget = { readonly path: string; readonly query: Record<string, string> };

/** What a link promises, once its signature has been found right. */
export interface SignedUpload {
  readonly fileId: string;
  readonly sizeBytes: number;
  readonly expiresAt: Micros;
}

/**
 * Signed links to our own PUT route. Whoever has one may send the bytes of one file, of exactly one size, until it
 * expires, without a token: HMAC-SHA-256 over method, file id, size and expiry.
 */
export class UploadLinks {
  readonly #key: Buffer;

  /** @param key at least 32 random bytes, the same for every process of an installation. */
  constructor(key: Buffer) {
    this.#key = key;
  }

  sign({ id, upload }: PendingFile): LinkTarget {
    const expires = String(upload.expiresAt);
    const size = String(upload.promisedBytes);
    return { path: `/uploads/${id}`, query: { size, expires, signature: this.#signatureOf({ id, size, expires }) } };
  }

  /** @throws ServiceError `link_invalid` where anything was changed, `link_expired` */
  verify(link: { id: string; size: string; expires: string; signature: string }, now: Micros): SignedUpload {
    const expected = Buffer.from(this.#signatureOf(link));
    const given = Buffer.from(link.signature);
    if (given.length !== expected.length || !timingSafeEqual(given, expected)) {
      throw new ServiceError(
        'link_invalid',
        'The signature of this upload link is not valid. Use the upload_url exactly as get-upload-endpoint returned it.',
      );
    }
    if (Number(link.expires) <= now) {
      throw new ServiceError(
        'link_expired',
        'This upload link has expired. Call get-upload-endpoint again for a fresh one.',
      );
    }
    return { fileId: link.id, sizeBytes: Number(link.size), expiresAt: Number(link.expires) };
  }

  #signatureOf({ id, size, expires }: { id: string; size: string; expires: string }): string {
    return createHmac('sha256', this.#key).update(`PUT\n${id}\n${size}\n${expires}`).digest('base64url');
  }
}
