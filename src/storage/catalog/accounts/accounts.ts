import { randomUUID } from 'node:crypto';
import { MAX_BOUND_DATASETS } from '../../../api/limits.js';
import type { Micros } from '../../../dataset/dataset.js';
import { ServiceError } from '../../../dataset/errors.js';
import type { NotifyInstances } from '../../database/change-feed.js';
import type { Database, Transaction } from '../../database/database.js';
import { rowChunksOf } from '../statements.js';
import type { AccountUsage } from './account-usage.js';
import type { Grant, TokenRights, TokenSummary } from './grant.js';
import { listTokens, type TokenFilter } from './list-tokens.js';
import type { TokenCache } from './token-cache.js';
import {
  digestOfSecret,
  earlier,
  grantByDigest,
  isTokenRevoked,
  newToken,
  type RevocationOptions,
  revocation,
  validTokens,
} from './token-statements.js';

/** Tokens and shares of an account that its tokens make. The operator of the server may make more. */
const MAX_TOKENS = 1000;

/** Of an account or a token. */
const NAME = /^[\p{L}\p{Nd}][\p{L}\p{M}\p{Nd} ._@-]{0,127}$/u;
const NAME_RULE =
  'Begin with a letter or a digit, then use letters, digits, spaces and . _ - @, at most 128 characters.';

/**
 * Accounts, which own datasets, and the tokens that authenticate them. The database stores only the SHA-256 of each token.
 * A token has 256 random bits, so its hash needs no salt and does not reveal it. For the same reason the lookup need not take
 * constant time: its time could tell only how the hash of a guess compares to stored hashes, and a guess can't be chosen by
 * the beginning of its hash without computing the hashes of so many tokens that guessing is no easier.
 */
export class Accounts {
  readonly #db: Database;
  readonly #tokens: TokenCache | undefined;
  readonly #notifyInstances: NotifyInstances;
  /** By token id; those that `saveLastUses` has not written yet. */
  readonly #lastUses = new Map<string, Micros>();

  /** @param options.tokens a cache for a remote database; notifications clear it when a token is revoked */
  constructor(db: Database, options: { tokens?: TokenCache; notifyInstances?: NotifyInstances } = {}) {
    this.#db = db;
    this.#tokens = options.tokens;
    this.#notifyInstances = options.notifyInstances ?? (() => []);
  }

  /** What a token allows; `undefined` for an unknown or revoked token. The caller compares `expiresAt` with the time. */
  async grantOf(token: string): Promise<Grant | undefined> {
    const digest = digestOfSecret(token);
    const lookUp = () => grantByDigest(this.#db.query, digest);
    return this.#tokens === undefined ? lookUp() : this.#tokens.get(digest, lookUp);
  }

  /** For what a token has made and what must end with it. */
  isRevoked(tokenId: string): Promise<boolean> {
    return isTokenRevoked(this.#db.query, tokenId);
  }

  /** Remembers that a token or session was used. `saveLastUses` writes it, so that no request waits for it. */
  markUsed(tokenId: string, now: Micros): void {
    this.#lastUses.set(tokenId, now);
  }

  /** Writes some uses at a time, not durably. After a failure the others stay. */
  async saveLastUses(): Promise<void> {
    const { query, transact } = this.#db;
    // In the order of the ids, so that transactions of several instances lock rows in one order.
    for (const uses of rowChunksOf([...this.#lastUses].sort(([a], [b]) => (a < b ? -1 : 1)))) {
      const updates = uses.map(([id, usedAt]) =>
        query
          .updateTable('token')
          .set({ last_used_at: usedAt })
          .where('id', '=', id)
          .where((eb) => eb.or([eb('last_used_at', 'is', null), eb('last_used_at', '<', usedAt)])),
      );
      await transact({ isDurable: false }, ({ commit }) => commit(updates));
      for (const [id, usedAt] of uses) if (this.#lastUses.get(id) === usedAt) this.#lastUses.delete(id);
    }
  }

  /** The totals of an account, as its limits count them. */
  async usage(accountId: string): Promise<AccountUsage & { readonly historyBytes: number }> {
    const columns = ['datasets', 'files', 'bytes', 'history_bytes as historyBytes'] as const;
    const select = this.#db.query.selectFrom('account').select(columns);
    return select.where('id', '=', accountId).executeTakeFirstOrThrow();
  }

  /** True once a token was made, also if it has ended and was deleted since. */
  async hasAccounts(): Promise<boolean> {
    return (await this.#db.query.selectFrom('account').select('id').limit(1).executeTakeFirst()) !== undefined;
  }

  /**
   * Creates a token, and its account if there is none of that name. One that another token makes does not outlive it.
   *
   * @returns the token in clear text, which can't be read again
   * @throws ServiceError `invalid_name`, `dataset_not_found`; `quota_exceeded` if a token makes too many; `unauthorized` if it was
   * revoked
   */
  async createToken(
    accountName: string,
    now: Micros,
    { kind = 'token', parentId, expiresAt = null, isReadOnly = false, datasets, name: tokenName }: TokenRights = {},
  ): Promise<{ token: string; id: string }> {
    const name = accountName.trim().normalize('NFC');
    if (!NAME.test(name)) {
      throw new ServiceError(
        'invalid_name',
        `The account name ${JSON.stringify(accountName)} is not valid. ${NAME_RULE}`,
      );
    }
    if (tokenName !== undefined && !NAME.test(tokenName)) {
      throw new ServiceError('invalid_name', `The token name ${JSON.stringify(tokenName)} is not valid. ${NAME_RULE}`);
    }
    const datasetIds = datasets === undefined ? null : await this.#datasetIdsOf(name, datasets);
    const { query, transact } = this.#db;
    const account = { id: randomUUID(), name, created_at: now, datasets: 0, files: 0, bytes: 0, history_bytes: 0 };
    return transact({ isDurable: true }, async (transaction) => {
      const [, [found]] = await transaction.send([
        query
          .insertInto('account')
          .values(account)
          .onConflict((conflict) => conflict.column('name').doNothing()),
        query.selectFrom('account').select('id').where('name', '=', name),
      ]);
      if (found === undefined) throw new Error(`The account "${name}" is not in the catalog.`);
      const accountId = found.id;
      const parentExpiresAt =
        parentId === undefined ? null : await this.#expiryOfMaker(transaction, { parentId, accountId, now });
      const { secret, row } = newToken({
        kind,
        account_id: accountId,
        name: tokenName ?? null,
        created_at: now,
        expires_at: earlier(expiresAt, parentExpiresAt),
        is_read_only: isReadOnly ? 1 : 0,
        dataset_ids: datasetIds && JSON.stringify(datasetIds),
        parent_id: parentId ?? null,
      });
      await transaction.commit([query.insertInto('token').values(row)]);
      return { token: secret, id: row.id };
    });
  }

  /**
   * The end of the token that makes another. A revocation of it waits for the end of the transaction.
   *
   * @throws ServiceError `quota_exceeded`; `unauthorized` if the maker was revoked since its request began
   */
  async #expiryOfMaker(
    { send }: Transaction,
    { parentId, accountId, now }: { parentId: string; accountId: string; now: Micros },
  ): Promise<Micros | null> {
    const { query, hasRowLocks } = this.#db;
    const unrevoked = query
      .selectFrom('token')
      .select('expires_at')
      .where('id', '=', parentId)
      .where('revoked_at', 'is', null);
    const [[maker], [tokens]] = await send([
      hasRowLocks ? unrevoked.forShare() : unrevoked,
      validTokens(query, { accountId, now }),
    ]);
    if (maker === undefined) throw new ServiceError('unauthorized', 'The token was revoked.');
    if (tokens === undefined || tokens.count >= MAX_TOKENS) {
      const message = `The account has ${MAX_TOKENS} tokens and shares, the most that it can have. Revoke some that are no longer needed.`;
      throw new ServiceError('quota_exceeded', message);
    }
    return maker.expires_at;
  }

  async #datasetIdsOf(accountName: string, namesOrIds: readonly string[]): Promise<string[]> {
    if (namesOrIds.length > MAX_BOUND_DATASETS) {
      const message = `A token can be bound to at most ${MAX_BOUND_DATASETS} datasets, not ${namesOrIds.length}.`;
      throw new ServiceError('invalid_field', message);
    }
    const ids = new Set<string>();
    for (const nameOrId of namesOrIds) {
      const name = nameOrId.trim().normalize('NFC');
      const rows = await this.#db.query
        .selectFrom('dataset')
        .innerJoin('account', 'account.id', 'dataset.account_id')
        .select(['dataset.id', 'dataset.name'])
        .where('account.name', '=', accountName)
        .where((eb) => eb.or([eb('dataset.name', '=', name), eb('dataset.id', '=', name)]))
        .execute();
      // An id wins over a name, as in the other commands.
      const found = rows.find(({ id }) => id === name) ?? rows[0];
      if (found === undefined) {
        const message = `The account "${accountName}" has no dataset "${name}". Create it first: a token is bound to its id.`;
        throw new ServiceError('dataset_not_found', message);
      }
      ids.add(found.id);
    }
    return [...ids];
  }

  async #accountIdOf(name: string): Promise<string | undefined> {
    const select = this.#db.query.selectFrom('account').select('id').where('name', '=', name);
    return (await select.executeTakeFirst())?.id;
  }

  /** Lists all tokens, sessions and shares, or those of one account, as `listTokens` does. @throws ServiceError `account_not_found` */
  async tokens(accountName?: string, filter: TokenFilter = {}): Promise<TokenSummary[]> {
    if (accountName === undefined) return listTokens(this.#db.query, filter);
    const accountId = await this.#accountIdOf(accountName);
    if (accountId === undefined) {
      throw new ServiceError('account_not_found', `There is no account named "${accountName}".`);
    }
    return listTokens(this.#db.query, { ...filter, accountId });
  }

  /**
   * Revokes a token for good, with the sessions and shares that it made. Revoking it again changes nothing.
   *
   * @returns the ids of all that ended
   * @throws ServiceError `token_not_found`
   */
  async revokeToken(id: string, now: Micros, options: RevocationOptions = {}): Promise<string[]> {
    const revoked = await this.#revoke(id, now, options);
    this.#tokens?.clear();
    if (revoked.length > 0) return revoked;
    const [noun, advice] =
      options.accountId === undefined
        ? ['token', ' To list all tokens, run: trainyard token list']
        : ['token, session or share', ''];
    throw new ServiceError('token_not_found', `There is no ${noun} ${id}.${advice}`);
  }

  /**
   * Where several transactions write at once, a token may make another while this statement waits for the lock of its row. It
   * finds the new one when it runs again, and all makers that it found before are then revoked and locked.
   */
  #revoke(id: string, now: Micros, options: RevocationOptions): Promise<string[]> {
    const { query, hasRowLocks, transact } = this.#db;
    return transact({ isDurable: true }, async ({ send, commit }) => {
      for (let found = 0; ; ) {
        const [revoked] = await send([revocation(query, { id, now, ...options })]);
        if (!hasRowLocks || revoked.length === found) {
          await commit(this.#notifyInstances('tokens'));
          return revoked.map((row) => row.id);
        }
        found = revoked.length;
      }
    });
  }
}
