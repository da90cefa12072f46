import { sql } from 'kysely';
import { MICROS_PER_SECOND, type Micros } from '../../../dataset/dataset.js';
import type { Database } from '../../database/database.js';

/** How long `token list` shows a token after its end; longer than any link of a token is valid. */
export const ENDED_TOKEN_LIFETIME: Micros = 30 * 86_400 * MICROS_PER_SECOND;

/** Of one account. Those that ended first are deleted earlier: a client that makes and revokes tokens can't fill the catalog. */
export const MAX_ENDED_TOKENS = 1000;

/** Tokens that are read at a time. */
const PAGE_TOKENS = 500;

/** Tokens that one transaction deletes. */
const TOKENS_PER_DELETION = 100;

export interface PruneOptions {
  readonly now: Micros;
  /** Ends the work early. */
  readonly signal?: AbortSignal | undefined;
}

/**
 * Deletes tokens, sessions, shares and codes that were revoked or have expired long ago. It reads and deletes a bounded number
 * of rows at a time, so that any number of processes may do so at once. What a deleted token signed stays rejected, because an
 * unknown token counts as revoked.
 */
export async function pruneTokens(db: Database, { now, signal }: PruneOptions): Promise<void> {
  const endedOf = new Map<string, number>();
  for (let after = ''; !signal?.aborted; ) {
    const page = await db.query
      .selectFrom('token')
      .select(['id', 'account_id', 'revoked_at', 'expires_at'])
      .where('id', '>', after)
      .orderBy('id')
      .limit(PAGE_TOKENS)
      .execute();
    const due: string[] = [];
    for (const { id, account_id, revoked_at, expires_at } of page) {
      const endedAt = Math.min(revoked_at ?? Number.POSITIVE_INFINITY, expires_at ?? Number.POSITIVE_INFINITY);
      if (endedAt <= now - ENDED_TOKEN_LIFETIME) due.push(id);
      else if (endedAt <= now) endedOf.set(account_id, (endedOf.get(account_id) ?? 0) + 1);
    }
    await deleteTokens(db, due, signal);
    after = page.at(-1)?.id ?? after;
    if (page.length < PAGE_TOKENS) break;
  }
  for (const [accountId, ended] of endedOf) {
    for (let excess = ended - MAX_ENDED_TOKENS; excess > 0 && !signal?.aborted; excess -= PAGE_TOKENS) {
      const oldest = await oldestEnded(db, { accountId, now, limit: Math.min(excess, PAGE_TOKENS) });
      await deleteTokens(db, oldest, signal);
    }
  }
}

async function oldestEnded(db: Database, { accountId, now, limit }: { accountId: string; now: Micros; limit: number }) {
  // Null for a token that has not ended, and does not end by itself.
  const endedAt = sql<number>`case when revoked_at is null or expires_at < revoked_at then expires_at else revoked_at end`;
  const rows = await db.query
    .selectFrom('token')
    .select('id')
    .where('account_id', '=', accountId)
    .where(endedAt, '<=', now)
    .orderBy(endedAt)
    .orderBy('id')
    .limit(limit)
    .execute();
  return rows.map(({ id }) => id);
}

/**
 * Deletes tokens with their sessions, shares and codes. The tokens that one of them made then count as made by its own maker,
 * so that a revocation of that one with all that it made still reaches them.
 */
async function deleteTokens(
  { query, transact }: Database,
  ids: readonly string[],
  signal?: AbortSignal,
): Promise<void> {
  for (let i = 0; i < ids.length && !signal?.aborted; i += TOKENS_PER_DELETION) {
    const some = ids.slice(i, i + TOKENS_PER_DELETION);
    // If a power cut undoes it, a later pass does it again.
    await transact({ isDurable: false }, ({ commit }) =>
      commit([
        query.deleteFrom('token').where('parent_id', 'in', some).where('kind', '<>', 'token'),
        // One at a time, since the maker of one may be another of these.
        ...some.map((id) =>
          query
            .updateTable('token')
            .set((eb) => ({
              parent_id: eb.selectFrom('token as ended').select('ended.parent_id').where('ended.id', '=', id),
            }))
            .where('parent_id', '=', id),
        ),
        query.deleteFrom('token').where('id', 'in', some),
      ]),
    );
  }
}
