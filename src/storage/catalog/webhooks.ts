import { type RawBuilder, sql } from 'kysely';
import type { WebhookEvent } from '../../api/webhook-schemas.js';
import type { Dataset, Micros } from '../../dataset/dataset.js';
import { newId } from '../blobs/blobs.js';
import { type Database, FOR_UPDATE, query, type Statement } from '../database/database.js';
import type { Schema } from '../database/schema.js';
import { enqueue, enqueueSelected } from './jobs.js';
import { insertAll } from './rows.js';

/** `events` is a JSON array, and `secret` `whsec_` and the Base64 of the key. */
export type Webhook = Schema['webhook'];

export interface WebhookKey {
  readonly accountId: string;
  readonly id: string;
}

/** An event for one webhook, and the outcome of the last attempt. */
export type Delivery = Schema['webhook_delivery'];

export class Webhooks {
  readonly #db: Database;

  constructor(db: Database) {
    this.#db = db;
  }

  /** @returns false if the account has `max` already */
  add(webhook: Webhook, max: number): Promise<boolean> {
    const { account_id: accountId, created_at: now } = webhook;
    return this.#db.transact({ isDurable: true }, async ({ send, commit }) => {
      // The lock makes concurrent additions run sequentially.
      const [, others] = await send([
        sql`select id from account where id = ${accountId} ${FOR_UPDATE}`,
        sql`select id from webhook where account_id = ${accountId}`,
      ]);
      if (others.length >= max) return false;
      await commit([
        ...insertAll('webhook', [webhook]),
        ...(others.length === 0 ? beginAnnouncing(accountId, now) : []),
      ]);
      return true;
    });
  }

  async list(accountId: string): Promise<Webhook[]> {
    const ofAccount = sql<Webhook>`select * from webhook where account_id = ${accountId} order by created_at, id`;
    return (await this.#db.read([ofAccount]))[0];
  }

  async find({ accountId, id }: WebhookKey): Promise<Webhook | undefined> {
    return (await this.list(accountId)).find((webhook) => webhook.id === id);
  }

  /** Changes a webhook, and makes its waiting deliveries due. */
  change(
    { accountId, id }: WebhookKey,
    change: Partial<Pick<Webhook, 'url' | 'events' | 'disabled_at'>>,
    now: Micros,
  ): Promise<Webhook | undefined> {
    const update = query
      .updateTable('webhook')
      .set({ id, ...change })
      .where('id', '=', id);
    return this.#db.transact({ isDurable: true }, async ({ send, commit }) => {
      const [[changed]] = await send([update.where('account_id', '=', accountId).returningAll()]);
      if (changed === undefined) return undefined;
      await commit([
        sql`update webhook_delivery set next_at = ${now} where webhook_id = ${id} and next_at > ${now}`,
        ...enqueueDeliveries([changed], now),
      ]);
      return changed;
    });
  }

  async remove({ accountId, id }: WebhookKey): Promise<boolean> {
    const removal = sql`delete from webhook where id = ${id} and account_id = ${accountId} returning id`;
    return (await this.#db.run(removal)).length > 0;
  }

  /** Disables a webhook whose receiver is gone. @returns false if it is disabled, or has another URL by now */
  async disable({ id, url }: Webhook, now: Micros): Promise<boolean> {
    const update = sql`update webhook set disabled_at = ${now}
      where id = ${id} and url = ${url} and disabled_at is null returning id`;
    return (await this.#db.run(update)).length > 0;
  }

  /** Adds a delivery to one webhook, also a disabled one. @returns `undefined` if it was deleted */
  addDelivery(webhookId: string, event: NewEvent): Promise<Delivery | undefined> {
    return this.#db.transact({ isDurable: true }, async ({ send, commit }) => {
      const [webhooks] = await send([
        sql<Receiver>`select id, account_id from webhook where id = ${webhookId} ${FOR_UPDATE}`,
      ]);
      if (webhooks.length === 0) return undefined;
      const [added] = await commit(insertDeliveries(webhooks, event));
      return added?.[0] as Delivery;
    });
  }

  async deliveries(webhookId: string): Promise<Delivery[]> {
    const newest = sql<Delivery>`
      select * from webhook_delivery where webhook_id = ${webhookId} order by created_at desc, id`;
    return (await this.#db.read([newest]))[0];
  }

  /** Begins the attempts again. @returns `undefined` if the delivery is not kept */
  resend(webhook: Receiver, id: string, now: Micros): Promise<Delivery | undefined> {
    const update = sql<Delivery>`update webhook_delivery set attempts = 0, next_at = ${now}, delivered_at = null
      where id = ${id} and webhook_id = ${webhook.id} returning *`;
    return this.#db.transact({ isDurable: true }, async ({ commit }) => {
      const [[resent]] = await commit([update, ...enqueueDeliveries([webhook], now)]);
      return resent;
    });
  }

  /** The delivery that is due first. An event of a dataset waits for earlier ones. */
  async nextDelivery(webhookId: string): Promise<(Delivery & { readonly next_at: Micros }) | undefined> {
    const waiting = sql<Delivery & { next_at: Micros }>`
      select * from webhook_delivery where webhook_id = ${webhookId} and next_at is not null and not exists (
        select 1 from webhook_delivery as earlier
        where earlier.webhook_id = webhook_delivery.webhook_id and earlier.dataset_id = webhook_delivery.dataset_id
          and earlier.next_at is not null and earlier.created_at < webhook_delivery.created_at
      ) order by next_at, created_at, id limit 1`;
    return (await this.#db.read([waiting]))[0][0];
  }

  /** Records an attempt, unless another process did, or `resend` was called meanwhile. */
  async recordAttempt({ id, attempts }: Delivery, { at, answer, error, nextAt }: Attempt): Promise<void> {
    await this.#db.run(sql`
      update webhook_delivery set attempts = attempts + 1, attempted_at = ${at}, next_at = ${nextAt},
        delivered_at = ${error === null ? at : null}, answer = ${answer}, error = ${error}
      where id = ${id} and attempts = ${attempts}`);
  }
}

/** Kept deliveries of a webhook: as many that wait, and ended ones among the latest of all. */
export const KEPT_DELIVERIES = 100;

export interface NewEvent {
  readonly event: WebhookEvent | 'webhook.test';
  /** `null` for a test. */
  readonly datasetId: string | null;
  readonly payload: string;
  readonly at: Micros;
}

type Receiver = Pick<Schema['webhook'], 'id' | 'account_id'>;

/** The outcome of an attempt; `error` is null if it succeeded. */
export interface Attempt extends Pick<Delivery, 'answer' | 'error'> {
  readonly at: Micros;
  readonly nextAt: Micros | null;
}

/** The body of a request, as Standard Webhooks recommends. */
export function eventPayload(event: NewEvent['event'], at: Micros, data: object): string {
  return JSON.stringify({ type: event, timestamp: new Date(at / 1000).toISOString(), data });
}

export function deletedEvent(dataset: { readonly id: string; readonly name: string }, at: Micros): NewEvent {
  const event = 'dataset.deleted';
  return { event, datasetId: dataset.id, at, payload: eventPayload(event, at, dataset) };
}

/** The enabled webhooks for an event, locked until it is recorded, in one order, so that two events can't deadlock. */
export function receivers(accountId: string, event: string) {
  return sql<Receiver>`select id, account_id from webhook
    where account_id = ${accountId} and disabled_at is null and events like ${`%"${event}"%`} order by id ${FOR_UPDATE}`;
}

/** Adds a delivery to each of these locked webhooks. Earlier events of the dataset become due before it. */
export function insertDeliveries(webhooks: readonly Receiver[], event: NewEvent): Statement[] {
  const inserts = webhooks.flatMap(({ id }) => insertDelivery(id, event));
  return [...inserts, ...enqueueDeliveries(webhooks, event.at)];
}

function insertDelivery(webhookId: string, { at, datasetId, event, payload }: NewEvent): Statement[] {
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
      values (${`msg_${newId()}`}, ${webhookId}, ${datasetId}, ${event}, ${payload}, ${createdAt}, ${at}) returning *`,
    sql`update webhook_delivery set next_at = ${at} where ${isOfDataset} and next_at > ${at}`,
    sql`${old} and next_at is null and created_at < ${kept(sql`true`)}`,
    sql`${old} and ${waits} and created_at < ${kept(waits)}`,
  ];
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
    sql`update dataset set announced = null where account_id = ${accountId} and announced is not null`,
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
  { transact }: Database,
  { accountId, id }: Pick<Dataset, 'accountId' | 'id'>,
  { before, after, event }: { before: string | null; after: string; event: NewEvent },
): Promise<void> {
  const update = query.updateTable('dataset').set({ announced: after }).where('id', '=', id).returning('id');
  return transact({ isDurable: true }, async ({ send, commit }) => {
    const [changed, webhooks] = await send([
      update.where('announced', 'is not distinct from', before),
      receivers(accountId, event.event),
    ]);
    if (changed.length > 0) await commit(insertDeliveries(webhooks, event));
  });
}
