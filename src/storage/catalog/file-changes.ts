import { countsInRole, recount, type StemCounts, stemGroupsOf, uploadsIn, usageOf } from '../../dataset/counts.js';
import {
  type Author,
  type DatasetFile,
  liveUntil,
  MICROS_PER_SECOND,
  type Micros,
  type PendingFile,
  type Role,
  type StoredFile,
} from '../../dataset/dataset.js';
import { storedDifference } from '../../dataset/history/revisions.js';
import { stemOf } from '../../dataset/media.js';
import { needsRecheck } from '../../dataset/pairs/mask-inspection.js';
import { endReservations, MAX_NAMES_PER_STEM, type StemGroup, tooManyNames } from '../../dataset/upload-transitions.js';
import { blobKeyOf } from '../blobs/blobs.js';
import type { NotifyInstances } from '../database/change-feed.js';
import { type Database, nullColumnOf, type Query, type RowsOf, type Transaction } from '../database/database.js';
import {
  type AccountLimits,
  addDirectUpload,
  addUsage,
  datasetFull,
  expiredReservations,
  quotaErrorOf,
} from './accounts/account-usage.js';
import {
  historyChangeOf,
  judgePastFiles,
  keepNamedBlobs,
  moveToPast,
  withRevision,
  writeRevision,
} from './history/record-history.js';
import { enqueue, type NewJob } from './jobs.js';
import {
  countsInRow,
  type DatasetRecord,
  datasetRecordOf,
  fileColumns,
  fileOf,
  LINKED,
  type OwnCounts,
} from './rows.js';
import { startRecheck } from './rechecks.js';
import {
  countReservation,
  deleteAll,
  filesOfDataset,
  groupsOfStems,
  insertFile,
  lockDataset,
  countNames,
  writeCounts,
  writeFiles,
} from './statements.js';
import { trashBlobs } from './trash.js';
import { enqueueAnnouncements } from './webhooks/announcements.js';

/** The store is searched for presigned uploads this long after their links were made: a client needs a while to use them. */
const FIRST_SEARCH_AFTER: Micros = 2 * MICROS_PER_SECOND;

/** The files of one stem before and after a change. */
interface StemChange {
  readonly stem: string;
  readonly before: StemGroup;
  readonly after: StemGroup;
}

/** A change to the files of one dataset that share a stem with one of `filenames`. */
export interface FileChange {
  readonly datasetId: string;
  readonly filenames: readonly string[];
  readonly now: Micros;
  /** True if the change updates the dataset's last activity; the renewal of a lease does not. */
  readonly isActivity: boolean;
  /** As in `Database.transact`; true by default. */
  readonly isDurable?: boolean;
  /** False if the caller has discarded the bytes of the leased uploads that the change removes; true by default. */
  readonly mayHaveBlobs?: boolean;
  /** Who changes stored files; without it, the author of the upload that the change finalizes. */
  readonly author?: Author;
  /** True if the change is to all files of the dataset, besides those of `filenames`. */
  readonly isWholeDataset?: boolean;
  readonly restore?: Restore;
  /** The role in which a file that the change stores was inspected. If it is no longer that of the dataset, a recheck follows. */
  readonly inspectedAs?: Role;
}

/** A dataset after a change. */
export interface ChangedDataset extends DatasetRecord {
  /** False if the transition left every file as it was: nothing was written then. */
  readonly hasChanged: boolean;
  /** The revision to which the change belongs; `undefined` if it left the set of stored files as it was. */
  readonly recordedIn: number | undefined;
}

/** The change stores past files again. */
export interface Restore {
  /** The revision that is restored or undone. */
  readonly restoredFrom: number;
  /**
   * Reads, under the lock of the dataset, what the transition stores: then it is still kept, and known if it is damaged.
   *
   * @returns the names of these files; `undefined` cancels the change
   */
  readonly read: (send: Transaction['send']) => Promise<readonly string[] | undefined>;
}

/** Computes the files of a stem after a change; `undefined` cancels the whole change. */
export type Transition = (group: StemGroup, stem: string) => StemGroup | undefined;

export interface ChangeOptions {
  readonly blobGrace: Micros;
  /** The job `announce` of a changed dataset is due so long after the change. */
  readonly captionGrace: Micros;
  readonly limits: AccountLimits;
  /** Makes the statements that notify other processes of the change when it is committed. */
  readonly notification: NotifyInstances;
}

/**
 * Applies a transition to the files of the stems of `filenames`, in one transaction of two round trips: the first locks and
 * reads, the second writes. The lock on the row of the dataset makes changes to one dataset run sequentially.
 *
 * @returns the dataset after the change; `undefined`, and no change, if it does not exist, the transition returns
 * `undefined` for one of the stems, or the revision that a restore needs is gone
 * @throws ServiceError `quota_exceeded`
 */
export function changeFiles(
  db: Database,
  change: FileChange,
  transition: Transition,
  options: ChangeOptions,
): Promise<ChangedDataset | undefined> {
  return withinQuota(db, change, options, () => changeOnce(db, change, transition, options));
}

/**
 * Runs a change. If it would exceed a limit of the account, runs it once more without the reservations that have expired.
 *
 * @throws ServiceError `quota_exceeded`
 */
async function withinQuota<T>(
  db: Database,
  { datasetId, now }: { datasetId: string; now: Micros },
  options: ChangeOptions,
  change: () => Promise<T>,
): Promise<T> {
  const throwQuotaError = (error: unknown) => {
    throw quotaErrorOf(error, options.limits);
  };
  try {
    return await change();
  } catch (error) {
    if (quotaErrorOf(error, options.limits) === error) throw error;
    let hasEnded = false;
    for (;;) {
      const expired = await expiredReservations(db.query, { datasetId, now }).execute();
      const [first] = expired;
      if (first === undefined) break;
      const filenames = expired.filter((row) => row.dataset_id === first.dataset_id).map((row) => row.filename);
      const ending = { datasetId: first.dataset_id, filenames, now, isActivity: false, isDurable: false };
      hasEnded = (await changeOnce(db, ending, (group) => endReservations(group, now), options)) !== undefined;
      if (!hasEnded) break;
    }
    return hasEnded ? change().catch(throwQuotaError) : throwQuotaError(error);
  }
}

function changeOnce(
  db: Database,
  change: FileChange,
  transition: Transition,
  { blobGrace, captionGrace, limits, notification }: ChangeOptions,
): Promise<ChangedDataset | undefined> {
  const { query, transact } = db;
  const { datasetId, now, isActivity, isDurable = true, mayHaveBlobs = true, restore } = change;
  return transact({ isDurable }, async ({ send, commit }) => {
    const read = await readForChange(db, change, send);
    if (read === undefined) return undefined;
    const { row, filenames, stems, before } = read;
    const { lastActivity: activeBefore, pendingUntil: _, ...countsBefore }: OwnCounts = countsInRow(row);
    const applied = applyTransition(transition, { stems, before, counts: countsBefore, mayHaveBlobs });
    if (applied === undefined) return undefined;
    const { changes, removed, written, trashed, unreserved, counts, added } = applied;
    const dataset = datasetRecordOf(row);
    if (removed.length + written.length === 0) return { ...dataset, recordedIn: undefined, hasChanged: false };
    // Restored files were within the limit once.
    if (restore === undefined) await requireRoom(query, send, { datasetId, counts, changes, limits });
    const accountId = row.account_id;
    const lastActivity = isActivity ? now : activeBefore;
    const stored = storedDifference(
      changes.flatMap((each) => each.before),
      changes.flatMap((each) => each.after),
    );
    const author = change.author ?? applied.author;
    const history = historyChangeOf(row, stored, { author, now, restoredFrom: restore?.restoredFrom ?? null });
    const countsUpdate = writeCounts(query, { ...counts, ...history.columns, datasetId, lastActivity });
    const past = new Set(history.past.map(({ id }) => id));
    const unneeded = trashed.filter(({ id }) => !past.has(id));
    const restored = restore === undefined ? [] : unreserved;
    const historyBytes = bytesOf(history.past) - bytesOf(restored);
    const startsRecheck = needsRecheck({ role: dataset.role, inspectedAs: change.inspectedAs, restored });
    const answers = await commit([
      ...notification(change.isWholeDataset ? { datasetId } : { datasetId, filenames }),
      ...moveToPast(query, history.past, history.columns.revision),
      ...writeFiles(query, { removed, written: written.map((file) => withRevision(file, history.addedIn)) }),
      // Their blobs are needed.
      ...deleteAll(query, 'trash', 'blob_key', unreserved.map(blobKeyOf)),
      ...trashBlobs(query, unneeded, now + blobGrace),
      ...keepNamedBlobs(query, stored.identical, accountId),
      ...(history.revision === undefined ? [] : [writeRevision(query, { ...history.revision, ...totalsOf(counts) })]),
      ...judgePastFiles(query, stored.judgedAgain),
      ...(startsRecheck ? startRecheck(query, { datasetId, now, ifRunning: 'restart' }) : []),
      ...enqueue(query, jobsOfChanges(changes, { datasetId, accountId, now })),
      ...enqueueAnnouncements(query, { datasetId, isLinkedTo: row.linked === LINKED.to, dueAt: now + captionGrace }),
      ...addUsage(query, { accountId, added, historyBytes, limits }),
      countsUpdate,
    ]);
    const [counted] = answers.at(-1) as RowsOf<[typeof countsUpdate]>[0];
    const pendingUntil = counted?.pending_until ?? null;
    const { revision } = history.columns;
    const recordedIn = history.revision && revision;
    const changedCounts = countsInRole({ ...counts, lastActivity, pendingUntil }, dataset.role);
    const version = counted?.version ?? dataset.version;
    return {
      ...dataset,
      updatedAt: lastActivity,
      counts: changedCounts,
      revision,
      version,
      recordedIn,
      hasChanged: true,
    };
  });
}

/** Locks a dataset, and reads the files that a change may concern. @returns `undefined` if there is nothing to change */
async function readForChange(db: Database, change: FileChange, send: Transaction['send']) {
  const { datasetId, restore, isWholeDataset } = change;
  const lock = lockDataset(db.query, { id: datasetId });
  if (restore !== undefined) await send([lock]);
  const filenames = restore === undefined ? change.filenames : await restore.read(send);
  if (filenames === undefined) return undefined;
  const ownStems = [...new Set(filenames.map(stemOf))];
  const [[row], ...groups] = await send([
    lock,
    ...(isWholeDataset ? [filesOfDataset(db.query, { datasetId })] : groupsOfStems(db.query, datasetId, ownStems)),
  ]);
  if (row === undefined) return undefined;
  const before = stemGroupsOf(groups.flat().map(fileOf));
  return { row, filenames, before, stems: new Set([...ownStems, ...before.keys()]) };
}

/** What a transition makes of the files of some stems. */
interface AppliedTransition {
  readonly changes: readonly StemChange[];
  readonly removed: readonly DatasetFile[];
  readonly written: readonly DatasetFile[];
  /** Files whose blobs are not needed any more. */
  readonly trashed: readonly DatasetFile[];
  /** Stored files that had no reservation: until now, their blobs are in the trash. */
  readonly unreserved: readonly StoredFile[];
  readonly counts: StemCounts;
  /** The growth of what the account uses. */
  readonly added: { readonly files: number; readonly bytes: number };
  /** The author of an upload that is finalized. */
  readonly author: Author | undefined;
}

/** @returns `undefined` if the transition rejects the change for one of the stems */
function applyTransition(
  transition: Transition,
  {
    stems,
    before,
    counts: countsBefore,
    mayHaveBlobs,
  }: { stems: ReadonlySet<string>; before: ReadonlyMap<string, StemGroup>; counts: StemCounts; mayHaveBlobs: boolean },
): AppliedTransition | undefined {
  const changes: StemChange[] = [];
  const removed: DatasetFile[] = [];
  const written: DatasetFile[] = [];
  const trashed: DatasetFile[] = [];
  const unreserved: StoredFile[] = [];
  let counts = countsBefore;
  const added = { files: 0, bytes: 0 };
  let author: Author | undefined;
  for (const stem of stems) {
    const old = before.get(stem) ?? [];
    const next = transition(old, stem);
    if (next === undefined) return undefined;
    const known = new Map(old.map((file) => [file.id, file]));
    const remaining = new Map(next.map((file) => [file.id, file]));
    removed.push(...old.filter((file) => !remaining.has(file.id)));
    written.push(...next.filter((file) => known.get(file.id) !== file));
    unreserved.push(
      ...next.filter((file): file is StoredFile => file.upload.state === 'stored' && !known.has(file.id)),
    );
    const needsNoBlob = ({ id }: DatasetFile) => (remaining.get(id)?.upload.state ?? 'rejected') === 'rejected';
    trashed.push(...old.filter((file) => needsNoBlob(file) && mayHaveBlob(file, mayHaveBlobs)));
    counts = recount(counts, old, next);
    changes.push({ stem, before: old, after: next });
    author ??= authorOf(known, next);
    const [usedBefore, usedAfter] = [usageOf(old), usageOf(next)];
    added.files += usedAfter.files - usedBefore.files;
    added.bytes += usedAfter.bytes - usedBefore.bytes;
  }
  return { changes, removed, written, trashed, unreserved, counts, added, author };
}

/** @param counts of the dataset after the change @throws ServiceError `quota_exceeded` if it adds too many files */
async function requireRoom(
  query: Query,
  send: Transaction['send'],
  {
    datasetId,
    counts,
    changes,
    limits,
  }: { datasetId: string; counts: StemCounts; changes: readonly StemChange[]; limits: AccountLimits },
): Promise<void> {
  const max = limits.datasetFiles;
  if (uploadsIn(counts) <= max) return;
  const added = changes.reduce((sum, { before, after }) => sum + namesIn(after) - namesIn(before), 0);
  if (added <= 0) return;
  const [[found]] = await send([countNames(query, datasetId)]);
  const files = Number(found?.names ?? 0);
  if (files + added > max) throw datasetFull({ files, added, max });
}

function namesIn(group: StemGroup): number {
  return new Set(group.map(({ filename }) => filename)).size;
}

/** The jobs that changes to the files of stems make necessary: checks of received files, and a search for presigned uploads. */
function jobsOfChanges(
  changes: Iterable<{ readonly before: readonly DatasetFile[]; readonly after: readonly DatasetFile[] }>,
  { datasetId, accountId, now }: { datasetId: string; accountId: string; now: Micros },
): NewJob[] {
  const checks: NewJob[] = [];
  let searchAt = Number.POSITIVE_INFINITY;
  for (const { before, after } of changes) {
    for (const file of after) {
      const { id, upload } = file;
      if (before.includes(file) || (upload.state !== 'received' && upload.state !== 'pending')) continue;
      const earlier = before.find((other) => other.id === id)?.upload;
      if (upload.state === 'received') {
        if (earlier?.state !== 'received') checks.push({ kind: 'check-file', key: id, accountId, dueAt: now });
      } else if (upload.via === 'presigned') {
        if (earlier === undefined) searchAt = Math.min(searchAt, now + FIRST_SEARCH_AFTER);
      }
    }
  }
  if (searchAt === Number.POSITIVE_INFINITY) return checks;
  return [...checks, { kind: 'find-uploads', key: datasetId, accountId, dueAt: searchAt }];
}

/** The author of an upload that is finalized. */
function authorOf(before: ReadonlyMap<string, DatasetFile>, after: StemGroup): Author | undefined {
  for (const { id, upload } of after) {
    const earlier = upload.state === 'stored' ? before.get(id)?.upload : undefined;
    if (earlier !== undefined && 'author' in earlier) return earlier.author;
  }
  return undefined;
}

function totalsOf({ images, videos, captions, bytes }: StemCounts): { files: number; bytes: number } {
  return { files: images + videos + captions, bytes };
}

function bytesOf(files: readonly StoredFile[]): number {
  return files.reduce((sum, { upload }) => sum + upload.sizeBytes, 0);
}

/** True if the file has a blob, or may have one now or later. */
function mayHaveBlob({ upload }: DatasetFile, mayHaveBlobs: boolean): boolean {
  if (upload.state !== 'pending') return upload.state !== 'rejected';
  return mayHaveBlobs && upload.leaseUntil !== null;
}

/**
 * Adds the reservation of a direct upload, in one round trip: it does not depend on other files of that name (`reserve` of
 * `dataset/upload-transitions.ts`). It is not durable: a crash ends the upload anyway.
 *
 * @returns the changed dataset; `undefined`, and no change, if the account has no dataset of that id
 * @throws ServiceError `quota_exceeded`; `invalid_name` if the stem has too many names
 */
export async function addReservation(
  db: Database,
  { accountId, file }: { accountId: string; file: PendingFile },
  options: ChangeOptions,
): Promise<DatasetRecord | undefined> {
  const { query, transact } = db;
  const { limits, notification } = options;
  const { datasetId, createdAt } = file;
  const [[row]] = await withinQuota(db, { datasetId, now: createdAt }, options, () =>
    transact({ isDurable: false }, ({ commit }) =>
      commit([
        countReservation(query, { accountId, datasetId, createdAt, aliveUntil: liveUntil(file.upload) }),
        addDirectUpload(query, { accountId, file, limits }),
        insertFile(query, {
          ...fileColumns(file),
          accountId,
          maxNames: MAX_NAMES_PER_STEM,
          maxFiles: limits.datasetFiles,
        }),
        ...notification({ datasetId, filenames: [file.filename] }),
      ]),
    ),
  ).catch(async (error) => {
    if (nullColumnOf(error) === 'file.stem') throw tooManyNames(file.filename);
    if (nullColumnOf(error) !== 'file.filename') throw error;
    const [found] = await countNames(query, datasetId).execute();
    throw datasetFull({ files: Number(found?.names ?? 0), added: 1, max: limits.datasetFiles });
  });
  return row && datasetRecordOf(row);
}
