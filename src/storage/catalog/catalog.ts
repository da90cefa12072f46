import { withTimeout } from '../../abort-signals.js';
import type { Dataset, DatasetFile, Micros, PendingFile, StoredFile } from '../../dataset/dataset.js';
import { ServiceError } from '../../dataset/errors.js';
import { endReservations } from '../../dataset/upload-transitions.js';
import { ChangeFeed, type NotifyInstances } from '../database/change-feed.js';
import { FairQueue } from '../fair-queue.js';
import type { Database } from '../database/database.js';
import { type AccountLimits, expiredReservations, NO_LIMITS } from './accounts/account-usage.js';
import {
  addDataset,
  type ChangedDatasetKey,
  changeDataset,
  type DatasetChanges,
  type DatasetKeyOfAccount,
  eraseDataset,
  type NewDataset,
} from './dataset-changes.js';
import {
  addReservation,
  type ChangedDataset,
  type ChangeOptions,
  changeFiles,
  type FileChange,
  type Transition,
} from './file-changes.js';
import { Groups } from './groups.js';
import { Revisions } from './history/revisions.js';
import { PerceptualHashes } from './perceptual-hashes.js';
import { type DatasetContents, LinkedDatasets } from './pairs/linked-datasets.js';
import { Links } from './pairs/links.js';
import { type RevisionOfDataset, restoreRevision, undoRevision } from './restore-revision.js';
import { type DatasetRecord, datasetRecordOf, fileOf, filesOf } from './rows.js';
import {
  type DatasetFilter,
  datasetsBy,
  type FilePage,
  IS_PENDING,
  IS_PRESIGNED,
  rowsOf,
  storedAfter,
  storedFilesNamed,
} from './statements.js';
import { Trash } from './trash.js';

export interface CatalogOptions {
  /** How long the blob of a replaced or removed file stays readable. */
  readonly blobGrace: Micros;
  /** An event of webhooks is recorded so long after a dataset's last change; 0 by default. */
  readonly captionGrace?: Micros | undefined;
  readonly accountLimits?: AccountLimits | undefined;
  readonly changeFeed?: ChangeFeed;
  readonly notifyInstances?: NotifyInstances;
}

/** Concurrent reads of all files of a dataset. */
const READS_AT_ONCE = 2;

/** The limit of the wait for such a read, which is then answered with 503. */
const MAX_WAIT_MS = 10_000;

/**
 * Datasets and files in the database. One transaction changes a file, the counts of its dataset and the trash, so that a crash
 * leaves neither a wrong count nor an untracked blob.
 */
export class Catalog {
  /** Changes to datasets, and their deletions, by this and other processes. */
  readonly changes: ChangeFeed;
  readonly revisions: Revisions;
  readonly links: Links;
  readonly groups: Groups;
  readonly hashes: PerceptualHashes;
  readonly trash: Trash;
  readonly limits: AccountLimits;
  readonly #db: Database;
  readonly #reads = new FairQueue(READS_AT_ONCE);
  readonly #linkedDatasets: LinkedDatasets;
  readonly #changeOptions: ChangeOptions;

  constructor(db: Database, options: CatalogOptions) {
    const { blobGrace, captionGrace = 0, accountLimits: limits = NO_LIMITS, notifyInstances = () => [] } = options;
    this.#db = db;
    this.limits = limits;
    this.revisions = new Revisions(db);
    this.trash = new Trash(db);
    this.changes = options.changeFeed ?? new ChangeFeed();
    const { changes } = this;
    this.#changeOptions = { blobGrace, captionGrace, limits, changes, notification: notifyInstances };
    this.#linkedDatasets = new LinkedDatasets(db, (accountId, read) => this.readMany(accountId, read));
    this.links = new Links(db, this.#changeOptions);
    this.groups = new Groups(db, this.#changeOptions);
    this.hashes = new PerceptualHashes(db, this.#changeOptions);
  }

  createDataset(dataset: NewDataset): Promise<Dataset> {
    return addDataset(this.#db, dataset, this.#changeOptions);
  }

  /** A dataset with its links. After a change, one with links takes a read of all its files and theirs. */
  async dataset(key: DatasetKeyOfAccount): Promise<Dataset | undefined> {
    return (await this.#linkedDatasets.withLinks(await this.#rowOf(key).execute()))[0];
  }

  /** The datasets that match a filter, newest first, with their links. */
  async datasets(filter: DatasetFilter): Promise<Dataset[]> {
    return this.#linkedDatasets.withLinks(await datasetsBy(this.#db.query, filter).execute());
  }

  /** A dataset without what its links decide, for callers that need no status. */
  async record(key: DatasetKeyOfAccount): Promise<DatasetRecord | undefined> {
    const row = await this.#rowOf(key).executeTakeFirst();
    return row && datasetRecordOf(row);
  }

  async records(filter: DatasetFilter): Promise<DatasetRecord[]> {
    return (await datasetsBy(this.#db.query, filter).execute()).map(datasetRecordOf);
  }

  #rowOf({ accountId, id }: DatasetKeyOfAccount) {
    return this.#db.query.selectFrom('dataset').selectAll().where('id', '=', id).where('account_id', '=', accountId);
  }

  contents(key: DatasetKeyOfAccount): Promise<DatasetContents | undefined> {
    return this.readMany(key.accountId, () => this.#linkedDatasets.contents(key));
  }

  /** Limits reads of all files of a dataset, which take megabytes. @throws ServiceError `unavailable` after 10 seconds; as `read` */
  async readMany<T>(accountId: string, read: () => Promise<T>): Promise<T> {
    const release = await withTimeout(MAX_WAIT_MS, (signal) => this.#reads.acquire(accountId, { signal })).catch(
      (cause) => {
        throw new ServiceError('unavailable', 'Many datasets are being read right now. Try again.', { cause });
      },
    );
    return read().finally(release);
  }

  /** All files of a dataset of any account, unordered. */
  async files(datasetId: string): Promise<DatasetFile[]> {
    const rows = await this.#db.query.selectFrom('file').selectAll().where('dataset_id', '=', datasetId).execute();
    return filesOf(rows);
  }

  async storedFile({ datasetId, filename }: { datasetId: string; filename: string }): Promise<StoredFile | undefined> {
    return (await this.storedFiles({ datasetId, filenames: [filename] }))[0];
  }

  /** A page of stored files in the order of the database: SQLite sorts names by bytes, Postgres by its collation. */
  async storedFilesAfter(page: FilePage): Promise<StoredFile[]> {
    return (await storedAfter(this.#db.query, page).execute()).map((row) => fileOf(row) as StoredFile);
  }

  async storedFiles(key: { datasetId: string; filenames: readonly string[] }): Promise<StoredFile[]> {
    const rows = await rowsOf(storedFilesNamed(this.#db.query, key.datasetId, [...new Set(key.filenames)]));
    return rows.map((row) => fileOf(row) as StoredFile);
  }

  /** A file in any state. */
  async file(id: string): Promise<DatasetFile | undefined> {
    const row = await this.#db.query.selectFrom('file').selectAll().where('id', '=', id).executeTakeFirst();
    return row && fileOf(row);
  }

  async expiredLeases(until: Micros): Promise<PendingFile[]> {
    const leased = this.#db.query.selectFrom('file').selectAll().where('lease_until', '<=', until);
    return (await leased.where('state', '=', IS_PENDING).execute()).map((row) => fileOf(row) as PendingFile);
  }

  /** Stops counting uploads whose links expired before their bytes arrived. */
  async endReservations(now: Micros): Promise<void> {
    const names = new Map<string, string[]>();
    for (const { dataset_id: id, filename } of await expiredReservations(this.#db.query, now).execute()) {
      const ofDataset = names.get(id) ?? [];
      names.set(id, ofDataset);
      ofDataset.push(filename);
    }
    for (const [datasetId, filenames] of names) {
      const change = { datasetId, filenames, now, isActivity: false, isDurable: false };
      await this.change(change, (group) => endReservations(group, now));
    }
  }

  /** When the last pending presigned upload that is still valid was reserved; `null` without any. */
  async lastPresigned(uploads: { datasetId: string; expiresAfter: Micros }): Promise<Micros | null> {
    const { datasetId, expiresAfter } = uploads;
    const latest = this.#db.query
      .selectFrom('file')
      .select(({ fn }) => fn.max<number | null>('created_at').as('latest'))
      .where('state', '=', IS_PENDING)
      .where('via', '=', IS_PRESIGNED)
      .where('dataset_id', '=', datasetId)
      .where('expires_at', '>', expiresAfter);
    const row = await latest.executeTakeFirst();
    return row?.latest ?? null;
  }

  change(change: FileChange, transition: Transition): Promise<ChangedDataset | undefined> {
    return changeFiles(this.#db, change, transition, this.#changeOptions);
  }

  reserveDirect(reservation: { accountId: string; file: PendingFile }): Promise<DatasetRecord | undefined> {
    return addReservation(this.#db, reservation, this.#changeOptions);
  }

  changeDataset(key: ChangedDatasetKey, changes: DatasetChanges, now: Micros): Promise<boolean> {
    return changeDataset(this.#db, key, { ...changes, now }, this.#changeOptions);
  }

  deleteDataset(key: ChangedDatasetKey, now: Micros): Promise<boolean> {
    return eraseDataset(this.#db, key, now, this.#changeOptions);
  }

  restore(revision: RevisionOfDataset): ReturnType<typeof restoreRevision> {
    return restoreRevision(this.#db, revision, this.#changeOptions);
  }

  undo(revision: RevisionOfDataset): ReturnType<typeof undoRevision> {
    return undoRevision(this.#db, revision, this.#changeOptions);
  }

  /** Rejects if the database does not answer, or is read-only. */
  async ping(): Promise<void> {
    // No setting has this name, but a read-only server rejects the statement.
    await this.#db.query.deleteFrom('setting').where('name', '=', '').execute();
  }
}
