import { type Compilable, type Selectable, sql } from 'kysely';
import type { WebhookEvent } from '../../../api/webhook-schemas.js';
import type { Micros } from '../../../dataset/dataset.js';
import type { Database, Query } from '../../database/database.js';
import type { Schema } from '../../database/schema.js';
import { type Webhook, webhookOf } from './webhooks.js';

/** Deliveries that are kept for each webhook: the latest that wait, and of those that have ended what is among the latest of all. */
export const KEPT_DELIVERIES = 100;

/** An event of a webhook, and how its last attempt ended. */
export interface Delivery {
  readonly id: string;
  readonly webhookId: string;
  readonly datasetId: string | null;
  readonly event: WebhookEvent | 'webhook.test';
  readonly payload: string;
  readonly createdAt: Micros;
  readonly attempts: number;
  readonly attemptedAt: Micros | null;
  /** `null` if no attempt follows. */
  readonly nextAt: Micros | null;
  readonly deliveredAt: Micros | null;
  /** The HTTP status of the last answer; `null` without one. */
  readonly answer: number | null;
  readonly error: string | null;
}

export interface NewDelivery
  extends Pick<Delivery, 'id' | 'webhookId' | 'datasetId' | 'event' | 'payload' | 'createdAt'> {
  /** Before `createdAt` if that follows an event that was recorded with a clock that is ahead. */
  readonly dueAt: Micros;
}

/** An account with enabled webhooks of which deliveries wait, and when the first of these is due. */
export interface WaitingAccount {
  readonly accountId: string;
  readonly nextAt: Micros;
}

/** An enabled webhook with deliveries that wait. */
export interface WaitingWebhook extends WaitingAccount {
  readonly id: string;
  readonly leaseUntil: Micros | null;
}

/** The outcome of an attempt. */
export interface Attempt {
  readonly at: Micros;
  readonly answer: number | null;
  /** `null` if it succeeded. */
  readonly error: string | null;
  readonly nextAt: Micros | null;
}

/** Deliveries of webhooks in the database. The lease on a webhook decides which process sends its next delivery. */
export class Deliveries {
  readonly #db: Database;

  constructor(db: Database) {
    this.#db = db;
  }

  /** @returns false if the webhook was deleted */
  async add(delivery: NewDelivery): Promise<boolean> {
    const { query, hasRowLocks, transact } = this.#db;
    const webhook = query.selectFrom('webhook').select('id').where('id', '=', delivery.webhookId);
    return transact({ isDurable: true }, async ({ send, commit }) => {
      const [found] = await send([hasRowLocks ? webhook.forNoKeyUpdate() : webhook]);
      if (found.length === 0) return false;
      await commit(insertDeliveries(query, [delivery]));
      return true;
    });
  }

  /** The deliveries of a webhook, newest first. */
  async list(webhookId: string): Promise<Delivery[]> {
    const select = this.#db.query.selectFrom('webhook_delivery').selectAll().where('webhook_id', '=', webhookId);
    return (await select.orderBy('created_at', 'desc').orderBy('id').execute()).map(deliveryOf);
  }

  /** Makes a delivery due again, with as many attempts as a new one. @returns `undefined` if it is not kept */
  async resend({ webhookId, id }: { webhookId: string; id: string }, now: Micros): Promise<Delivery | undefined> {
    const row = await this.#db.query
      .updateTable('webhook_delivery')
      .set({ attempts: 0, next_at: now, delivered_at: null })
      .where('id', '=', id)
      .where('webhook_id', '=', webhookId)
      .returningAll()
      .executeTakeFirst();
    return row && deliveryOf(row);
  }

  /** All accounts with waiting deliveries of enabled webhooks, in the order in which the first of each is due. */
  async waitingAccounts(): Promise<WaitingAccount[]> {
    const rows = await waitingWebhooks(this.#db.query)
      .select(({ fn }) => ['account_id', fn.min<number>('next_at').as('first_at')])
      .groupBy('account_id')
      .orderBy('first_at')
      .orderBy('account_id')
      .execute();
    return rows.map(({ account_id, first_at }) => ({ accountId: account_id, nextAt: first_at }));
  }

  /** The enabled webhooks of accounts with waiting deliveries, in the order in which these are due. */
  async waitingOf(accountIds: readonly string[]): Promise<WaitingWebhook[]> {
    const rows = await waitingWebhooks(this.#db.query)
      .select(['id', 'account_id', 'lease_until', 'next_at'])
      .where('account_id', 'in', accountIds)
      .orderBy('next_at')
      .orderBy('id')
      .$narrowType<{ next_at: number }>()
      .execute();
    return rows.map((row) => ({
      id: row.id,
      accountId: row.account_id,
      nextAt: row.next_at,
      leaseUntil: row.lease_until,
    }));
  }

  /** Acquires the lease on an enabled webhook; `undefined` if another holder has it. */
  async acquire(
    { webhookId, token }: { webhookId: string; token: string },
    lease: { expiredBy: Micros; until: Micros },
  ): Promise<Webhook | undefined> {
    const row = await this.#db.query
      .updateTable('webhook')
      .set({ lease_until: lease.until, lease_token: token })
      .where('id', '=', webhookId)
      .where('disabled_at', 'is', null)
      .where((eb) => eb.or([eb('lease_until', 'is', null), eb('lease_until', '<=', lease.expiredBy)]))
      .returningAll()
      .executeTakeFirst();
    return row && webhookOf(row);
  }

  /** Renews the lease, or releases it with `null`. @returns false if it was lost */
  async renew({ webhookId, token }: { webhookId: string; token: string }, until: Micros | null): Promise<boolean> {
    const row = await this.#db.query
      .updateTable('webhook')
      .set({ lease_until: until, ...(until === null && { lease_token: null }) })
      .where('id', '=', webhookId)
      .where('lease_token', '=', token)
      .returning('id')
      .executeTakeFirst();
    return row !== undefined;
  }

  /** The delivery of a webhook that is due first. */
  async due(webhookId: string, now: Micros): Promise<Delivery | undefined> {
    const row = await this.#db.query
      .selectFrom('webhook_delivery')
      .selectAll()
      .where('webhook_id', '=', webhookId)
      .where('next_at', '<=', now)
      .orderBy('next_at')
      .orderBy('created_at')
      .orderBy('id')
      .limit(1)
      .executeTakeFirst();
    return row && deliveryOf(row);
  }

  /**
   * Records the outcome of an attempt, unless `resend` has begun the attempts again meanwhile. Later events of the same dataset
   * wait until its next attempt.
   *
   * @returns false if the lease was lost: nothing is recorded
   */
  async record(
    { delivery, token }: { delivery: Delivery; token: string },
    { at, answer, error, nextAt }: Attempt,
  ): Promise<boolean> {
    const { query, hasRowLocks, transact } = this.#db;
    const { id, webhookId, datasetId } = delivery;
    const held = query.selectFrom('webhook').select('id').where('id', '=', webhookId).where('lease_token', '=', token);
    const ofHeld = query.updateTable('webhook_delivery').where('webhook_id', 'in', held);
    const outcome = {
      attempts: delivery.attempts + 1,
      attempted_at: at,
      next_at: nextAt,
      delivered_at: error === null ? at : null,
      answer,
      error,
    };
    return transact({ isDurable: true }, async ({ send, commit }) => {
      const [holders, recorded] = await send([
        // Without the lock, an event that is recorded at the same time would not wait for the next attempt.
        hasRowLocks ? held.forNoKeyUpdate() : held,
        ofHeld.set(outcome).where('id', '=', id).where('attempts', '=', delivery.attempts).returning('id'),
      ]);
      await commit(
        recorded.length === 0 || nextAt === null || datasetId === null
          ? []
          : [ofHeld.set({ next_at: nextAt }).where('dataset_id', '=', datasetId).where('next_at', '<', nextAt)],
      );
      return holders.length > 0;
    });
  }
}

/** Selects enabled webhooks with the time of their first waiting delivery. It reads one of each, however many wait. */
function waitingWebhooks(query: Query) {
  return query
    .selectFrom((eb) =>
      eb
        .selectFrom('webhook')
        .select((webhook) => [
          ...(['id', 'account_id', 'lease_until'] as const),
          webhook
            .selectFrom('webhook_delivery')
            .select(({ fn }) => fn.min<number>('next_at').as('first'))
            .whereRef('webhook_id', '=', 'webhook.id')
            .where('next_at', 'is not', null)
            .as('next_at'),
        ])
        .where('disabled_at', 'is', null)
        .as('waiting'),
    )
    .where('next_at', 'is not', null);
}

/** Adds deliveries; earlier ones of the same dataset become due before them. */
export function insertDeliveries(query: Query, deliveries: readonly NewDelivery[]): Compilable<unknown>[] {
  return deliveries.flatMap(({ id, webhookId, datasetId, event, payload, createdAt, dueAt }) => {
    const ofWebhook = sql<boolean>`webhook_id = ${webhookId}`;
    const kept = query
      .selectFrom('webhook_delivery as kept')
      .select('kept.created_at')
      .where('kept.webhook_id', '=', webhookId)
      .orderBy('kept.created_at', 'desc')
      .limit(1)
      .offset(KEPT_DELIVERIES - 1);
    const old = query.deleteFrom('webhook_delivery').where(ofWebhook);
    const outcome = { attempts: 0, attempted_at: null, delivered_at: null, answer: null, error: null };
    return [
      query.insertInto('webhook_delivery').values({
        ...{ id, webhook_id: webhookId, dataset_id: datasetId, event, payload },
        ...{ created_at: createdAt, next_at: dueAt, ...outcome },
      }),
      query
        .updateTable('webhook_delivery')
        .set({ next_at: dueAt })
        .where(ofWebhook)
        .where('dataset_id', '=', datasetId)
        .where('next_at', '>', dueAt),
      old.where('next_at', 'is', null).where('created_at', '<', kept),
      old.where('next_at', 'is not', null).where('created_at', '<', kept.where('kept.next_at', 'is not', null)),
    ];
  });
}

function deliveryOf(row: Selectable<Schema['webhook_delivery']>): Delivery {
  return {
    id: row.id,
    webhookId: row.webhook_id,
    datasetId: row.dataset_id,
    event: row.event as Delivery['event'],
    payload: row.payload,
    createdAt: row.created_at,
    attempts: row.attempts,
    attemptedAt: row.attempted_at,
    nextAt: row.next_at,
    deliveredAt: row.delivered_at,
    answer: row.answer,
    error: row.error,
  };
}
