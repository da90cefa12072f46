import type { Micros } from '../../../dataset/dataset.js';

/**
 * What a secret is for: an access token; a session of the page, whose secret is in a cookie; a link to one dataset; or the
 * code of a link that signs in once.
 */
export type TokenKind = 'token' | 'session' | 'share' | 'code';

/** What a token, or a session of it, allows. */
export interface Grant {
  readonly kind: TokenKind;
  /** The token; of a session, the token that it was started with. What a request makes has this one as its parent. */
  readonly tokenId: string;
  /** The session, if the request belongs to one. */
  readonly sessionId: string | null;
  /** The name of the token or, without one, its first characters. */
  readonly tokenName: string;
  readonly accountId: string;
  readonly accountName: string;
  readonly isReadOnly: boolean;
  /** The datasets that the token is bound to; `null` for all of its account. */
  readonly datasetIds: readonly string[] | null;
  /** The end of the token, or of the session; `null` if it does not expire. */
  readonly expiresAt: Micros | null;
}

export function isExpired({ expiresAt }: Pick<Grant, 'expiresAt'>, now: Micros): boolean {
  return expiresAt !== null && expiresAt <= now;
}

/** The rights of a new token; by default it has all rights and does not expire. */
export interface TokenRights {
  readonly kind?: 'token' | 'share';
  /** The token that makes it. A share ends with it. */
  readonly parentId?: string;
  readonly expiresAt?: Micros | null;
  readonly isReadOnly?: boolean;
  /** Names or ids of datasets of the account. */
  readonly datasets?: readonly string[] | undefined;
  /** Says in the history of datasets who changed them; the first characters of the token by default. */
  readonly name?: string | undefined;
}

/** A token without its secret. */
export interface TokenSummary {
  readonly id: string;
  readonly kind: TokenKind;
  /** The token that made this one. */
  readonly parentId: string | null;
  readonly account: string;
  /** The first characters of the token. */
  readonly hint: string;
  readonly name: string | null;
  readonly createdAt: Micros;
  readonly revokedAt: Micros | null;
  readonly expiresAt: Micros | null;
  /** Behind by up to a minute. */
  readonly lastUsedAt: Micros | null;
  readonly isReadOnly: boolean;
  /** The datasets that the token is bound to; the name of one that was deleted is `null`. */
  readonly datasets: readonly { readonly id: string; readonly name: string | null }[] | null;
}
