import { sql } from 'kysely';
import { withTimeout } from '../../abort-signals.js';
import { countsOf, stemGroupsOf } from '../../dataset/counts.js';
import type {
  Author,
  CompleteFile,
  Dataset,
  DatasetFile,
  Micros,
  PendingFile,
  Role,
  StoredFile,
} from '../../dataset/dataset.js';
import { ServiceError } from '../../dataset/errors.js';
import { groupedBy } from '../../dataset/grouped-by.js';
import { differencesBetween, type FileDifference, filesIn, reverse } from '../../dataset/history/revisions.js';
import { hasLinksError, isInspectedAgain, linkedToError, MAX_NAMED } from '../../dataset/pairs/roles.js';
import type { ErrorProblem } from '../../dataset/problems.js';
import { endReservations, recordRecheck, type StemGroup } from '../../dataset/upload-transitions.js';
import {
  ChangeFeed,
  type Database,
  isUniqueViolation,
  query,
  type Statement,
  type Transaction,
} from '../database/database.js';
import { FairQueue } from '../limits.js';
import { type AccountLimits, addUsage, NO_LIMITS, quotaErrorOf, usageOfDataset } from './accounts.js';
import {
  addReservation,
  type ChangedDataset,
  changeFiles,
  type ChangeOptions,
  type FileChange,
  judgePastFiles,
  type Restore,
  type Transition,
  Trash,
  trashSelected,
} from './file-changes.js';
import { Groups } from './groups.js';
import { Revisions } from './history/revisions.js';
import { type DatasetContents, type LinkingDataset, linkingTo, Links, lockLinks, markLinkedTo } from './links.js';
import { PerceptualHashes } from './perceptual-hashes.js';
import { endRecheck, startRecheck } from './verification.js';
import {
  type DatasetFilter,
  type DatasetKeyOfAccount,
  type DatasetRecord,
  datasetRecordOf,
  datasetsBy,
  fileOf,
  type FilePage,
  type FileRow,
  filesOf,
  filesOfDataset,
  LINKED,
  storedAfter,
  storedFilesNamed,
  unlinkedDatasetOf,
  withDataset,
} from './rows.js';
import { deletedEvent, enqueueAnnouncements, insertDeliveries, receivers } from './webhooks.js';

export interface CatalogOptions {
  /** How long the blob of a replaced or removed file stays readable. */
  readonly blobGrace: Micros;
  /** An event of webhooks is recorded so long after a dataset's last change; 0 by default. */
  readonly captionGrace?: Micros | undefined;
  readonly accountLimits?: AccountLimits | undefined;
  readonly changeFeed?: ChangeFeed;
}

/** A dataset to change, and the datasets that errors may name: by default all of the account. */
type ChangedDatasetKey = DatasetKeyOfAccount & { readonly boundIds?: readonly string[] | null };

type NewDataset = Pick<Dataset, 'id' | 'accountId' | 'name' | 'createdAt'> & { readonly role?: Role };

export interface DatasetChanges {
  readonly name?: string | undefined;
  readonly role?: Role | undefined;
}

interface RevisionOfDataset {
  readonly datasetId: string;
  readonly number: number;
  readonly author: Author;
  readonly now: Micros;
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
  readonly #db: Database;
  readonly #reads = new FairQueue(READS_AT_ONCE);
  readonly #changeOptions: ChangeOptions;

  constructor(db: Database, options: CatalogOptions) {
    const { blobGrace, captionGrace = 0, accountLimits: limits = NO_LIMITS } = options;
    this.#db = db;
    this.revisions = new Revisions(db);
    this.trash = new Trash(db);
    this.changes = options.changeFeed ?? new ChangeFeed();
    const { changes } = this;
    this.#changeOptions = { blobGrace, captionGrace, limits, changes };
    const readMany: Catalog['readMany'] = (accountId, read) => this.readMany(accountId, read);
    this.links = new Links(db, { ...this.#changeOptions, readMany });
    this.groups = new Groups(db, changes);
    this.hashes = new PerceptualHashes(db, changes);
  }

  /** @throws ServiceError `name_taken`, `quota_exceeded` */
  async createDataset({ id, accountId, name, role = 'training', createdAt }: NewDataset): Promise<Dataset> {
    const { transact } = this.#db;
    const { limits, changes } = this.#changeOptions;
    const row = {
      ...{ id, account_id: accountId, name, role, created_at: createdAt, updated_at: createdAt },
      ...{ ...countsOf([]), pending_until: null, linked: LINKED.none, version: 0 },
      ...{ announced: null, file_groups: null, revision: 0, revision_group: null, revision_since: null },
    };
    const statements = [
      query.insertInto('dataset').values(row),
      ...addUsage({ accountId, added: { datasets: 1 }, limits }),
      ...changes.notification({ datasetId: id }),
    ];
    try {
      await transact({ isDurable: true }, ({ commit }) => commit(statements));
    } catch (error) {
      throw isUniqueViolation(error) ? nameTaken(name, error) : quotaErrorOf(error, limits);
    }
    changes.announce({ datasetId: id });
    return unlinkedDatasetOf(row);
  }

  /** A dataset with its links. After a change, one with links takes a read of all its files and theirs. */
  async dataset(key: DatasetKeyOfAccount): Promise<Dataset | undefined> {
    return (await this.links.withLinks(await this.#db.run(this.#rowOf(key))))[0];
  }

  /** The datasets that match a filter, newest first, with their links. */
  async datasets(filter: DatasetFilter): Promise<Dataset[]> {
    return this.links.withLinks(await this.#db.run(datasetsBy(filter)));
  }

  /** A dataset without what its links decide, for callers that need no status. */
  async record(key: DatasetKeyOfAccount): Promise<DatasetRecord | undefined> {
    const [row] = await this.#db.run(this.#rowOf(key));
    return row && datasetRecordOf(row);
  }

  async records(filter: DatasetFilter): Promise<DatasetRecord[]> {
    return (await this.#db.run(datasetsBy(filter))).map(datasetRecordOf);
  }

  #rowOf({ accountId, id }: DatasetKeyOfAccount) {
    return query.selectFrom('dataset').selectAll().where('id', '=', id).where('account_id', '=', accountId);
  }

  contents(key: DatasetKeyOfAccount): Promise<DatasetContents | undefined> {
    return this.readMany(key.accountId, () => this.links.contents(key));
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
    return filesOf(await this.#db.run(filesOfDataset(datasetId)));
  }

  async storedFile({ datasetId, filename }: { datasetId: string; filename: string }): Promise<StoredFile | undefined> {
    return (await this.storedFiles({ datasetId, filenames: [filename] }))[0];
  }

  /** A page of stored files in the order of the database: SQLite sorts names by bytes, Postgres by its collation. */
  async storedFilesAfter(page: FilePage): Promise<StoredFile[]> {
    return (await this.#db.run(storedAfter(page))).map((row) => fileOf(row) as StoredFile);
  }

  async storedFiles(key: { datasetId: string; filenames: readonly string[] }): Promise<StoredFile[]> {
    const rows = await this.#db.read(storedFilesNamed(key.datasetId, [...new Set(key.filenames)]));
    return rows.flat().map((row) => fileOf(row) as StoredFile);
  }

  /** A file in any state. */
  async file(id: string): Promise<DatasetFile | undefined> {
    const [row] = await this.#db.run(query.selectFrom('file').selectAll().where('id', '=', id));
    return row && fileOf(row);
  }

  async expiredLeases(until: Micros): Promise<PendingFile[]> {
    const leased = sql<FileRow>`select * from file where lease_until <= ${until} and state = 'pending'`;
    return (await this.#db.read([leased]))[0].map((row) => fileOf(row) as PendingFile);
  }

  /** Stops counting uploads whose links expired before their bytes arrived. */
  async endReservations(now: Micros): Promise<void> {
    const expired = sql<{ dataset_id: string; filename: string }>`select dataset_id, filename from file
      where state = 'pending' and live_until <= ${now} and via = 'link' and expected_bytes > 0`;
    const [rows] = await this.#db.read([expired]);
    for (const [datasetId, files] of groupedBy(rows, (row) => row.dataset_id)) {
      const filenames = files.map(({ filename }) => filename);
      const change = { datasetId, filenames, now, isActivity: false, isDurable: false };
      await this.change(change, (group) => endReservations(group, now));
    }
  }

  /** When the last pending presigned upload that is still valid was reserved; `null` without any. */
  async lastPresigned(uploads: { datasetId: string; expiresAfter: Micros }): Promise<Micros | null> {
    const { datasetId, expiresAfter } = uploads;
    const [[row]] = await this.#db.read([
      sql<{ latest: Micros | null }>`select max(created_at) as latest from file
        where state = 'pending' and via = 'presigned' and dataset_id = ${datasetId} and expires_at > ${expiresAfter}`,
    ]);
    return row?.latest ?? null;
  }

  change(change: FileChange, transition: Transition): Promise<ChangedDataset | undefined> {
    return changeFiles(this.#db, change, transition, this.#changeOptions);
  }

  /** Records that the bytes of a file are lost, or intact again, in the dataset and in the history, from which it may be restored. */
  async recordBytes(file: CompleteFile, problem: ErrorProblem | undefined, now: Micros): Promise<void> {
    const { id, datasetId, filename, upload } = file;
    const { contentType, facts, warnings } = upload;
    const found =
      problem === undefined ? { ok: true as const, contentType, facts, warnings } : { ok: false as const, problem };
    const change = { datasetId, filenames: [filename], now, isActivity: false };
    await this.change(change, (group) => recordRecheck(group, id, found));
    // The history comes second, since a file moves to it.
    const judged = judgePastFiles([{ id, upload: problem === undefined ? {} : { problem } }]);
    await withDataset(this.#db, { id: datasetId }, (_, { commit }) => commit(judged));
  }

  reserveDirect(reservation: { accountId: string; file: PendingFile }): Promise<DatasetRecord | undefined> {
    return addReservation(this.#db, reservation, this.#changeOptions);
  }

  /** What is missing stays. @returns false if the account has no such dataset @throws ServiceError `name_taken`, `dataset_linked` */
  async changeDataset(key: ChangedDatasetKey, { name, role }: DatasetChanges, now: Micros): Promise<boolean> {
    const { captionGrace, changes } = this.#changeOptions;
    const { id: datasetId } = key;
    const changing = withDataset(this.#db, key, async (row, { send, commit }) => {
      if (row.account_id !== key.accountId) return undefined;
      const isOtherRole = role !== undefined && role !== row.role;
      if ((name ?? row.name) === row.name && !isOtherRole) return false;
      if (isOtherRole && row.linked === LINKED.from) throw hasLinksError(row.name);
      if (isOtherRole && row.linked === LINKED.to) throw await this.#errorOfLinked({ ...key, name: row.name }, send);
      const dueAt = now + captionGrace;
      await commit([
        sql`
          update dataset set name = ${name ?? row.name}, role = ${role ?? row.role}, updated_at = ${now},
            version = version + 1
          where id = ${datasetId}`,
        // A control without captions is READY, a training dataset is not.
        ...(isOtherRole ? [enqueueAnnouncements({ datasetId, isLinkedTo: false, dueAt })] : []),
        ...(isOtherRole && isInspectedAgain(row.role as Role, role)
          ? startRecheck({ datasetId, now, ifRunning: 'restart' })
          : []),
        ...changes.notification({ datasetId }),
      ]);
      return true;
    });
    const isChanged = await changing.catch((error) => {
      throw isUniqueViolation(error) ? nameTaken(name ?? '', error) : error;
    });
    if (isChanged) changes.announce({ datasetId });
    return isChanged !== undefined;
  }

  async #errorOfLinked(
    { id, name, boundIds }: ChangedDatasetKey & { name: string },
    send: Transaction['send'],
  ): Promise<ServiceError> {
    const [targets] = await send([sql<LinkingDataset>`${linkingTo(id)} order by name`]);
    const known = boundIds == null ? targets : targets.filter((target) => boundIds.includes(target.id));
    const names = known.slice(0, MAX_NAMED).map((target) => target.name);
    return linkedToError(name, { names, known: known.length, total: targets.length });
  }

  /**
   * Deletes a dataset with its files, its history and its links. Its blobs go to the trash.
   *
   * @returns false if the account has no such dataset
   * @throws ServiceError `dataset_linked` if others link to it
   */
  async deleteDataset(key: ChangedDatasetKey, now: Micros): Promise<boolean> {
    const { blobGrace, limits, changes } = this.#changeOptions;
    const changed = await this.#db.transact({ isDurable: true, hasDeadline: false }, async ({ send, commit }) => {
      // The row locks wait for a change in flight, so that its files are counted too.
      const locked = await lockLinks(send, key);
      if (locked === undefined) return undefined;
      const { row, linked } = locked;
      if (row.linked === LINKED.to) throw await this.#errorOfLinked({ ...key, name: row.name }, send);
      const linkedIds = [...linked.keys()];
      const { accountId, id } = key;
      const [[usage], webhooks] = await send([usageOfDataset(id), receivers(accountId, 'dataset.deleted')]);
      const { files = 0, bytes = 0, historyBytes = 0 } = usage ?? {};
      const added = { datasets: -1, files: -files, bytes: -bytes };
      await commit([
        endRecheck(key),
        ...erasure(id, now + blobGrace),
        ...insertDeliveries(webhooks, deletedEvent({ id, name: row.name }, now)),
        ...addUsage({ accountId, added, historyBytes: -historyBytes, limits }),
        ...markLinkedTo(linkedIds),
        ...[id, ...linkedIds].flatMap((datasetId) => changes.notification({ datasetId })),
      ]);
      return [id, ...linkedIds];
    });
    for (const datasetId of changed ?? []) changes.announce({ datasetId });
    return changed !== undefined;
  }

  /**
   * Restores the stored files of a revision, as a new revision. Uploads in progress stay.
   *
   * @returns `undefined` if the dataset or the revision does not exist
   * @throws ServiceError `quota_exceeded`
   */
  async restore(revision: RevisionOfDataset): Promise<ChangedDataset | undefined> {
    return (await this.#putBack(revision, { from: revision.number }))?.dataset;
  }

  /**
   * Reverses the changes of a revision, as a new revision. Files that were changed again since stay.
   *
   * @returns the names of the files of both kinds; `undefined` if the dataset, the revision or the one before does not exist
   * @throws ServiceError `quota_exceeded`
   */
  undo(revision: RevisionOfDataset) {
    return this.#putBack(revision, { from: revision.number - 1, to: revision.number });
  }

  /** Puts files back that differ between two revisions, as the first had them. @param range.to the latest by default */
  async #putBack({ datasetId, number, author, now }: RevisionOfDataset, { from, to }: { from: number; to?: number }) {
    let differences: FileDifference[] = [];
    let byStem = new Map<string, FileDifference[]>();
    const read: Restore['read'] = async (send, latest) => {
      const range = { datasetId, from, to: to ?? latest };
      const { kept, files } = await this.revisions.versions(range, send);
      differences = differencesBetween(filesIn(files, from), filesIn(files, range.to));
      byStem = stemGroupsOf(differences);
      const areKept = kept.has(number) && (from === 0 || kept.has(from));
      return areKept ? differences.map(({ filename }) => filename) : undefined;
    };
    const kept = new Set<string>();
    const transition = (group: StemGroup, stem: string) =>
      (byStem.get(stem) ?? []).reduce<StemGroup>((current, difference) => {
        const next = reverse(current, difference);
        if (next === undefined) kept.add(difference.filename);
        else kept.delete(difference.filename);
        return next ?? current;
      }, group);
    const change = { datasetId, filenames: [], now, isActivity: true, author };
    const dataset = await this.change({ ...change, restore: { restoredFrom: number, read } }, transition);
    if (dataset === undefined) return undefined;
    const filenames = differences.map(({ filename }) => filename);
    return {
      dataset,
      undone: filenames.filter((name) => !kept.has(name)),
      kept: filenames.filter((name) => kept.has(name)),
    };
  }

  /** Rejects if the database does not answer, or is read-only. */
  async ping(): Promise<void> {
    // No setting has this name, but a read-only server rejects the statement.
    await this.#db.run(query.deleteFrom('setting').where('name', '=', ''));
  }
}

function nameTaken(name: string, cause: unknown): ServiceError {
  const message = `A dataset named "${name}" already exists. Choose another name, or delete that one first.`;
  return new ServiceError('name_taken', message, { cause });
}

/** A pending upload may have a blob, a rejected one has none. Other rows go with their dataset. */
function erasure(id: string, deleteAfter: Micros): Statement[] {
  const ofDataset = sql`where dataset_id = ${id}`;
  return [
    trashSelected(sql`(select dataset_id, id from file ${ofDataset} and state <> 'rejected')`, deleteAfter),
    trashSelected(sql`(select dataset_id, id from past_file ${ofDataset})`, deleteAfter),
    sql`delete from dataset where id = ${id}`,
  ];
}
