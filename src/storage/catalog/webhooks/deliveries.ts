import { type Compilable, type RawBuilder, sql } from 'kysely';
import type { WebhookEvent } from '../../../api/webhook-schemas.js';
import type { Micros } from '../../../dataset/dataset.js';
import type { Database, Query } from '../../database/database.js';
import type { Schema } from '../../database/schema.js';
import { enqueue } from '../jobs.js';
import { statementOf } from '../statements.js';

/** Deliveries that are kept for each webhook: the latest that wait, and of those that have ended what is among the latest of all. */
export const KEPT_DELIVERIES = 100;

/** An event of a webhook, and how its last attempt ended: a row of `webhook_delivery`. */
export interface Delivery {
  readonly id: string;
  readonly webhookId: string;
  readonly datasetId: string | null;
  readonly event: WebhookEvent | 'webhook.test';
  readonly payload: string;
  readonly createdAt: Micros;
  readonly attempts: number;
  readonly attemptedAt: Micros | null;
  readonly nextAt: Micros | null;
  readonly deliveredAt: Micros | null;
  readonly answer: number | null;
  readonly error: string | null;
}

const COLUMNS = [
  ...(['id', 'webhook_id as webhookId', 'dataset_id as datasetId', 'event', 'payload'] as const),
  ...(['created_at as createdAt', 'attempts', 'attempted_at as attemptedAt', 'next_at as nextAt'] as const),
  ...(['delivered_at as deliveredAt', 'answer', 'error'] as const),
];

/** An event that is to be sent to webhooks. */
export interface NewEvent extends Pick<Delivery, 'datasetId' | 'event' | 'payload'> {
  readonly at: Micros;
  /** The id of its delivery to a webhook. */
  readonly idFor: (webhookId: string) => string;
}

/** The webhook of a delivery, and its account. */
export type Receiver = Pick<Schema['webhook'], 'id' | 'account_id'>;

/** The outcome of an attempt, at a time; `error` is null if it succeeded. */
export interface Attempt extends Pick<Delivery, 'answer' | 'error' | 'nextAt'> {
  readonly at: Micros;
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
    const webhook = query.selectFrom('webhook').select(['id', 'account_id']).where('id', '=', webhookId);
    return transact({ isDurable: true }, async ({ send, commit }) => {
      const [webhooks] = await send([webhook.forNoKeyUpdate()]);
      if (webhooks.length === 0) return undefined;
      const id = event.idFor(webhookId);
      await send(insertDeliveries(query, webhooks, { ...event, idFor: () => id }));
      const [[added]] = await commit([this.#select().where('id', '=', id)]);
      return added;
    });
  }

  /** The deliveries of a webhook, newest first. */
  list(webhookId: string): Promise<Delivery[]> {
    const ofWebhook = this.#select().where('webhook_id', '=', webhookId);
    return ofWebhook.orderBy('created_at', 'desc').orderBy('id').execute();
  }

  /** Makes a delivery due again, with as many attempts as a new one. @returns `undefined` if it is not kept */
  resend(webhook: Receiver, id: string, now: Micros): Promise<Delivery | undefined> {
    const { query, transact } = this.#db;
    const update = query
      .updateTable('webhook_delivery')
      .set({ attempts: 0, next_at: now, delivered_at: null })
      .where('id', '=', id)
      .where('webhook_id', '=', webhook.id)
      .returning(COLUMNS)
      .$castTo<Delivery>();
    return transact({ isDurable: true }, async ({ commit }) => {
      const [[resent]] = await commit([update, ...enqueueDeliveries(query, [webhook], now)]);
      return resent;
    });
  }

  /** The waiting delivery of a webhook that is due first. An event of a dataset waits for the earlier ones. */
  async next(webhookId: string): Promise<(Delivery & { readonly nextAt: Micros }) | undefined> {
    const isFirstOfDataset = sql<boolean>`not exists (
      select 1 from webhook_delivery as earlier
      where earlier.webhook_id = webhook_delivery.webhook_id and earlier.dataset_id = webhook_delivery.dataset_id
        and earlier.next_at is not null and earlier.created_at < webhook_delivery.created_at
    )`;
    return this.#select()
      .where('webhook_id', '=', webhookId)
      .where('next_at', 'is not', null)
      .where(isFirstOfDataset)
      .orderBy('next_at')
      .orderBy('created_at')
      .orderBy('id')
      .limit(1)
      .$castTo<Delivery & { nextAt: Micros }>()
      .executeTakeFirst();
  }

  #select() {
    return this.#db.query.selectFrom('webhook_delivery').select(COLUMNS).$castTo<Delivery>();
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
export function insertDeliveries(query: Query, webhooks: readonly Receiver[], event: NewEvent): Compilable<unknown>[] {
  const inserts = webhooks.flatMap(({ id }) => insertDelivery(query, id, event));
  return [...inserts, ...enqueueDeliveries(query, webhooks, event.at)];
}

function insertDelivery(
  query: Query,
  webhookId: string,
  { idFor, at, datasetId, event, payload }: NewEvent,
): Compilable<unknown>[] {
  const ofWebhook = sql`webhook_id = ${webhookId}`;
  // Later than earlier events of the dataset, also if the clock was set back since.
  const createdAt = sql`(
    select coalesce(max(created_at) + 1, cast(${at} as bigint)) from webhook_delivery
    where ${ofWebhook} and dataset_id = ${datasetId} and created_at >= ${at}
  )`;
  const waits = sql`next_at is not null`;
  const kept = (condition: RawBuilder<unknown>) => sql`(
    select created_at from webhook_delivery where ${ofWebhook} and ${condition}
    order by created_at desc limit 1 offset ${sql.lit(KEPT_DELIVERIES - 1)}
  )`;
  const old = sql`delete from webhook_delivery where ${ofWebhook}`;
  const isOfDataset = sql`${ofWebhook} and dataset_id = ${datasetId}`;
  return [
    sql`insert into webhook_delivery (id, webhook_id, dataset_id, event, payload, created_at, next_at)
      values (${idFor(webhookId)}, ${webhookId}, ${datasetId}, ${event}, ${payload}, ${createdAt}, ${at})`,
    sql`update webhook_delivery set next_at = ${at} where ${isOfDataset} and next_at > ${at}`,
    sql`${old} and next_at is null and created_at < ${kept(sql`true`)}`,
    sql`${old} and ${waits} and created_at < ${kept(waits)}`,
  ].map((statement) => statementOf(query, statement));
}

/** The statements that enqueue the jobs that send the deliveries of webhooks. */
export function enqueueDeliveries(query: Query, webhooks: readonly Receiver[], dueAt: Micros): Compilable<unknown>[] {
  const kind = 'deliver' as const;
  return enqueue(
    query,
    webhooks.map(({ id, account_id: accountId }) => ({ kind, key: id, accountId, dueAt })),
  );
}
