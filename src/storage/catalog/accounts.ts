import { createHash, randomBytes, randomUUID } from 'node:crypto';
import type { Micros } from '../../dataset/dataset.js';
import { ServiceError } from '../../dataset/errors.js';
import type { NotifyInstances } from '../database/change-feed.js';
import { type Database, isUniqueViolation } from '../database/database.js';
import type { TokenCache } from './token-cache.js';

/** A token without its secret. */
export interface TokenSummary {
  readonly id: string;
  readonly account: string;
  /** The first characters of the token. */
  readonly hint: string;
  readonly createdAt: Micros;
  readonly revokedAt: Micros | null;
}

const HINT_LENGTH = 7;
const ACCOUNT_NAME = /^[\p{L}\p{Nd}][\p{L}\p{M}\p{Nd} ._@-]{0,127}$/u;

/**
 * Accounts, which own datasets, and the tokens that authenticate them. The database stores only the SHA-256 of each token.
 * A token has 256 random bits, so its hash needs no salt and does not reveal it.
 */
export class Accounts {
  readonly #db: Database;
  readonly #tokens: TokenCache | undefined;
  readonly #notifyInstances: NotifyInstances;

  /** @param options.tokens a cache for a remote database; notifications clear it when a token is revoked */
  constructor(db: Database, options: { tokens?: TokenCache; notifyInstances?: NotifyInstances } = {}) {
    this.#db = db;
    this.#tokens = options.tokens;
    this.#notifyInstances = options.notifyInstances ?? (() => []);
  }

  /** The id of the account that a token authenticates; `undefined` for an unknown or revoked token. */
  async accountOf(token: string): Promise<string | undefined> {
    const digest = digestOf(token);
    return this.#tokens === undefined ? this.#lookUp(digest) : this.#tokens.get(digest, () => this.#lookUp(digest));
  }

  async #lookUp(digest: string): Promise<string | undefined> {
    const row = await this.#db.query
      .selectFrom('token')
      .select('account_id')
      .where('digest', '=', digest)
      .where('revoked_at', 'is', null)
      .executeTakeFirst();
    return row?.account_id;
  }

  async hasTokens(): Promise<boolean> {
    return (await this.#db.query.selectFrom('token').select('id').limit(1).executeTakeFirst()) !== undefined;
  }

  /**
   * Creates a token, and its account if there is none of that name.
   *
   * @returns the token in clear text, which can't be read again
   * @throws ServiceError `invalid_name`
   */
  async createToken(accountName: string, now: Micros): Promise<{ token: string; id: string }> {
    const name = accountName.trim().normalize('NFC');
    if (!ACCOUNT_NAME.test(name)) {
      const advice =
        'Begin with a letter or a digit, then use letters, digits, spaces and . _ - @, at most 128 characters.';
      throw new ServiceError('invalid_name', `The account name ${JSON.stringify(accountName)} is not valid. ${advice}`);
    }
    const accountId = await this.#ensureAccount(name, now);
    const token = `ty_${randomBytes(32).toString('base64url')}`;
    const id = randomBytes(4).toString('hex');
    await this.#db.query
      .insertInto('token')
      .values({
        id,
        account_id: accountId,
        digest: digestOf(token),
        hint: token.slice(0, HINT_LENGTH),
        created_at: now,
        revoked_at: null,
      })
      .execute();
    return { token, id };
  }

  async #ensureAccount(name: string, now: Micros): Promise<string> {
    try {
      const id = randomUUID();
      await this.#db.query.insertInto('account').values({ id, name, created_at: now }).execute();
      return id;
    } catch (error) {
      if (!isUniqueViolation(error)) throw error;
      const existing = await this.#accountIdOf(name);
      if (existing === undefined) throw error;
      return existing;
    }
  }

  async #accountIdOf(name: string): Promise<string | undefined> {
    const select = this.#db.query.selectFrom('account').select('id').where('name', '=', name);
    return (await select.executeTakeFirst())?.id;
  }

  /** Lists all tokens, or those of one account, oldest first. @throws ServiceError `account_not_found` */
  async tokens(accountName?: string): Promise<TokenSummary[]> {
    let select = this.#db.query
      .selectFrom('token')
      .innerJoin('account', 'account.id', 'token.account_id')
      .select(['token.id', 'account.name', 'token.hint', 'token.created_at', 'token.revoked_at'])
      .orderBy('token.created_at')
      .orderBy('token.id');
    if (accountName !== undefined) {
      const accountId = await this.#accountIdOf(accountName);
      if (accountId === undefined) {
        throw new ServiceError('account_not_found', `There is no account named "${accountName}".`);
      }
      select = select.where('account_id', '=', accountId);
    }
    return (await select.execute()).map((row) => ({
      id: row.id,
      account: row.name,
      hint: row.hint,
      createdAt: row.created_at,
      revokedAt: row.revoked_at,
    }));
  }

  /** Revokes a token for good. @throws ServiceError `token_not_found` */
  async revokeToken(id: string, now: Micros): Promise<void> {
    const { query, transact } = this.#db;
    const revocation = query
      .updateTable('token')
      .set((eb) => ({ revoked_at: eb.fn.coalesce('revoked_at', eb.val(now)) }))
      .where('id', '=', id)
      .returning('id');
    const [revoked] = await transact({ isDurable: true }, ({ commit }) =>
      commit([revocation, ...this.#notifyInstances('tokens')]),
    );
    this.#tokens?.clear();
    if (revoked.length === 0) {
      const message = `There is no token ${id}. To list all tokens, run: trainyard token list`;
      throw new ServiceError('token_not_found', message);
    }
  }
}

function digestOf(token: string): string {
  return createHash('sha256').update(token).digest('hex');
}
