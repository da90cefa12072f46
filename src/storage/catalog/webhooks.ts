import { type RawBuilder, type Selectable, sql } from 'kysely';
import type { WebhookEvent } from '../../api/webhook-schemas.js';
import type { Dataset, Micros } from '../../dataset/dataset.js';
import { type Database, query, type Statement } from '../database/database.js';
import type { Schema } from '../database/schema.js';
import { enqueue, enqueueSelected } from './jobs.js';

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
    const { transact } = this.#db;
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
        ...(others.length === 0 ? beginAnnouncing(accountId, createdAt) : []),
      ]);
      return true;
    });
  }

  async list(accountId: string): Promise<Webhook[]> {
    const ofAccount = query.selectFrom('webhook').selectAll().where('account_id', '=', accountId);
    return (await this.#db.run(ofAccount.orderBy('created_at').orderBy('id'))).map(webhookOf);
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
    const { transact } = this.#db;
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
        ...enqueueDeliveries([changed], now),
      ]);
      return changed;
    });
    return row && webhookOf(row);
  }

  async remove({ accountId, id }: WebhookKey): Promise<boolean> {
    const removal = query.deleteFrom('webhook').where('id', '=', id).where('account_id', '=', accountId);
    return (await this.#db.run(removal.returning('id'))).length > 0;
  }

  /** Disables a webhook whose receiver is gone. @returns false if it is disabled, or has another URL by now */
  async disable({ id, url }: Webhook, now: Micros): Promise<boolean> {
    const update = query.updateTable('webhook').set({ disabled_at: now }).where('id', '=', id);
    const disabled = update.where('url', '=', url).where('disabled_at', 'is', null).returning('id');
    return (await this.#db.run(disabled)).length > 0;
  }

  /** Adds a delivery to one webhook, also a disabled one. @returns `undefined` if it was deleted */
  addDelivery(webhookId: string, event: NewEvent): Promise<Delivery | undefined> {
    const { transact } = this.#db;
    const webhook = query.selectFrom('webhook').select(['id', 'account_id']).where('id', '=', webhookId);
    return transact({ isDurable: true }, async ({ send, commit }) => {
      const [webhooks] = await send([webhook.forNoKeyUpdate()]);
      if (webhooks.length === 0) return undefined;
      const id = event.idFor(webhookId);
      await send(insertDeliveries(webhooks, { ...event, idFor: () => id }));
      const [[added]] = await commit([this.#selectDeliveries().where('id', '=', id)]);
      return added;
    });
  }

  deliveries(webhookId: string): Promise<Delivery[]> {
    const ofWebhook = this.#selectDeliveries().where('webhook_id', '=', webhookId);
    return this.#db.run(ofWebhook.orderBy('created_at', 'desc').orderBy('id'));
  }

  /** Begins the attempts again. @returns `undefined` if the delivery is not kept */
  resend(webhook: Receiver, id: string, now: Micros): Promise<Delivery | undefined> {
    const { transact } = this.#db;
    const update = query
      .updateTable('webhook_delivery')
      .set({ attempts: 0, next_at: now, delivered_at: null })
      .where('id', '=', id)
      .where('webhook_id', '=', webhook.id)
      .returning(COLUMNS)
      .$castTo<Delivery>();
    return transact({ isDurable: true }, async ({ commit }) => {
      const [[resent]] = await commit([update, ...enqueueDeliveries([webhook], now)]);
      return resent;
    });
  }

  /** The delivery that is due first. An event of a dataset waits for earlier ones. */
  async nextDelivery(webhookId: string): Promise<(Delivery & { readonly nextAt: Micros }) | undefined> {
    const isFirstOfDataset = sql<boolean>`not exists (
      select 1 from webhook_delivery as earlier
      where earlier.webhook_id = webhook_delivery.webhook_id and earlier.dataset_id = webhook_delivery.dataset_id
        and earlier.next_at is not null and earlier.created_at < webhook_delivery.created_at
    )`;
    const waiting = this.#selectDeliveries()
      .where('webhook_id', '=', webhookId)
      .where('next_at', 'is not', null)
      .where(isFirstOfDataset)
      .orderBy(['next_at', 'created_at', 'id'])
      .limit(1);
    return (await this.#db.run(waiting.$castTo<Delivery & { nextAt: Micros }>()))[0];
  }

  #selectDeliveries() {
    return query.selectFrom('webhook_delivery').select(COLUMNS).$castTo<Delivery>();
  }

  /** Records an attempt, unless another process did, or `resend` was called meanwhile. */
  async recordAttempt({ id, attempts }: Delivery, { at, answer, error, nextAt }: Attempt): Promise<void> {
    const delivered_at = error === null ? at : null;
    const outcome = { attempts: attempts + 1, attempted_at: at, next_at: nextAt, delivered_at, answer, error };
    const update = query.updateTable('webhook_delivery').set(outcome).where('id', '=', id);
    await this.#db.run(update.where('attempts', '=', attempts));
  }
}

function webhookOf(row: Selectable<Schema['webhook']>): Webhook {
  const { id, account_id: accountId, url, secret, created_at: createdAt, disabled_at: disabledAt } = row;
  return { id, accountId, url, events: JSON.parse(row.events), secret, createdAt, disabledAt };
}

/** Kept deliveries of a webhook: as many that wait, and ended ones among the latest of all. */
export const KEPT_DELIVERIES = 100;

/** An event for one webhook, and the outcome of the last attempt. */
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

export interface NewEvent extends Pick<Delivery, 'datasetId' | 'event' | 'payload'> {
  readonly at: Micros;
  readonly idFor: (webhookId: string) => string;
}

type Receiver = Pick<Schema['webhook'], 'id' | 'account_id'>;

/** The outcome of an attempt; `error` is null if it succeeded. */
export interface Attempt extends Pick<Delivery, 'answer' | 'error' | 'nextAt'> {
  readonly at: Micros;
}

/** The body of a request, as Standard Webhooks recommends. */
export function eventPayload(event: Delivery['event'], at: Micros, data: object): string {
  return JSON.stringify({ type: event, timestamp: new Date(at / 1000).toISOString(), data });
}

/** A dataset is deleted once, so that the id needs no chance. */
export function deletedEvent(dataset: { readonly id: string; readonly name: string }, at: Micros): NewEvent {
  const event = 'dataset.deleted';
  const idFor = (webhookId: string) => `msg_${dataset.id}_${webhookId}`;
  return { event, datasetId: dataset.id, at, idFor, payload: eventPayload(event, at, dataset) };
}

/** The enabled webhooks for an event, locked until it is recorded, in one order, so that two events can't deadlock. */
export function receivers(accountId: string, event: string) {
  return query
    .selectFrom('webhook')
    .select(['id', 'account_id'])
    .where('account_id', '=', accountId)
    .where('disabled_at', 'is', null)
    .where('events', 'like', `%"${event}"%`)
    .orderBy('id')
    .forNoKeyUpdate();
}

/** Adds a delivery to each of these locked webhooks. Earlier events of the dataset become due before it. */
export function insertDeliveries(webhooks: readonly Receiver[], event: NewEvent): Statement[] {
  const inserts = webhooks.flatMap(({ id }) => insertDelivery(id, event));
  return [...inserts, ...enqueueDeliveries(webhooks, event.at)];
}

function insertDelivery(webhookId: string, { idFor, at, datasetId, event, payload }: NewEvent): Statement[] {
  const ofWebhook = sql`webhook_id = ${webhookId}`;
  // Later than earlier events of the dataset, also if the clock was set back.
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
  ].map((statement) => statement);
}

function enqueueDeliveries(webhooks: readonly Receiver[], dueAt: Micros): Statement[] {
  const kind = 'deliver' as const;
  return enqueue(webhooks.map(({ id, account_id: accountId }) => ({ kind, key: id, accountId, dueAt })));
}

/**
 * Enqueues the job `announce` of a dataset, and of the datasets that link to it, whose status may change too. An account
 * without webhooks gets none.
 *
 * @param change.dueAt when the event is recorded, unless the dataset changes again before
 */
export function enqueueAnnouncements({
  datasetId,
  isLinkedTo,
  dueAt,
}: {
  datasetId: string;
  isLinkedTo: boolean;
  dueAt: Micros;
}): Statement {
  const own = sql`select cast(${datasetId} as text)`;
  const ids = isLinkedTo ? sql`${own} union all select dataset_id from link where linked_id = ${datasetId}` : own;
  return enqueueOf(sql`id in (${ids})`, sql`cast(${dueAt} as bigint)`);
}

/** Announces the datasets of an account with a first webhook. Those that wait for uploads may become FAILED without a change. */
function beginAnnouncing(accountId: string, now: Micros): Statement[] {
  return [
    // An earlier webhook does not count.
    query
      .updateTable('dataset')
      .set({ announced: null })
      .where('account_id', '=', accountId)
      .where('announced', 'is not', null),
    enqueueOf(sql`account_id = ${accountId} and pending_until > ${now}`, sql`pending_until`),
  ];
}

function enqueueOf(condition: RawBuilder<unknown>, dueAt: RawBuilder<unknown>) {
  // Ordered, since concurrent changes of two controls of the same datasets lock the jobs.
  const datasets = sql<{ key: string; account_id: string; due_at: number }>`(
    select id as key, account_id, ${dueAt} as due_at from dataset
    where ${condition} and exists (select 1 from webhook where webhook.account_id = dataset.account_id)
    order by id
  )`;
  return enqueueSelected('announce', datasets);
}

/** What was last announced: `FAILED`, or `READY` and its digest. */
export async function announcedOf({ run }: Database, datasetId: string): Promise<string | null> {
  const [row] = await run(query.selectFrom('dataset').select('announced').where('id', '=', datasetId));
  return row?.announced ?? null;
}

/** Records an event and what it announces, unless another process has announced since `before` was read. */
export function announce(
  db: Database,
  { accountId, id }: Pick<Dataset, 'accountId' | 'id'>,
  { before, after, event }: { before: string | null; after: string; event: NewEvent },
): Promise<void> {
  return db.transact({ isDurable: true }, async ({ send, commit }) => {
    const [changed, webhooks] = await send([
      query
        .updateTable('dataset')
        .set({ announced: after })
        .where('id', '=', id)
        .where('account_id', '=', accountId)
        .where('announced', 'is not distinct from', before)
        .returning('id'),
      receivers(accountId, event.event),
    ]);
    if (changed.length > 0) await commit(insertDeliveries(webhooks, event));
  });
}
