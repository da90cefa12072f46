import { countsOf } from '../../dataset/counts.js';
import type { Dataset, DatasetFile, Micros, PendingFile, StoredFile } from '../../dataset/dataset.js';
import { ServiceError } from '../../dataset/errors.js';
import { stemOf } from '../../dataset/media.js';
import { ChangeFeed, type NotifyInstances } from '../database/change-feed.js';
import { type Database, isUniqueViolation } from '../database/database.js';
import { addReservation, type ChangeOptions, changeFiles, type FileChange, type Transition } from './file-changes.js';
import { countColumns, datasetOf, fileOf, STORED_COLUMNS, storedFileOf } from './rows.js';
import {
  type DatasetFilter,
  datasetsBy,
  type FilePage,
  filesOfStems,
  IS_PENDING,
  IS_PRESIGNED,
  ROWS_PER_STATEMENT,
  rowChunksOf,
  storedAfter,
  trashDataset,
} from './statements.js';

export interface CatalogOptions {
  /** How long the bytes of a displaced or removed file stay readable. */
  readonly blobGrace: Micros;
  /** Where changes are heard, those of other processes as well where there are any. */
  readonly changeFeed?: ChangeFeed;
  readonly notifyInstances?: NotifyInstances;
}

/**
 * The metadata of datasets and files, and the truth about them: what is committed here has happened, and nothing else.
 * Every change to a file moves its dataset's counts in the same transaction, and bytes no row refers to any more go to the
 * trash there too, so that a crash leaves neither a wrong count nor a forgotten blob.
 */
export class Catalog {
  readonly #db: Database;
  readonly #changes: ChangeFeed;
  readonly #changeOptions: ChangeOptions;

  constructor(
    db: Database,
    { blobGrace, changeFeed: changes = new ChangeFeed(), notifyInstances: tellOthers = () => [] }: CatalogOptions,
  ) {
    this.#db = db;
    this.#changes = changes;
    this.#changeOptions = { blobGrace, notification: (datasetId) => tellOthers(`dataset ${datasetId}`) };
  }

  /** @throws ServiceError `name_taken` */
  async createDataset(dataset: Omit<Dataset, 'counts' | 'updatedAt'>): Promise<Dataset> {
    const row = {
      id: dataset.id,
      account_id: dataset.accountId,
      name: dataset.name,
      created_at: dataset.createdAt,
      ...countColumns(countsOf([], dataset.createdAt)),
    };
    const statements = [this.#db.query.insertInto('dataset').values(row), ...this.#changeOptions.notification(row.id)];
    try {
      await this.#db.transact({ isDurable: true }, ({ commit }) => commit(statements));
    } catch (error) {
      if (!isUniqueViolation(error)) throw error;
      throw new ServiceError(
        'name_taken',
        `A dataset named "${dataset.name}" already exists. Choose another name, or delete that one first.`,
        { cause: error },
      );
    }
    this.#changes.announce(row.id);
    return datasetOf(row);
  }

  async dataset(key: { accountId: string; id: string }): Promise<Dataset | undefined> {
    const row = await this.#db.query
      .selectFrom('dataset')
      .selectAll()
      .where('id', '=', key.id)
      .where('account_id', '=', key.accountId)
      .executeTakeFirst();
    return row && datasetOf(row);
  }

  /** An account's datasets, or everybody's, newest first; those older than `after` where it is given. */
  async datasets(filter: DatasetFilter): Promise<Dataset[]> {
    return (await datasetsBy(this.#db.query, filter).execute()).map(datasetOf);
  }

  /** A dataset and all its rows, in no particular order, as they were at one moment: its counts has counted these very rows. */
  async contents(key: {
    accountId: string;
    id: string;
  }): Promise<{ dataset: Dataset; files: DatasetFile[] } | undefined> {
    const { query, read } = this.#db;
    const own = query.selectFrom('dataset').where('id', '=', key.id).where('account_id', '=', key.accountId);
    const files = query.selectFrom('file');
    const hasOthers = own.where(({ eb }) => eb(eb('pending', '+', eb.ref('rejected')), '>', 0));
    const [[dataset], stored, others] = await read([
      own.selectAll(),
      // Nearly all rows are stored ones, and the columns they leave empty are a third of the cost of reading them.
      files.select(STORED_COLUMNS).where('dataset_id', '=', own.select('id')).where('state', '=', 'stored'),
      files.selectAll().where('dataset_id', '=', hasOthers.select('id')).where('state', '<>', 'stored'),
    ]);
    if (dataset === undefined) return undefined;
    return {
      dataset: datasetOf(dataset),
      files: [...stored.map((row) => storedFileOf(row, key.id)), ...others.map(fileOf)],
    };
  }

  /** All rows of a dataset, whoever it belongs to, in no particular order. */
  async files(datasetId: string): Promise<DatasetFile[]> {
    const rows = await this.#db.query.selectFrom('file').selectAll().where('dataset_id', '=', datasetId).execute();
    return rows.map(fileOf);
  }

  async storedFile(key: { datasetId: string; filename: string }): Promise<StoredFile | undefined> {
    const row = await this.#db.query
      .selectFrom('file')
      .selectAll()
      .where('dataset_id', '=', key.datasetId)
      .where('stem', '=', stemOf(key.filename))
      .where('filename', '=', key.filename)
      .where('state', '=', 'stored')
      .executeTakeFirst();
    return row && (fileOf(row) as StoredFile);
  }

  /**
   * The first good files of a dataset behind a name, `limit` at the most, in the order of their names as the database sorts
   * text: SQLite by bytes, Postgres by the collation of the database.
   */
  async storedFilesAfter(page: FilePage): Promise<StoredFile[]> {
    return (await storedAfter(this.#db.query, page).execute()).map((row) => fileOf(row) as StoredFile);
  }

  /** The good files among these names, in no particular order. */
  async storedFiles(key: { datasetId: string; filenames: readonly string[] }): Promise<StoredFile[]> {
    const wanted = new Set(key.filenames);
    const selects = filesOfStems(this.#db.query, key.datasetId, [...new Set(key.filenames.map(stemOf))]);
    const rows = await Promise.all(selects.map((select) => select.execute()));
    return rows
      .flat()
      .map(fileOf)
      .filter((file): file is StoredFile => file.upload.state === 'stored' && wanted.has(file.filename));
  }

  /** A file in any state, by the id that links and blobs carry. */
  async file(id: string): Promise<DatasetFile | undefined> {
    const row = await this.#db.query.selectFrom('file').selectAll().where('id', '=', id).executeTakeFirst();
    return row && fileOf(row);
  }

  /** Pending uploads that were arriving when their lease ran out at or before `until`. */
  async expiredLeases(until: Micros): Promise<PendingFile[]> {
    const rows = await this.#db.query.selectFrom('file').selectAll().where('arriving_until', '<=', until).execute();
    return rows.map((row) => fileOf(row) as PendingFile);
  }

  /**
   * Ids, in their order, of a dataset's uploads that are promised through a presigned link and that nobody is settling at
   * `now`, be they expired or not.
   */
  async pendingPresignedIds({ now, datasetId }: { now: Micros; datasetId: string }): Promise<string[]> {
    const rows = await this.#awaited(now).select('id').where('dataset_id', '=', datasetId).orderBy('id').execute();
    return rows.map(({ id }) => id);
  }

  /** Those of them that have one of these ids. */
  async pendingPresignedUploads({ now, ids }: { now: Micros; ids: readonly string[] }): Promise<PendingFile[]> {
    const files: PendingFile[] = [];
    for (const chunk of rowChunksOf(ids)) {
      const rows = await this.#awaited(now).selectAll().where('id', 'in', chunk).execute();
      files.push(...rows.map((row) => fileOf(row) as PendingFile));
    }
    return files;
  }

  /** Datasets with such uploads whose links ran out at or after `expiringFrom`, and when the last of them was promised. */
  async datasetsWithPresignedUploads(query: {
    now: Micros;
    expiringFrom: Micros;
  }): Promise<{ datasetId: string; reservedAt: Micros }[]> {
    const rows = await this.#awaited(query.now)
      .select(({ fn }) => ['dataset_id', fn.max('created_at').as('reserved_at')])
      .where('expires_at', '>=', query.expiringFrom)
      .groupBy('dataset_id')
      .execute();
    return rows.map((row) => ({ datasetId: row.dataset_id, reservedAt: row.reserved_at }));
  }

  #awaited(now: Micros) {
    return this.#db.query
      .selectFrom('file')
      .where('state', '=', IS_PENDING)
      .where('via', '=', IS_PRESIGNED)
      .where((eb) => eb.or([eb('arriving_until', 'is', null), eb('arriving_until', '<=', now)]));
  }

  /**
   * Applies a transition to the stem groups that `filenames` belong to, all in one transaction. The transition may be
   * called again where the database broke the transaction off.
   *
   * @returns the dataset as it now is; `undefined` where it does not exist any more, or where the transition had lost
   * its subject in one of the groups: then nothing has changed.
   */
  async change(change: FileChange, transition: Transition): Promise<Dataset | undefined> {
    const dataset = await changeFiles(this.#db, change, transition, this.#changeOptions);
    if (dataset !== undefined) this.#changes.announce(change.datasetId);
    return dataset;
  }

  /**
   * Adds the promise of a direct upload, without durability.
   *
   * @returns the dataset as it now is; `undefined` where the account has none of that id: then nothing has changed.
   */
  async reserveDirect(promise: { accountId: string; file: PendingFile }): Promise<Dataset | undefined> {
    const dataset = await addReservation(this.#db, promise, this.#changeOptions);
    if (dataset !== undefined) this.#changes.announce(dataset.id);
    return dataset;
  }

  /** @returns false where there was no such dataset. */
  async deleteDataset(key: { accountId: string; id: string }, now: Micros): Promise<boolean> {
    const { query, hasRowLocks, transact } = this.#db;
    const dataset = query
      .selectFrom('dataset')
      .select('id')
      .where('id', '=', key.id)
      .where('account_id', '=', key.accountId);
    // The lock first, so that a change under way is over before its files are gone through.
    const [, , deleted] = await transact({ isDurable: true }, ({ commit }) =>
      commit([
        hasRowLocks ? dataset.forUpdate() : dataset,
        trashDataset(query, key, { now, blobGrace: this.#changeOptions.blobGrace }),
        query.deleteFrom('dataset').where('id', '=', key.id).where('account_id', '=', key.accountId).returning('id'),
        ...this.#changeOptions.notification(key.id),
      ]),
    );
    if (deleted.length > 0) this.#changes.announce(key.id);
    return deleted.length > 0;
  }

  /** Calls back after every change to the dataset, its removal included, until the returned function is called. */
  onChange(datasetId: string, listener: () => void): () => void {
    return this.#changes.onChange(datasetId, listener);
  }

  /** As `onChange`, for every dataset; the listener is given its id, and `onGap` called where some may have been missed. */
  onAnyChange(listener: (datasetId: string) => void, onGap?: () => void): () => void {
    return this.#changes.onAnyChange(listener, onGap);
  }

  /** Keys of blobs that may be deleted now, some hundreds at a time. */
  async expiredTrash(now: Micros): Promise<string[]> {
    const rows = await this.#db.query
      .selectFrom('trash')
      .select('blob_key')
      .where('delete_after', '<=', now)
      .limit(ROWS_PER_STATEMENT)
      .execute();
    return rows.map((row) => row.blob_key);
  }

  async removeFromTrash(blobKeys: readonly string[]): Promise<void> {
    for (const chunk of rowChunksOf(blobKeys))
      await this.#db.query.deleteFrom('trash').where('blob_key', 'in', chunk).execute();
  }

  /** The value of a setting of the installation, made on first use and the same for ever after. */
  async setting(name: string, make: () => string): Promise<string> {
    await this.#db.query
      .insertInto('setting')
      .values({ name, value: make() })
      .onConflict((conflict) => conflict.column('name').doNothing())
      .execute();
    const row = await this.#db.query
      .selectFrom('setting')
      .select('value')
      .where('name', '=', name)
      .executeTakeFirstOrThrow();
    return row.value;
  }

  /** Answers when the database does. */
  async ping(): Promise<void> {
    await this.#db.query.selectFrom('setting').select('name').limit(1).execute();
  }
}
