import { EventEmitter } from 'node:events';
import type { Dataset, DatasetFile, Micros, PendingFile, StoredFile } from '../dataset/dataset.js';
import { ServiceError } from '../dataset/errors.js';
import { stemOf } from '../dataset/media.js';
import { recount, stemGroupsOf, tallyOf } from '../dataset/tally.js';
import type { StemGroup } from '../dataset/transitions.js';
import { type Database, inDurability, isUniqueViolation } from './database.js';
import { chunksOf, filesOfStems, pendingUntil, ROWS_PER_STATEMENT, replaceFiles } from './file-statements.js';
import { datasetOf, fileOf, STORED_COLUMNS, storedFileOf, tallyColumns } from './rows.js';

/** The event that every change is, beside the one named by its dataset's id. */
const ANY = Symbol('any');

export interface CatalogOptions {
  /** How long the bytes of a displaced or removed file stay readable. */
  readonly blobGrace: Micros;
}

/** A change to the files of some stems of one dataset. */
interface Change {
  readonly datasetId: string;
  readonly filenames: readonly string[];
  readonly now: Micros;
  /** Whether it counts as activity: a lease that is renewed does not. */
  readonly isActivity: boolean;
  /** Whether it must outlive a power cut before it returns; what only a crash could lose needs not wait for the disk. */
  readonly isDurable?: boolean;
  /** Whether uploads that were arriving and go may have left bytes; whoever ended them cleanly knows that they did not. */
  readonly mayLeaveBytes?: boolean;
}

/**
 * The metadata of datasets and files, and the truth about them: what is committed here has happened, and nothing else.
 * Every change to a file moves its dataset's tally in the same transaction, and bytes no row refers to any more go to the
 * trash there too, so that a crash leaves neither a wrong count nor a forgotten blob.
 */
export class Catalog {
  readonly #db: Database;
  readonly #blobGrace: Micros;
  readonly #changes = new EventEmitter().setMaxListeners(0);

  constructor(db: Database, options: CatalogOptions) {
    this.#db = db;
    this.#blobGrace = options.blobGrace;
  }

  /** @throws ServiceError `name_taken` */
  async createDataset(dataset: Omit<Dataset, 'tally' | 'updatedAt'>): Promise<Dataset> {
    const row = {
      id: dataset.id,
      account_id: dataset.accountId,
      name: dataset.name,
      created_at: dataset.createdAt,
      ...tallyColumns(tallyOf([], dataset.createdAt)),
    };
    try {
      await this.#db.insertInto('dataset').values(row).execute();
    } catch (error) {
      if (!isUniqueViolation(error)) throw error;
      throw new ServiceError(
        'name_taken',
        `A dataset named "${dataset.name}" already exists. Choose another name, or delete that one first.`,
        { cause: error },
      );
    }
    return datasetOf(row);
  }

  async dataset(key: { accountId: string; id: string }): Promise<Dataset | undefined> {
    const row = await this.#db
      .selectFrom('dataset')
      .selectAll()
      .where('id', '=', key.id)
      .where('account_id', '=', key.accountId)
      .executeTakeFirst();
    return row && datasetOf(row);
  }

  /** An account's datasets, or everybody's, newest first; those older than `after` where it is given. */
  async datasets(query: {
    accountId?: string | undefined;
    id?: string | undefined;
    name?: string | undefined;
    after?: { createdAt: Micros; id: string } | undefined;
    limit?: number | undefined;
  }): Promise<Dataset[]> {
    const { accountId, id, after, limit, name } = query;
    let select = this.#db.selectFrom('dataset').selectAll().orderBy('created_at', 'desc').orderBy('id', 'desc');
    if (accountId !== undefined) select = select.where('account_id', '=', accountId);
    if (id !== undefined) select = select.where('id', '=', id);
    if (name !== undefined) select = select.where('name', '=', name);
    if (after !== undefined) {
      select = select.where(({ eb, refTuple, tuple }) =>
        eb(refTuple('created_at', 'id'), '<', tuple(after.createdAt, after.id)),
      );
    }
    if (limit !== undefined) select = select.limit(limit);
    return (await select.execute()).map(datasetOf);
  }

  /** All rows of a dataset, in no particular order. */
  async files(datasetId: string): Promise<DatasetFile[]> {
    const ofDataset = this.#db.selectFrom('file').where('dataset_id', '=', datasetId);
    // Nearly all rows are stored ones, and the columns they leave empty are a third of the cost of reading them.
    const stored = await ofDataset.select(STORED_COLUMNS).where('state', '=', 'stored').execute();
    const others = await ofDataset.selectAll().where('state', '<>', 'stored').execute();
    return [...stored.map((row) => storedFileOf(row, datasetId)), ...others.map(fileOf)];
  }

  async storedFile(key: { datasetId: string; filename: string }): Promise<StoredFile | undefined> {
    const row = await this.#db
      .selectFrom('file')
      .selectAll()
      .where('dataset_id', '=', key.datasetId)
      .where('stem', '=', stemOf(key.filename))
      .where('filename', '=', key.filename)
      .where('state', '=', 'stored')
      .executeTakeFirst();
    return row && (fileOf(row) as StoredFile);
  }

  /** The good files among these names, in no particular order. */
  async storedFiles(key: { datasetId: string; filenames: readonly string[] }): Promise<StoredFile[]> {
    const wanted = new Set(key.filenames);
    const files = await filesOfStems(this.#db, key.datasetId, [...new Set(key.filenames.map(stemOf))]);
    return files.filter((file): file is StoredFile => file.upload.state === 'stored' && wanted.has(file.filename));
  }

  /** A file in any state, by the id that links and blobs carry. */
  async file(id: string): Promise<DatasetFile | undefined> {
    const row = await this.#db.selectFrom('file').selectAll().where('id', '=', id).executeTakeFirst();
    return row && fileOf(row);
  }

  /** Pending uploads that were arriving when their lease ran out at or before `until`. */
  async abandonedUploads(until: Micros): Promise<PendingFile[]> {
    const rows = await this.#db
      .selectFrom('file')
      .selectAll()
      .where('state', '=', 'pending')
      .where('arriving_until', '<=', until)
      .execute();
    return rows.map((row) => fileOf(row) as PendingFile);
  }

  /**
   * Applies a transition to the stem groups that `filenames` belong to, all in one transaction.
   *
   * @returns the dataset as it now is; `undefined` where it does not exist any more, or where the transition had lost
   * its subject in one of the groups: then nothing has changed.
   */
  async change(change: Change, transition: (group: StemGroup, stem: string) => StemGroup | undefined) {
    const dataset = await this.#db
      .connection()
      .execute((connection) =>
        inDurability(connection, change.isDurable ?? true, (db) =>
          db.transaction().execute((tx) => this.#changeIn(tx, change, transition)),
        ),
      );
    if (dataset !== undefined) this.#announce(change.datasetId);
    return dataset;
  }

  async #changeIn(
    tx: Database,
    { datasetId, filenames, now, isActivity, mayLeaveBytes = true }: Change,
    transition: (group: StemGroup, stem: string) => StemGroup | undefined,
  ): Promise<Dataset | undefined> {
    const row = await tx.selectFrom('dataset').selectAll().where('id', '=', datasetId).executeTakeFirst();
    if (row === undefined) return undefined;
    const stems = [...new Set(filenames.map(stemOf))];
    const before = stemGroupsOf(await filesOfStems(tx, datasetId, stems));
    const removed: DatasetFile[] = [];
    const written: DatasetFile[] = [];
    const { lastActivity, pendingUntil: _, ...kept } = datasetOf(row).tally;
    let counts = kept;
    for (const stem of stems) {
      const old = before.get(stem) ?? [];
      const next = transition(old, stem);
      if (next === undefined) return undefined;
      const unchanged = new Set(old.filter((file) => next.includes(file)));
      removed.push(...old.filter((file) => !unchanged.has(file)));
      written.push(...next.filter((file) => !unchanged.has(file)));
      counts = recount(counts, old, next);
    }
    await replaceFiles(tx, { removed, written, mayLeaveBytes, deleteAfter: now + this.#blobGrace });
    const tally = {
      ...counts,
      pendingUntil: counts.pending === 0 ? null : await pendingUntil(tx, datasetId),
      lastActivity: isActivity ? now : lastActivity,
    };
    await tx.updateTable('dataset').set(tallyColumns(tally)).where('id', '=', datasetId).execute();
    return { ...datasetOf(row), updatedAt: tally.lastActivity, tally };
  }

  /** @returns false where there was no such dataset. */
  async deleteDataset(key: { accountId: string; id: string }, now: Micros): Promise<boolean> {
    const isDeleted = await this.#db.transaction().execute(async (tx) => {
      await tx
        .insertInto('trash')
        .columns(['blob_id', 'delete_after'])
        .expression((eb) =>
          eb
            .selectFrom('file')
            .innerJoin('dataset', 'dataset.id', 'file.dataset_id')
            .select(['file.id', eb.val(now + this.#blobGrace).as('delete_after')])
            .where('dataset.id', '=', key.id)
            .where('dataset.account_id', '=', key.accountId)
            .where('file.state', '<>', 'rejected'),
        )
        .execute();
      const { numDeletedRows } = await tx
        .deleteFrom('dataset')
        .where('id', '=', key.id)
        .where('account_id', '=', key.accountId)
        .executeTakeFirstOrThrow();
      return numDeletedRows > 0n;
    });
    if (isDeleted) this.#announce(key.id);
    return isDeleted;
  }

  /** Calls back after every change to the dataset, its removal included, until the returned function is called. */
  onChange(datasetId: string, listener: () => void): () => void {
    this.#changes.on(datasetId, listener);
    return () => this.#changes.off(datasetId, listener);
  }

  /** As `onChange`, for every dataset; the listener is given its id. */
  onAnyChange(listener: (datasetId: string) => void): () => void {
    this.#changes.on(ANY, listener);
    return () => this.#changes.off(ANY, listener);
  }

  #announce(datasetId: string): void {
    this.#changes.emit(datasetId);
    this.#changes.emit(ANY, datasetId);
  }

  /** Blobs that may be deleted now, some hundreds at a time. */
  async dueTrash(now: Micros): Promise<string[]> {
    const rows = await this.#db
      .selectFrom('trash')
      .select('blob_id')
      .where('delete_after', '<=', now)
      .limit(ROWS_PER_STATEMENT)
      .execute();
    return rows.map((row) => row.blob_id);
  }

  async forgetTrash(blobIds: readonly string[]): Promise<void> {
    for (const chunk of chunksOf(blobIds)) await this.#db.deleteFrom('trash').where('blob_id', 'in', chunk).execute();
  }

  /** The value of a setting of the installation, made on first use and the same for ever after. */
  async setting(name: string, make: () => string): Promise<string> {
    await this.#db
      .insertInto('setting')
      .values({ name, value: make() })
      .onConflict((conflict) => conflict.column('name').doNothing())
      .execute();
    const row = await this.#db.selectFrom('setting').select('value').where('name', '=', name).executeTakeFirstOrThrow();
    return row.value;
  }

  /** Answers when the database does. */
  async ping(): Promise<void> {
    await this.#db.selectFrom('setting').select('name').limit(1).execute();
  }
}
