import type { Selectable } from 'kysely';
import type { Micros } from '../../../dataset/dataset.js';
import type { WebhookEvent } from '../../../api/webhook-schemas.js';
import type { Database } from '../../database/database.js';
import type { Schema } from '../../database/schema.js';

/** Announcements that one transaction deletes. */
const ANNOUNCEMENTS_AT_ONCE = 200;

export interface Webhook {
  readonly id: string;
  readonly accountId: string;
  readonly url: string;
  readonly events: readonly WebhookEvent[];
  /** `whsec_` and the Base64 of the key. */
  readonly secret: string;
  readonly createdAt: Micros;
  /** `null` while it is enabled. */
  readonly disabledAt: Micros | null;
}

/** A webhook id and the account of the request. */
export interface WebhookKey {
  readonly accountId: string;
  readonly id: string;
}

/** Webhooks in the database. */
export class Webhooks {
  readonly #db: Database;

  constructor(db: Database) {
    this.#db = db;
  }

  /** Adds a webhook, unless the account has `max` already. @returns whether it was added */
  async add(webhook: Webhook, max: number): Promise<boolean> {
    for (;;) {
      const isAdded = await this.#tryAdd(webhook, max);
      if (isAdded !== undefined) return isAdded;
      await this.#deleteAnnouncements(webhook.accountId);
    }
  }

  /** @returns `undefined` if it would be the first, and there are announcements from the time of an earlier one */
  #tryAdd(webhook: Webhook, max: number): Promise<boolean | undefined> {
    const { query, transact } = this.#db;
    const { id, accountId, url, secret } = webhook;
    return transact({ isDurable: true }, async ({ send, commit }) => {
      const own = query.selectFrom('webhook').select('id').where('account_id', '=', accountId);
      const [, others, [stale]] = await send([
        this.#lockedAccount(accountId),
        own,
        this.#staleAnnouncements(accountId, 1),
      ]);
      if (others.length >= max) return false;
      if (stale !== undefined) return undefined;
      const events = JSON.stringify(webhook.events);
      const times = { created_at: webhook.createdAt, disabled_at: webhook.disabledAt };
      const row = { id, account_id: accountId, url, events, secret, ...times, lease_until: null, lease_token: null };
      await commit([query.insertInto('webhook').values(row)]);
      return true;
    });
  }

  /** The webhooks of an account, oldest first. */
  async list(accountId: string): Promise<Webhook[]> {
    const select = this.#db.query.selectFrom('webhook').selectAll().where('account_id', '=', accountId);
    return (await select.orderBy('created_at').orderBy('id').execute()).map(webhookOf);
  }

  async find({ accountId, id }: WebhookKey): Promise<Webhook | undefined> {
    const select = this.#db.query.selectFrom('webhook').selectAll().where('id', '=', id);
    const row = await select.where('account_id', '=', accountId).executeTakeFirst();
    return row && webhookOf(row);
  }

  /** Changes a webhook, and makes its waiting deliveries due. @returns `undefined` if there is none */
  async change(
    { accountId, id }: WebhookKey,
    change: { url?: string | undefined; events?: readonly WebhookEvent[] | undefined; disabledAt?: Micros | null },
    now: Micros,
  ): Promise<Webhook | undefined> {
    const { query, transact } = this.#db;
    const { url, events, disabledAt } = change;
    const update = query
      .updateTable('webhook')
      .set({
        id,
        ...(url !== undefined && { url }),
        ...(events !== undefined && { events: JSON.stringify(events) }),
        ...(disabledAt !== undefined && { disabled_at: disabledAt }),
      })
      .where('id', '=', id)
      .where('account_id', '=', accountId)
      .returningAll();
    const row = await transact({ isDurable: true }, async ({ send, commit }) => {
      const [[changed]] = await send([update]);
      if (changed === undefined) return undefined;
      await commit([
        query
          .updateTable('webhook_delivery')
          .set({ next_at: now })
          .where('webhook_id', '=', id)
          .where('next_at', '>', now),
      ]);
      return changed;
    });
    return row && webhookOf(row);
  }

  /** Deletes a webhook with its deliveries; with the last one of an account, what was announced of its datasets. */
  async remove({ accountId, id }: WebhookKey): Promise<boolean> {
    const { query, transact } = this.#db;
    const [removed] = await transact({ isDurable: true }, ({ commit }) =>
      commit([query.deleteFrom('webhook').where('id', '=', id).where('account_id', '=', accountId).returning('id')]),
    );
    if (removed.length === 0) return false;
    // What a failure leaves is deleted before the next webhook is added.
    await this.#deleteAnnouncements(accountId).catch(() => {});
    return true;
  }

  /** Deletes what was announced of the datasets of an account, in short transactions, while it has no webhook. */
  async #deleteAnnouncements(accountId: string): Promise<void> {
    const { query, transact } = this.#db;
    const stale = this.#staleAnnouncements(accountId, ANNOUNCEMENTS_AT_ONCE);
    for (let hasMore = true; hasMore; ) {
      hasMore = await transact({ isDurable: false }, async ({ send, commit }) => {
        const [, some] = await send([this.#lockedAccount(accountId), stale]);
        if (some.length === 0) return false;
        const ids = some.map((row) => row.dataset_id);
        await commit([query.deleteFrom('announcement').where('dataset_id', 'in', ids)]);
        return some.length === ANNOUNCEMENTS_AT_ONCE;
      });
    }
  }

  /** The lock makes concurrent additions, and deletions of announcements, run sequentially. */
  #lockedAccount(accountId: string) {
    const { query, hasRowLocks } = this.#db;
    const account = query.selectFrom('account').select('id').where('id', '=', accountId);
    return hasRowLocks ? account.forUpdate() : account;
  }

  /** What was announced of the datasets of an account that has no webhook any more. A new one must not compare with it. */
  #staleAnnouncements(accountId: string, limit: number) {
    return this.#db.query
      .selectFrom('announcement')
      .select('dataset_id')
      .where('account_id', '=', accountId)
      .where(({ not, exists, selectFrom }) =>
        not(exists(selectFrom('webhook').select('webhook.id').where('webhook.account_id', '=', accountId))),
      )
      .limit(limit);
  }

  /**
   * Disables a webhook whose receiver has said that it is gone.
   *
   * @returns false if it is disabled already, or has another URL by now
   */
  async disable({ id, url }: Webhook, now: Micros): Promise<boolean> {
    const row = await this.#db.query
      .updateTable('webhook')
      .set({ disabled_at: now })
      .where('id', '=', id)
      .where('url', '=', url)
      .where('disabled_at', 'is', null)
      .returning('id')
      .executeTakeFirst();
    return row !== undefined;
  }
}

export function webhookOf(row: Selectable<Schema['webhook']>): Webhook {
  const { id, account_id: accountId, url, secret, created_at: createdAt, disabled_at: disabledAt } = row;
  return { id, accountId, url, events: JSON.parse(row.events), secret, createdAt, disabledAt };
}
