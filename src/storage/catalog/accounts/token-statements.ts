import { createHash, randomBytes } from 'node:crypto';
import { sql } from 'kysely';
import type { Micros } from '../../../dataset/dataset.js';
import type { Query } from '../../database/database.js';
import { type ParameterOf, preparedStatement } from '../../database/prepared-statement.js';
import type { Schema } from '../../database/schema.js';
import type { Grant, TokenKind } from './grant.js';

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

/** A session or share is valid only with the token that made it. If that was deleted after its end, it is no longer there. */
const hasValidParent = sql<boolean>`
  (token.kind = 'token' or (parent.id is not null and parent.revoked_at is null))
`;

export function digestOfSecret(token: string): string {
  return createHash('sha256').update(token).digest('hex');
}

/**
 * What the token with this digest allows; `undefined` for an unknown or revoked one, and for a code, which only signs in. A
 * session or share is valid only with its parent, which may have been revoked at the moment when it made this one.
 */
export async function grantByDigest(query: Query, digest: string): Promise<Grant | undefined> {
  const { rows } = await query.executeQuery(tokenByDigest(query, { digest }));
  const [row] = rows;
  if (row === undefined) return undefined;
  const { id, name, hint, parent_id, parent_name, parent_hint } = row;
  const isSession = row.kind === 'session' && parent_id !== null;
  const token = isSession ? { id: parent_id, name: parent_name, hint: parent_hint } : { id, name, hint };
  return {
    kind: row.kind as TokenKind,
    tokenId: token.id,
    sessionId: isSession ? id : null,
    tokenName: token.name ?? `${token.hint}…`,
    accountId: row.account_id,
    accountName: row.account_name,
    isReadOnly: row.is_read_only === 1,
    datasetIds: datasetIdsIn(row.dataset_ids),
    expiresAt: row.expires_at,
  };
}

/** Each request selects it. */
const tokenByDigest = preparedStatement((query, parameter: ParameterOf<{ digest: string }>) =>
  query
    .selectFrom('token')
    .innerJoin('account', 'account.id', 'token.account_id')
    .leftJoin('token as parent', 'parent.id', 'token.parent_id')
    .select(['token.id', 'token.kind', 'token.name', 'token.hint'])
    .select(['token.is_read_only', 'token.dataset_ids', 'token.expires_at'])
    .select(['token.account_id', 'account.name as account_name'])
    .select(['parent.id as parent_id', 'parent.name as parent_name', 'parent.hint as parent_hint'])
    .where('token.digest', '=', parameter('digest'))
    .where('token.kind', '<>', 'code')
    .where('token.revoked_at', 'is', null)
    .where(hasValidParent),
);

/** Whether the token with this id, or the one that made it, was revoked. An unknown one counts as revoked. */
export async function isTokenRevoked(query: Query, id: string): Promise<boolean> {
  const valid = query
    .selectFrom('token')
    .leftJoin('token as parent', 'parent.id', 'token.parent_id')
    .select('token.id')
    .where('token.id', '=', id)
    .where('token.revoked_at', 'is', null)
    .where(hasValidParent);
  return (await valid.executeTakeFirst()) === undefined;
}

/** Counts the tokens and shares of an account that have not ended. */
export function validTokens(query: Query, { accountId, now }: { accountId: string; now: Micros }) {
  return query
    .selectFrom('token')
    .select(({ fn }) => fn.countAll<number>().as('count'))
    .where('account_id', '=', accountId)
    .where('kind', 'in', ['token', 'share'])
    .where('revoked_at', 'is', null)
    .where(({ eb, or }) => or([eb('expires_at', 'is', null), eb('expires_at', '>', now)]));
}

/** Which tokens `Accounts.revokeToken` revokes. */
export interface RevocationOptions {
  /** Only a token of this account. */
  readonly accountId?: string;
  /** Only a share of this dataset. */
  readonly sharedDatasetId?: string;
  /** Whether the tokens that it made end too. Its sessions and shares always do. */
  readonly withMade?: boolean;
}

/** Revokes a token and what it made, directly or through others. Returns the ids. */
export function revocation(
  query: Query,
  { id, now, accountId, sharedDatasetId, withMade = false }: RevocationOptions & { id: string; now: Micros },
) {
  return query
    .withRecursive('made(id)', (cte) => {
      let first = cte.selectFrom('token').select('id').where('id', '=', id).where('kind', '<>', 'code');
      if (accountId !== undefined) first = first.where('account_id', '=', accountId);
      if (sharedDatasetId !== undefined) {
        first = first.where('kind', '=', 'share').where('dataset_ids', '=', JSON.stringify([sharedDatasetId]));
      }
      return first.union((eb) => {
        const made = eb.selectFrom('token').innerJoin('made', 'made.id', 'token.parent_id').select('token.id');
        return withMade ? made : made.where('token.kind', '<>', 'token');
      });
    })
    .updateTable('token')
    .set((eb) => ({ revoked_at: eb.fn.coalesce('revoked_at', eb.val(now)) }))
    .where('id', 'in', (eb) => eb.selectFrom('made').select('made.id'))
    .returning('id');
}

export function datasetIdsIn(json: string | null): readonly string[] | null {
  return json === null ? null : JSON.parse(json);
}

/** The earlier of two ends, either of which may be missing. */
export function earlier(one: Micros | null, other: Micros | null): Micros | null {
  return one === null || other === null ? (one ?? other) : Math.min(one, other);
}
