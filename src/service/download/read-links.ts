import { MICROS_PER_SECOND, type Micros } from '../../dataset/dataset.js';
import type { DatasetKey } from '../datasets.js';
import { type LinkClaims, signatureOf, verifyLink } from '../link-signature.js';

/** All links to a dataset within one period are the same, so that browsers, which cache by URL, find cached files. */
const PERIOD: Micros = 3600 * MICROS_PER_SECOND;

/** The parts of a link as its URL has them. */
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
   * Makes the query for reading a dataset's files, valid for one to two hours.
   *
   * @param options.until the end of the link, if it is earlier
   * @param options.share the share that the link is for, and ends with; the link shows current files only
   */
  linkFor(
    { accountId, id }: DatasetKey,
    { now, until, share }: { now: Micros; until?: Micros | null | undefined; share?: string | undefined },
  ): { query: string; expiresAt: Micros } {
    return this.#signed({ account: accountId, id, share }, (Math.floor(now / PERIOD) + 2) * PERIOD, until);
  }

  /**
   * Makes the query for reading the archive of the state with this digest.
   *
   * @param tar.token the id of the token that asks for it
   * @param options.until the end of the link, if it is before `expiresAt`
   */
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
    verifyLink(claimsOf(link), { signature, key: this.#key, now, messages: messagesFor(link) });
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
