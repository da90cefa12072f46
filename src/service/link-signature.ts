import { createHmac, timingSafeEqual } from 'node:crypto';
import { ServiceError } from '../dataset/errors.js';

/** The parts of a link that its signature covers. The method separates the kinds of links of the same key. */
export interface LinkClaims {
  readonly method: 'GET' | 'GET shared' | 'GET tar' | 'PUT';
  readonly fields: readonly string[];
  /** Microseconds since 1970, as written in the URL. */
  readonly expires: string;
}

/** HMAC-SHA-256 in base64url over method, fields and expiry, one per line. */
export function signatureOf({ method, fields, expires }: LinkClaims, key: Buffer): string {
  return createHmac('sha256', key)
    .update([method, ...fields, expires].join('\n'))
    .digest('base64url');
}

/** @throws ServiceError `link_invalid` if the signature does not match the claims, or `link_expired`, with the given message */
export function verifyLink(
  claims: LinkClaims,
  options: { signature: string; key: Buffer; now: number; messages: { invalid: string; expired: string } },
): void {
  const { signature, key, now, messages } = options;
  const expected = Buffer.from(signatureOf(claims, key));
  const given = Buffer.from(signature);
  if (given.length !== expected.length || !timingSafeEqual(given, expected)) {
    throw new ServiceError('link_invalid', messages.invalid);
  }
  if (Number(claims.expires) <= now) throw new ServiceError('link_expired', messages.expired);
}
