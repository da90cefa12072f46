import { MICROS_PER_SECOND, type Micros } from '../../dataset/dataset.js';
import type { DatasetKey } from '../datasets.js';
import { type LinkClaims, signatureOf, verifyLink } from '../link-signature.js';

/** All links to a dataset within one period are the same, so that browsers, which cache by URL, find cached files. */
const PERIOD: Micros = 3600 * MICROS_PER_SECOND;

/** The parts of a link as its URL has them. */
export interface ReadLinkParts {
  readonly account: string;
  readonly id: string;
  readonly expires: string;
  readonly signature: string;
}

/**
 * Makes and verifies read links. A link allows its holder to read the files of one dataset until the link expires, without
 * a token. A browser can't send a token for images, clips and downloads, and one in a URL would end up in logs and history.
 */
export class ReadLinks {
  readonly #key: Buffer;

  /** @param key the key of `UploadLinks` */
  constructor(key: Buffer) {
    this.#key = key;
  }

  /** Makes the query for reading a dataset's files, valid for one to two hours. */
  linkFor({ accountId, id }: DatasetKey, now: Micros): { query: string; expiresAt: Micros } {
    const expiresAt = (Math.floor(now / PERIOD) + 2) * PERIOD;
    const [account, expires] = [accountId, String(expiresAt)];
    const signature = signatureOf(claimsOf({ account, id, expires }), this.#key);
    return { query: new URLSearchParams({ account, expires, signature }).toString(), expiresAt };
  }

  /** Returns the account of the link. @throws ServiceError `link_invalid` if any part was changed, `link_expired` */
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
