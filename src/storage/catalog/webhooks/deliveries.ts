import { type Compilable, type Selectable, sql } from 'kysely';
import type { WebhookEvent } from '../../../api/webhook-schemas.js';
import type { Micros } from '../../../dataset/dataset.js';
import type { Database, Query } from '../../database/database.js';
import type { Schema } from '../../database/schema.js';
import { enqueue } from '../jobs.js';

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

/** An event that is to be sent to webhooks. */
export interface NewEvent extends Pick<Delivery, 'datasetId' | 'event' | 'payload'> {
  readonly at: Micros;
  /** The id of its delivery to a webhook. */
  readonly idFor: (webhookId: string) => string;
}

/** The webhook of a delivery, and its account. */
export interface Receiver {
  readonly id: string;
  readonly account_id: string;
}

/** The outcome of an attempt. */
export interface Attempt {
  readonly at: Micros;
  readonly answer: number | null;
  /** `null` if it succeeded. */
  readonly error: string | null;
  readonly nextAt: Micros | null;
}

/** Deliveries of webhooks in the database. The job `deliver` of a webhook sends them. */
export class Deliveries {
  readonly #db: Database;

  constructor(db: Database) {
    this.#db = db;
  }

  /** Adds a delivery to one webhook, also if that is disabled. @returns `undefined` if the webhook was deleted */
  add(webhookId: string, event: NewEvent): Promise<Delivery | undefined> {
    const { query, transact } = this.#db;
    const webhook = query
      .selectFrom('webhook')
      .select(['id', 'account_id'])
      .where('id', '=', webhookId)
      .forNoKeyUpdate();
    return transact({ isDurable: true }, async ({ send, commit }) => {
      const [webhooks] = await send([webhook]);
      if (webhooks.length === 0) return undefined;
      const id = event.idFor(webhookId);
      await send(insertDeliveries(query, webhooks, { ...event, idFor: () => id }));
      const [[row]] = await commit([query.selectFrom('webhook_delivery').selectAll().where('id', '=', id)]);
      return row && deliveryOf(row);
    });
  }

  /** The deliveries of a webhook, newest first. */
  async list(webhookId: string): Promise<Delivery[]> {
    const select = this.#db.query.selectFrom('webhook_delivery').selectAll().where('webhook_id', '=', webhookId);
    return (await select.orderBy('created_at', 'desc').orderBy('id').execute()).map(deliveryOf);
  }

  /** Makes a delivery due again, with as many attempts as a new one. @returns `undefined` if it is not kept */
  resend(webhook: Receiver, id: string, now: Micros): Promise<Delivery | undefined> {
    const { query, transact } = this.#db;
    const update = query
      .updateTable('webhook_delivery')
      .set({ attempts: 0, next_at: now, delivered_at: null })
      .where('id', '=', id)
      .where('webhook_id', '=', webhook.id)
      .returningAll();
    return transact({ isDurable: true }, async ({ commit }) => {
      const [[row]] = await commit([update, ...enqueueDeliveries(query, [webhook], now)]);
      return row && deliveryOf(row);
    });
  }

  /** The waiting delivery of a webhook that is due first. An event of a dataset waits for the earlier ones. */
  async next(webhookId: string): Promise<(Delivery & { readonly nextAt: Micros }) | undefined> {
    const row = await this.#db.query
      .selectFrom('webhook_delivery as first')
      .selectAll()
      .where('webhook_id', '=', webhookId)
      .where('next_at', 'is not', null)
      .where(({ not, exists, selectFrom }) => {
        const waiting = selectFrom('webhook_delivery as earlier').where('earlier.next_at', 'is not', null);
        const ofDataset = waiting
          .whereRef('earlier.webhook_id', '=', 'first.webhook_id')
          .whereRef('earlier.dataset_id', '=', 'first.dataset_id');
        return not(exists(ofDataset.whereRef('earlier.created_at', '<', 'first.created_at').select('earlier.id')));
      })
      .orderBy('next_at')
      .orderBy('created_at')
      .orderBy('id')
      .limit(1)
      .$narrowType<{ next_at: number }>()
      .executeTakeFirst();
    return row && { ...deliveryOf(row), nextAt: row.next_at };
  }

  /**
   * Records the outcome of an attempt, unless another process has recorded one, or `resend` has begun the attempts again
   * meanwhile.
   */
  async record({ id, attempts }: Delivery, { at, answer, error, nextAt }: Attempt): Promise<void> {
    const delivered_at = error === null ? at : null;
    await this.#db.query
      .updateTable('webhook_delivery')
      .set({ attempts: attempts + 1, attempted_at: at, next_at: nextAt, delivered_at, answer, error })
      .where('id', '=', id)
      .where('attempts', '=', attempts)
      .execute();
  }
}

/** The body of a request, in the form that Standard Webhooks recommends. */
export function eventPayload(event: Delivery['event'], at: Micros, data: object): string {
  return JSON.stringify({ type: event, timestamp: new Date(at / 1000).toISOString(), data });
}

/** The event of the deletion of a dataset. There is only one, so that its ids need no chance. */
export function deletedEvent(dataset: { readonly id: string; readonly name: string }, at: Micros): NewEvent {
  const event = 'dataset.deleted';
  const idFor = (webhookId: string) => `msg_${dataset.id}_${webhookId}`;
  return { event, datasetId: dataset.id, at, idFor, payload: eventPayload(event, at, dataset) };
}

/**
 * Selects the enabled webhooks of an account that receive an event, and locks them until the event is recorded: a deletion of a
 * webhook waits for it. They are locked in one order, so that two events of an account don't wait for each other.
 */
export function receivers(query: Query, accountId: string, event: string) {
  return query
    .selectFrom('webhook')
    .select(['id', 'account_id'])
    .where('account_id', '=', accountId)
    .where('disabled_at', 'is', null)
    .where('events', 'like', `%"${event}"%`)
    .orderBy('id')
    .forNoKeyUpdate();
}

/**
 * The statements that add a delivery of an event to each of these webhooks, whose rows are locked, and enqueue the jobs that
 * send them. Earlier events of the same dataset become due before it.
 */
export function insertDeliveries(
  query: Query,
  webhooks: readonly Receiver[],
  { idFor, at, ...event }: NewEvent,
): Compilable<unknown>[] {
  const inserts = webhooks.flatMap((webhook) =>
    insertDelivery(query, { ...event, id: idFor(webhook.id), webhookId: webhook.id, createdAt: at }),
  );
  return [...inserts, ...enqueueDeliveries(query, webhooks, at)];
}

function insertDelivery(
  query: Query,
  delivery: Pick<Delivery, 'id' | 'webhookId' | 'datasetId' | 'event' | 'payload' | 'createdAt'>,
): Compilable<unknown>[] {
  const { id, webhookId, datasetId, event, payload, createdAt } = delivery;
  const ofWebhook = sql<boolean>`webhook_id = ${webhookId}`;
  // Later than earlier events of the dataset, also if the clock was set back since.
  const created_at = sql<number>`(
    select coalesce(max(created_at) + 1, cast(${createdAt} as bigint)) from webhook_delivery
    where ${ofWebhook} and dataset_id = ${datasetId} and created_at >= ${createdAt}
  )`;
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
      ...{ created_at, next_at: createdAt, ...outcome },
    }),
    query
      .updateTable('webhook_delivery')
      .set({ next_at: createdAt })
      .where(ofWebhook)
      .where('dataset_id', '=', datasetId)
      .where('next_at', '>', createdAt),
    old.where('next_at', 'is', null).where('created_at', '<', kept),
    old.where('next_at', 'is not', null).where('created_at', '<', kept.where('kept.next_at', 'is not', null)),
  ];
}

/** The statements that enqueue the jobs that send the deliveries of webhooks. */
export function enqueueDeliveries(query: Query, webhooks: readonly Receiver[], dueAt: Micros): Compilable<unknown>[] {
  const kind = 'deliver' as const;
  return enqueue(
    query,
    webhooks.map(({ id, account_id: accountId }) => ({ kind, key: id, accountId, dueAt })),
  );
}

function deliveryOf(row: Selectable<Schema['webhook_delivery']>): Delivery {
  const { id, event, payload, attempts, answer, error } = row;
  const { webhook_id: webhookId, dataset_id: datasetId, created_at: createdAt } = row;
  const { attempted_at: attemptedAt, next_at: nextAt, delivered_at: deliveredAt } = row;
  const names = { id, webhookId, datasetId, event: event as Delivery['event'], payload };
  return { ...names, createdAt, attempts, attemptedAt, nextAt, deliveredAt, answer, error };
}
