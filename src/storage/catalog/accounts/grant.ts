import { createHash, randomBytes } from 'node:crypto';
import type { Micros } from '../../../dataset/dataset.js';
import type { Schema } from '../../database/schema.js';

/**
 * What a secret is for: an access token; a session of the page, whose secret is in a cookie; a link to one dataset; or the
 * code of a link that signs in once. All are rows of `token`, with the grant that made them as their parent.
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

/** A new session or code. The secret can't be read again. */
export interface NewSession {
  readonly id: string;
  readonly secret: string;
  /** Not after the end of its token. */
  readonly expiresAt: Micros;
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

/** The secrets of all kinds are hidden in the log and in messages: see `withoutTokens`. */
const PREFIXES: Record<TokenKind, string> = { token: 'ty_', share: 'ty_', session: 'tys_', code: 'tyc_' };

const HINT_LENGTH = 7;

/** The row of a new token, and its secret, which the row does not have. */
export function newToken(
  token: Omit<Schema['token'], 'id' | 'digest' | 'hint' | 'revoked_at' | 'last_used_at' | 'kind'> & { kind: TokenKind },
): { secret: string; row: Schema['token'] } {
  const secret = PREFIXES[token.kind] + randomBytes(32).toString('base64url');
  // A person types the id of a token in order to revoke it; sessions are many.
  const id = randomBytes(token.kind === 'token' ? 4 : 8).toString('hex');
  const digest = digestOfSecret(secret);
  const hint = secret.slice(0, HINT_LENGTH);
  return { secret, row: { ...token, id, digest, hint, revoked_at: null, last_used_at: null } };
}

export function digestOfSecret(secret: string): string {
  return createHash('sha256').update(secret).digest('hex');
}

/** @param json the column of a row */
export function datasetIdsIn(json: string | null): readonly string[] | null {
  return json === null ? null : JSON.parse(json);
}
