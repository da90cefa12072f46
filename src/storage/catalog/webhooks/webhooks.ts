import type { Selectable } from 'kysely';
import type { WebhookEvent } from '../../../api/webhook-schemas.js';
import type { Micros } from '../../../dataset/dataset.js';
import type { Database } from '../../database/database.js';
import type { Schema } from '../../database/schema.js';
import { beginAnnouncing } from './announcements.js';
import { enqueueDeliveries } from './deliveries.js';

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

export interface WebhookKey {
  readonly accountId: string;
  readonly id: string;
}

export class Webhooks {
  readonly #db: Database;

  constructor(db: Database) {
    this.#db = db;
  }

  /** @returns false if the account has `max` already */
  add(webhook: Webhook, max: number): Promise<boolean> {
    const { query, transact } = this.#db;
    const { id, accountId, url, secret, createdAt, disabledAt } = webhook;
    const account = query.selectFrom('account').select('id').where('id', '=', accountId).forUpdate();
    const own = query.selectFrom('webhook').select('id').where('account_id', '=', accountId);
    return transact({ isDurable: true }, async ({ send, commit }) => {
      // The lock makes concurrent additions run sequentially.
      const [, others] = await send([account, own]);
      if (others.length >= max) return false;
      const events = JSON.stringify(webhook.events);
      const row = { id, account_id: accountId, url, events, secret, created_at: createdAt, disabled_at: disabledAt };
      await commit([
        query.insertInto('webhook').values(row),
        ...(others.length === 0 ? beginAnnouncing(query, accountId, createdAt) : []),
      ]);
      return true;
    });
  }

  async list(accountId: string): Promise<Webhook[]> {
    const ofAccount = this.#db.query.selectFrom('webhook').selectAll().where('account_id', '=', accountId);
    return (await ofAccount.orderBy('created_at').orderBy('id').execute()).map(webhookOf);
  }

  async find({ accountId, id }: WebhookKey): Promise<Webhook | undefined> {
    return (await this.list(accountId)).find((webhook) => webhook.id === id);
  }

  /** Changes a webhook, and makes its waiting deliveries due. */
  async change(
    { accountId, id }: WebhookKey,
    { url, events, disabledAt }: Partial<Pick<Webhook, 'url' | 'events' | 'disabledAt'>>,
    now: Micros,
  ): Promise<Webhook | undefined> {
    const { query, transact } = this.#db;
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
        ...enqueueDeliveries(query, [changed], now),
      ]);
      return changed;
    });
    return row && webhookOf(row);
  }

  async remove({ accountId, id }: WebhookKey): Promise<boolean> {
    const removal = this.#db.query.deleteFrom('webhook').where('id', '=', id).where('account_id', '=', accountId);
    return (await removal.returning('id').execute()).length > 0;
  }

  /** Disables a webhook whose receiver is gone. @returns false if it is disabled, or has another URL by now */
  async disable({ id, url }: Webhook, now: Micros): Promise<boolean> {
    const update = this.#db.query.updateTable('webhook').set({ disabled_at: now }).where('id', '=', id);
    const disabled = update.where('url', '=', url).where('disabled_at', 'is', null).returning('id');
    return (await disabled.execute()).length > 0;
  }
}

function webhookOf(row: Selectable<Schema['webhook']>): Webhook {
  const { id, account_id: accountId, url, secret, created_at: createdAt, disabled_at: disabledAt } = row;
  return { id, accountId, url, events: JSON.parse(row.events), secret, createdAt, disabledAt };
}
