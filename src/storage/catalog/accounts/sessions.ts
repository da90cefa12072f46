import { MICROS_PER_SECOND, type Micros } from '../../../dataset/dataset.js';
import type { Database, Query } from '../../database/database.js';
import { newToken, digestOfSecret } from './token-statements.js';

/** A page that stays open for longer than this asks to sign in again. */
const SESSION_TIME: Micros = 30 * 86_400 * MICROS_PER_SECOND;

/** For opening a link at once, in the browser on the same machine. */
const CODE_TIME: Micros = 60 * MICROS_PER_SECOND;

/** Sessions and codes of one token; a further one ends the oldest. Otherwise they could fill the catalog. */
const MAX_OF_TOKEN = 50;

/**
 * Sessions and codes of all tokens of an account. A further one ends the oldest of the token that has the most, so that a token
 * with few rights can't end those of others.
 */
const MAX_OF_ACCOUNT = 1000;

/** Beyond that limit, which an earlier version did not have, so many are ended at a time. */
const MAX_ENDED_AT_ONCE = 100;

/** A new session or code. The secret can't be read again. */
export interface NewSession {
  readonly id: string;
  readonly secret: string;
  /** Not after the end of its token. */
  readonly expiresAt: Micros;
}

/**
 * The sessions of pages, and the codes of links that start one once. Both are rows of `token`, with the rights of the token
 * that they were made with; `Accounts` finds and revokes them.
 */
export class Sessions {
  readonly #db: Database;

  constructor(db: Database) {
    this.#db = db;
  }

  /**
   * Starts a session with the rights of a token. `undefined` if the token has ended.
   *
   * @param options.name says in lists which browser it is
   */
  start(tokenId: string, options: { now: Micros; name: string | null }): Promise<NewSession | undefined> {
    return this.#make('session', tokenId, options);
  }

  /** Makes a code for one session with the rights of a token. `undefined` if the token has ended. */
  makeCode(tokenId: string, now: Micros): Promise<NewSession | undefined> {
    return this.#make('code', tokenId, { now, name: null });
  }

  /**
   * Starts the session of a code. `undefined` if the code is unknown, was used or has expired, or its token has ended. An unknown
   * code costs one read, as an unknown token does. For the time that it takes, see `Accounts`: codes are as random as tokens.
   */
  async startWithCode(code: string, options: { now: Micros; name: string | null }): Promise<NewSession | undefined> {
    const { query } = this.#db;
    const valid = query
      .selectFrom('token')
      .select('id')
      .where('digest', '=', digestOfSecret(code))
      .where('kind', '=', 'code')
      .where('revoked_at', 'is', null)
      .where('expires_at', '>', options.now);
    if ((await valid.executeTakeFirst()) === undefined) return undefined;
    // Of several requests with one code, the first deletes the row.
    const used = await query.deleteFrom('token').where('id', 'in', valid).returning('parent_id').executeTakeFirst();
    return used?.parent_id == null ? undefined : this.start(used.parent_id, options);
  }

  async #make(
    kind: 'session' | 'code',
    tokenId: string,
    { now, name }: { now: Micros; name: string | null },
  ): Promise<NewSession | undefined> {
    const { query, transact } = this.#db;
    const token = await query
      .selectFrom('token')
      .select(['account_id', 'expires_at', 'is_read_only', 'dataset_ids'])
      .where('id', '=', tokenId)
      .where('revoked_at', 'is', null)
      .executeTakeFirst();
    if (token === undefined || (token.expires_at !== null && token.expires_at <= now)) return undefined;
    const expiresAt = Math.min(now + (kind === 'session' ? SESSION_TIME : CODE_TIME), token.expires_at ?? Infinity);
    const { secret, row } = newToken({
      ...token,
      kind,
      name,
      created_at: now,
      expires_at: expiresAt,
      parent_id: tokenId,
    });
    const ofToken = query.selectFrom('token').where('parent_id', '=', tokenId).where('kind', '=', kind);
    const newest = ofToken.select('id').orderBy('created_at', 'desc').orderBy('id').limit(MAX_OF_TOKEN);
    const others = query
      .deleteFrom('token')
      .where('parent_id', '=', tokenId)
      .where('kind', '=', kind)
      .where(({ eb, or }) =>
        or([eb('revoked_at', 'is not', null), eb('expires_at', '<=', now), eb('id', 'not in', newest)]),
      );
    const excess = query
      .deleteFrom('token')
      .where('id', 'in', beyondLimit(query, { kind, accountId: token.account_id, now }));
    await transact({ isDurable: true }, ({ commit }) =>
      commit([query.insertInto('token').values(row), others, excess]),
    );
    return { id: row.id, secret, expiresAt };
  }
}

/** Selects some of those beyond the limit. Kept are first the newest of each token, then the second newest of each, and so on. */
function beyondLimit(
  query: Query,
  { kind, accountId, now }: { kind: 'session' | 'code'; accountId: string; now: Micros },
) {
  return query
    .selectFrom((from) =>
      from
        .selectFrom('token')
        .select(['id', 'created_at'])
        .select(({ fn }) =>
          fn
            .agg<number>('row_number')
            .over((over) => over.partitionBy('parent_id').orderBy('created_at', 'desc').orderBy('id'))
            .as('position'),
        )
        .where('account_id', '=', accountId)
        .where('kind', '=', kind)
        .where('revoked_at', 'is', null)
        .where('expires_at', '>', now)
        .as('valid'),
    )
    .select('id')
    .orderBy('position')
    .orderBy('created_at', 'desc')
    .orderBy('id')
    .limit(MAX_ENDED_AT_ONCE)
    .offset(MAX_OF_ACCOUNT);
}
