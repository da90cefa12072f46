import type { Selectable } from 'kysely';
import type { WebhookEvent } from '../../../api/webhook-schemas.js';
import type { Dataset, Micros } from '../../../dataset/dataset.js';
import type { Database, Query } from '../../database/database.js';
import type { Schema } from '../../database/schema.js';
import { withLinks } from '../pairs/links.js';
import type { DatasetRow } from '../rows.js';
import { rowChunksOf } from '../statements.js';
import { insertDeliveries } from './deliveries.js';
import { webhookOf } from './webhooks.js';

/** What the webhooks of an account know of a dataset. */
export interface Announcement {
  readonly datasetId: string;
  readonly accountId: string;
  readonly name: string;
  readonly status: 'READY' | 'FAILED' | null;
  /** Of a READY dataset; `null` if it is not known. */
  readonly digest: string | null;
  /** The last activity of the dataset, and of those that it links to, when it was compared with this. */
  readonly seenAt: Micros;
  /** 0 if there was no event yet. */
  readonly announcedAt: Micros;
}

/** A dataset of an account that has webhooks. */
export interface WatchedDataset {
  readonly dataset: Dataset;
  /** When the first webhook of the account was made. */
  readonly since: Micros;
  readonly announcement: Announcement | undefined;
}

export interface EventToRecord {
  readonly event: WebhookEvent;
  readonly at: Micros;
  readonly payload: string;
  readonly newId: () => string;
}

/**
 * What was announced of each dataset whose account has webhooks. An event and what it announces are recorded in one
 * transaction, which does nothing if another process has announced something of that dataset in the meantime.
 */
export class Announcements {
  readonly #db: Database;

  constructor(db: Database) {
    this.#db = db;
  }

  async hasWebhooks(): Promise<boolean> {
    return (await this.#db.query.selectFrom('webhook').select('id').limit(1).executeTakeFirst()) !== undefined;
  }

  /** Those of these datasets that are watched. @param ids at most `ROWS_PER_STATEMENT` */
  async watched(ids: readonly string[]): Promise<WatchedDataset[]> {
    return this.#complete(await watchedDatasets(this.#db.query).where('dataset.id', 'in', ids).execute());
  }

  /** The ids of the datasets that link to one of these, since their status may change with it. */
  async linkingTo(ids: readonly string[]): Promise<string[]> {
    const found = await Promise.all(
      rowChunksOf(ids).map((chunk) =>
        this.#db.query.selectFrom('link').select('dataset_id').distinct().where('linked_id', 'in', chunk).execute(),
      ),
    );
    return found.flat().map(({ dataset_id }) => dataset_id);
  }

  /** A page of all watched datasets, by id. */
  async watchedAfter(after: string, limit: number): Promise<WatchedDataset[]> {
    const page = watchedDatasets(this.#db.query).where('dataset.id', '>', after).orderBy('dataset.id').limit(limit);
    return this.#complete(await page.execute());
  }

  async #complete(rows: readonly (DatasetRow & { since: number })[]): Promise<WatchedDataset[]> {
    if (rows.length === 0) return [];
    const ids = rows.map(({ id }) => id);
    const select = this.#db.query.selectFrom('announcement').selectAll().where('dataset_id', 'in', ids);
    const found = new Map((await select.execute()).map((row) => [row.dataset_id, announcementOf(row)]));
    const since = new Map(rows.map((row) => [row.id, row.since]));
    const datasets = await withLinks(this.#db.query, rows);
    return datasets.map((dataset) => {
      const { id } = dataset;
      return { dataset, since: since.get(id) ?? 0, announcement: found.get(id) };
    });
  }

  /** What was announced of those of these datasets that are deleted. @param ids at most `ROWS_PER_STATEMENT` */
  async ofDeleted(ids: readonly string[]): Promise<Announcement[]> {
    const select = this.#db.query
      .selectFrom('announcement')
      .selectAll()
      .where(({ not, exists, selectFrom }) =>
        not(exists(selectFrom('dataset').select('id').whereRef('dataset.id', '=', 'announcement.dataset_id'))),
      );
    return (await select.where('dataset_id', 'in', ids).execute()).map(announcementOf);
  }

  /** A page of all announcements: the ids of those whose datasets are deleted, and the last id; `null` after the end. */
  async deletedAfter(after: string, limit: number): Promise<{ ids: string[]; last: string | null }> {
    const rows = await this.#db.query
      .selectFrom('announcement')
      .leftJoin('dataset', 'dataset.id', 'announcement.dataset_id')
      .select(['announcement.dataset_id', 'dataset.id'])
      .where('announcement.dataset_id', '>', after)
      .orderBy('announcement.dataset_id')
      .limit(limit)
      .execute();
    const deleted = rows.filter(({ id }) => id === null).map(({ dataset_id }) => dataset_id);
    return { ids: deleted, last: rows.at(-1)?.dataset_id ?? null };
  }

  /** Adds what is known of datasets without an event, except of those of which there is something already. */
  async begin(announcements: readonly Announcement[]): Promise<void> {
    for (const chunk of rowChunksOf(announcements.map(columnsOf))) {
      await this.#db.query
        .insertInto('announcement')
        .values(chunk)
        .onConflict((conflict) => conflict.column('dataset_id').doNothing())
        .execute();
    }
  }

  /** Records that a dataset is as announced, so that its files need not be read again. */
  async markSeen({ datasetId, announcedAt }: Announcement, seenAt: Micros): Promise<void> {
    await this.#db.query
      .updateTable('announcement')
      .set({ seen_at: seenAt })
      .where('dataset_id', '=', datasetId)
      .where('announced_at', '=', announcedAt)
      .execute();
  }

  /**
   * Records an event for the enabled webhooks of the account that receive it, and what it announces.
   *
   * @returns whether another process was not first
   */
  async record(before: Announcement, after: Announcement | 'deleted', event: EventToRecord): Promise<boolean> {
    const { query, transact } = this.#db;
    const { datasetId, accountId, announcedAt } = before;
    return transact({ isDurable: true }, async ({ send, commit }) => {
      const update = query.updateTable('announcement');
      const [changed, webhooks] = await send([
        // It locks the row.
        update
          .set(after === 'deleted' ? { announced_at: event.at } : { ...columnsOf(after), announced_at: event.at })
          .where('dataset_id', '=', datasetId)
          .where('announced_at', '=', announcedAt)
          .returning('dataset_id'),
        query.selectFrom('webhook').selectAll().where('account_id', '=', accountId).where('disabled_at', 'is', null),
      ]);
      if (changed.length === 0) return false;
      const receivers = webhooks.map(webhookOf).filter(({ events }) => events.includes(event.event));
      const deliveries = receivers.map(({ id: webhookId }) => ({
        ...{ id: event.newId(), webhookId, datasetId, createdAt: event.at },
        ...{ event: event.event, payload: event.payload },
      }));
      const end = query.deleteFrom('announcement').where('dataset_id', '=', datasetId);
      await commit([...insertDeliveries(query, deliveries), ...(after === 'deleted' ? [end] : [])]);
      return true;
    });
  }
}

/** The datasets of accounts that have webhooks. */
function watchedDatasets(query: Query) {
  return query
    .selectFrom('dataset')
    .innerJoin(
      (eb) =>
        eb
          .selectFrom('webhook')
          .select(({ fn }) => ['account_id as watching', fn.min<number>('created_at').as('since')])
          .groupBy('account_id')
          .as('watcher'),
      (join) => join.onRef('watcher.watching', '=', 'dataset.account_id'),
    )
    .selectAll('dataset')
    .select('watcher.since');
}

function announcementOf(row: Selectable<Schema['announcement']>): Announcement {
  return {
    datasetId: row.dataset_id,
    accountId: row.account_id,
    name: row.name,
    status: row.status as Announcement['status'],
    digest: row.digest,
    seenAt: row.seen_at,
    announcedAt: row.announced_at,
  };
}

function columnsOf(announcement: Announcement) {
  const { datasetId, accountId, name, status, digest, seenAt, announcedAt } = announcement;
  return {
    ...{ dataset_id: datasetId, account_id: accountId, name, status, digest },
    ...{ seen_at: seenAt, announced_at: announcedAt },
  };
}
