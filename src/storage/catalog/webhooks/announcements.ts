import type { Selectable } from 'kysely';
import type { WebhookEvent } from '../../../api/webhook-schemas.js';
import type { Dataset, Micros } from '../../../dataset/dataset.js';
import type { Database } from '../../database/database.js';
import type { Schema } from '../../database/schema.js';
import { withLinks } from '../pairs/links.js';
import type { DatasetKeyOfAccount } from '../dataset-changes.js';
import type { DatasetRow } from '../rows.js';
import { IS_LIVE, rowChunksOf } from '../statements.js';
import { insertDeliveries } from './deliveries.js';
import { webhookOf } from './webhooks.js';

/** The state of a dataset that was announced. */
interface AnnouncedState {
  readonly status: 'READY' | 'FAILED' | null;
  /** Of a READY dataset; `null` if it is not known. */
  readonly digest: string | null;
  /** The last activity of the dataset, and of those that it links to, when it was compared with this. */
  readonly seenAt: Micros;
}

/** What the webhooks of an account know of a dataset. */
export interface Announcement extends AnnouncedState {
  readonly datasetId: string;
  readonly accountId: string;
  readonly name: string;
  /** 0 if there was no event yet. */
  readonly announcedAt: Micros;
}

/** An account that has webhooks. */
export interface WatchedAccount {
  readonly accountId: string;
  /** When the first of its webhooks was made. */
  readonly since: Micros;
}

/** A dataset of an account that has webhooks. */
export interface WatchedDataset extends Pick<WatchedAccount, 'since'> {
  readonly dataset: Dataset;
  readonly announcement: Announcement | undefined;
}

export interface EventToRecord {
  readonly event: WebhookEvent;
  /** Later than the last event of the dataset. */
  readonly at: Micros;
  readonly dueAt: Micros;
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
    const rows = await this.#db.query.selectFrom('dataset').selectAll().where('id', 'in', ids).execute();
    if (rows.length === 0) return [];
    // Not joined: from some ids on, SQLite would read all datasets of these accounts.
    const accounts = await this.watchedAccounts([...new Set(rows.map((row) => row.account_id))]);
    const since = new Map(accounts.map((account) => [account.accountId, account.since]));
    const watched = rows.flatMap((row) => {
      const from = since.get(row.account_id);
      return from === undefined ? [] : [{ ...row, since: from }];
    });
    return this.#complete(watched);
  }

  /**
   * Those of these datasets that are watched, also deleted ones, and the datasets that link to them, since their status may change
   * with them. A dataset may be in the list twice.
   */
  async changedBy(ids: readonly string[]): Promise<DatasetKeyOfAccount[]> {
    const { query } = this.#db;
    const found = await Promise.all(
      rowChunksOf(ids).flatMap((chunk) => [
        query
          .selectFrom('dataset')
          .select(['id', 'account_id as accountId'])
          .where('id', 'in', chunk)
          .where(IS_LIVE)
          .execute(),
        query
          .selectFrom('announcement')
          .select(['dataset_id as id', 'account_id as accountId'])
          .where('dataset_id', 'in', chunk)
          .execute(),
        query
          .selectFrom('link')
          .innerJoin('dataset', 'dataset.id', 'link.dataset_id')
          .select(['dataset.id', 'dataset.account_id as accountId'])
          .where('link.linked_id', 'in', chunk)
          .execute(),
      ]),
    );
    const datasets = found.flat();
    if (datasets.length === 0) return [];
    const accounts = await this.watchedAccounts([...new Set(datasets.map(({ accountId }) => accountId))]);
    const watched = new Set(accounts.map(({ accountId }) => accountId));
    return datasets.filter(({ accountId }) => watched.has(accountId));
  }

  /** The accounts that have webhooks, of all or of these. */
  async watchedAccounts(accountIds?: readonly string[]): Promise<WatchedAccount[]> {
    const all = this.#db.query
      .selectFrom('webhook')
      .select(({ fn }) => ['account_id as accountId', fn.min<number>('created_at').as('since')])
      .groupBy('account_id');
    return (accountIds === undefined ? all : all.where('account_id', 'in', accountIds)).execute();
  }

  /** A page of the datasets of an account that has webhooks, and the last name; `null` after the end. */
  async watchedAfter(
    { accountId, since }: WatchedAccount,
    { after, limit }: { after: string; limit: number },
  ): Promise<{ datasets: WatchedDataset[]; last: string | null }> {
    // By name, which has an index within the account: the time of a page does not grow with the datasets of others.
    const rows = await this.#db.query
      .selectFrom('dataset')
      .selectAll()
      .where('account_id', '=', accountId)
      .where('name', '>', after)
      .orderBy('name')
      .limit(limit)
      .execute();
    const datasets = await this.#complete(rows.map((row) => ({ ...row, since })));
    return { datasets, last: rows.at(-1)?.name ?? null };
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
        not(exists(selectFrom('dataset').select('id').whereRef('id', '=', 'announcement.dataset_id').where(IS_LIVE))),
      );
    return (await select.where('dataset_id', 'in', ids).execute()).map(announcementOf);
  }

  /** A page of all announcements: the datasets of those that are deleted, and the last id; `null` after the end. */
  async deletedAfter(after: string, limit: number): Promise<{ deleted: DatasetKeyOfAccount[]; last: string | null }> {
    const rows = await this.#db.query
      .selectFrom('announcement')
      .leftJoin('dataset', (join) => join.onRef('dataset.id', '=', 'announcement.dataset_id').on(IS_LIVE))
      .select(['announcement.dataset_id', 'announcement.account_id', 'dataset.id'])
      .where('announcement.dataset_id', '>', after)
      .orderBy('announcement.dataset_id')
      .limit(limit)
      .execute();
    const deleted = rows.filter(({ id }) => id === null);
    const keys = deleted.map((row) => ({ accountId: row.account_id, id: row.dataset_id }));
    return { deleted: keys, last: rows.at(-1)?.dataset_id ?? null };
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
   * @returns false if another process was first
   */
  async record(before: Announcement, after: AnnouncedState | 'deleted', event: EventToRecord): Promise<boolean> {
    const { query, hasRowLocks, transact } = this.#db;
    const { datasetId, accountId, announcedAt } = before;
    const enabled = query
      .selectFrom('webhook')
      .selectAll()
      .where('account_id', '=', accountId)
      .where('disabled_at', 'is', null);
    return transact({ isDurable: true }, async ({ send, commit }) => {
      const update = query.updateTable('announcement');
      const [webhooks, changed] = await send([
        // The lock makes the outcome of an attempt wait, and a deletion of a webhook, which itself locks the webhook before the
        // announcements. Two events of an account lock its webhooks in the same order, so that there is no deadlock.
        hasRowLocks ? enabled.orderBy('id').forNoKeyUpdate() : enabled,
        // It locks the row. The name stays: the dataset may have been renamed since `before` was read.
        update
          .set({ announced_at: event.at, ...(after !== 'deleted' && findingColumnsOf(after)) })
          .where('dataset_id', '=', datasetId)
          .where('announced_at', '=', announcedAt)
          .returning('dataset_id'),
      ]);
      if (changed.length === 0) return false;
      const receivers = webhooks.map(webhookOf).filter(({ events }) => events.includes(event.event));
      const deliveries = receivers.map(({ id: webhookId }) => ({
        ...{ id: event.newId(), webhookId, datasetId, createdAt: event.at, dueAt: event.dueAt },
        ...{ event: event.event, payload: event.payload },
      }));
      const end = query.deleteFrom('announcement').where('dataset_id', '=', datasetId);
      await commit([...insertDeliveries(query, deliveries), ...(after === 'deleted' ? [end] : [])]);
      return true;
    });
  }
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
  const { datasetId, accountId, name, announcedAt } = announcement;
  const names = { dataset_id: datasetId, account_id: accountId, name };
  return { ...names, announced_at: announcedAt, ...findingColumnsOf(announcement) };
}

function findingColumnsOf({ status, digest, seenAt }: AnnouncedState) {
  return { status, digest, seen_at: seenAt };
}
