import { createHash, randomBytes } from 'node:crypto';
import type { Micros } from '../../../dataset/dataset.js';
import type { Schema } from '../../database/schema.js';

/**
 * An access token, a session of the page in a cookie, a link to one dataset, or a one-time code of a sign-in link. The parent
 * of each is the token that made it.
 */
export type TokenKind = 'token' | 'session' | 'share' | 'code';

/** The rights of a request. */
export interface Grant {
  readonly kind: TokenKind;
  /** The token, or the token that started the session; it is the parent of what the request makes. */
  readonly tokenId: string;
  /** `null` without a session. */
  readonly sessionId: string | null;
  /** The name of the token or its first characters. */
  readonly tokenName: string;
  readonly accountId: string;
  readonly accountName: string;
  readonly isReadOnly: boolean;
  /** `null` for all datasets of the account. */
  readonly datasetIds: readonly string[] | null;
  /** `null` if it does not expire. */
  readonly expiresAt: Micros | null;
}

export function isExpired({ expiresAt }: Pick<Grant, 'expiresAt'>, now: Micros): boolean {
  return expiresAt !== null && expiresAt <= now;
}

/** By default a token has all rights and does not expire. */
export interface TokenRights {
  readonly kind?: 'token' | 'share';
  /** The token that makes it. */
  readonly parentId?: string;
  readonly expiresAt?: Micros | null;
  readonly isReadOnly?: boolean;
  /** Names or ids. */
  readonly datasets?: readonly string[] | undefined;
  /** The name in the history; the first characters of the token by default. */
  readonly name?: string | undefined;
}

/** The secret can't be read again. */
export interface NewSession {
  readonly id: string;
  readonly secret: string;
  readonly expiresAt: Micros;
}

export interface TokenSummary {
  readonly id: string;
  readonly kind: TokenKind;
  readonly parentId: string | null;
  readonly account: string;
  /** Its first characters. */
  readonly hint: string;
  readonly name: string | null;
  readonly createdAt: Micros;
  readonly revokedAt: Micros | null;
  readonly expiresAt: Micros | null;
  /** Up to a minute late. */
  readonly lastUsedAt: Micros | null;
  readonly isReadOnly: boolean;
  /** `null` for all datasets; a deleted one has no name. */
  readonly datasets: readonly { readonly id: string; readonly name: string | null }[] | null;
}

/** `withoutTokens` hides secrets with these prefixes in the log and in messages. */
const PREFIXES: Record<TokenKind, string> = { token: 'ty_', share: 'ty_', session: 'tys_', code: 'tyc_' };

const HINT_LENGTH = 7;

export function newToken(
  token: Omit<Schema['token'], 'id' | 'digest' | 'hint' | 'revoked_at' | 'last_used_at' | 'kind'> & { kind: TokenKind },
): { secret: string; row: Schema['token'] } {
  const secret = PREFIXES[token.kind] + randomBytes(32).toString('base64url');
  // A person types the id of a token to revoke it; sessions are many.
  const id = randomBytes(token.kind === 'token' ? 4 : 8).toString('hex');
  const digest = digestOfSecret(secret);
  const hint = secret.slice(0, HINT_LENGTH);
  return { secret, row: { ...token, id, digest, hint, revoked_at: null, last_used_at: null } };
}

export function digestOfSecret(secret: string): string {
  return createHash('sha256').update(secret).digest('hex');
}

export function datasetIdsIn(json: string | null): readonly string[] | null {
  return json === null ? null : JSON.parse(json);
}
