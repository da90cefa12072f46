import { MICROS_PER_SECOND, type Micros } from '../../dataset/dataset.js';
import type { DatasetKey } from '../datasets.js';
import { type LinkClaims, signatureOf, verifyLink } from '../link-signature.js';

/** Until its end the same link is given, so that what a browser has kept under a URL is found again. */
const PERIOD: Micros = 3600 * MICROS_PER_SECOND;

/** The parts of a link as a URL has them. */
export interface ReadLinkParts {
  readonly account: string;
  readonly id: string;
  readonly expires: string;
  readonly signature: string;
}

/**
 * Links for reading. Whoever has one may read the files of one dataset until it expires, without a token: browsers can't
 * send one for pictures, clips and downloads, and a token in a URL would end up in logs and histories. Signed with
 * HMAC-SHA-256 over method, account, dataset and expiry; the method keeps it apart from an upload link of the same key.
 */
export class ReadLinks {
  readonly #key: Buffer;

  /** @param key as that of `UploadLinks` */
  constructor(key: Buffer) {
    this.#key = key;
  }

  /** The query that opens a dataset's files for one to two hours. */
  linkFor({ accountId, id }: DatasetKey, now: Micros): { query: string; expiresAt: Micros } {
    const expiresAt = (Math.floor(now / PERIOD) + 2) * PERIOD;
    const [account, expires] = [accountId, String(expiresAt)];
    const signature = signatureOf(claimsOf({ account, id, expires }), this.#key);
    return { query: new URLSearchParams({ account, expires, signature }).toString(), expiresAt };
  }

  /** Returns the account whose dataset the link opens. @throws ServiceError `link_invalid` where any part was changed, `link_expired` */
  verify({ signature, ...link }: ReadLinkParts, now: Micros): string {
    const messages = {
      invalid: 'The signature of this link is not valid for this dataset. Use the query exactly as links returned it.',
      expired: 'This link has expired. Call links again for a new one.',
    };
    verifyLink(claimsOf(link), { signature, key: this.#key, now, messages });
    return link.account;
  }
}

function claimsOf({ account, id, expires }: Omit<ReadLinkParts, 'signature'>): LinkClaims {
  return { method: 'GET', fields: [account, id], expires };
}
