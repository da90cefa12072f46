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
import { MAX_NAMES_PER_STEM, type StemGroup, tooManyNames } from '../../dataset/upload-transitions.js';
import { blobKeyOf } from '../blobs/blobs.js';
import type { ChangeFeed, NotifyInstances } from '../database/change-feed.js';
import { type Database, nullColumnOf, type Query, type RowsOf, type Transaction } from '../database/database.js';
import { type AccountLimits, addDirectUpload, addUsage, datasetFull, quotaErrorOf } from './accounts/account-usage.js';
import {
  historyChangeOf,
  judgePastFiles,
  keepNamedBlobs,
  moveToPast,
  withRevision,
  writeRevision,
} from './history/record-history.js';
import { enqueue, type NewJob } from './jobs.js';
import { startRecheck } from './rechecks.js';
import {
  countsInRow,
  type DatasetRecord,
  type DatasetRow,
  datasetRecordOf,
  fileColumns,
  fileOf,
  LINKED,
  type OwnCounts,
} from './rows.js';
import {
  countNames,
  countReservation,
  deleteAll,
  filesOfDataset,
  filesOfStems,
  insertFile,
  lockDataset,
  writeCounts,
  writeFiles,
} from './statements.js';
import { trashBlobs } from './trash.js';
import { enqueueAnnouncements } from './webhooks/announcements.js';

/** The store is searched for presigned uploads this long after their links were made: a client needs a while to use them. */
const FIRST_SEARCH_AFTER: Micros = 2 * MICROS_PER_SECOND;

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
  /** Announces a change to this process after it is committed. */
  readonly changes: ChangeFeed;
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
export async function changeFiles(
  { query, transact }: Database,
  change: FileChange,
  transition: Transition,
  options: ChangeOptions,
): Promise<ChangedDataset | undefined> {
  const { datasetId, now, isActivity, isDurable = true, restore } = change;
  const { limits, captionGrace, changes, notification } = options;
  const { filenames, isWholeDataset } = change;
  const announced = isWholeDataset || restore !== undefined ? { datasetId } : { datasetId, filenames };
  const changing = transact({ isDurable }, async ({ send, commit }) => {
    const read = await readForChange(query, change, send);
    const files = read && applyTransition(transition, read);
    if (files === undefined) return undefined;
    const { row } = read!;
    const dataset = datasetRecordOf(row);
    if (files.removed.length + files.written.length === 0) {
      return { ...dataset, recordedIn: undefined, hasChanged: false };
    }
    const { counts, added } = files;
    // Restored files were within the limit once.
    if (restore === undefined) await requireRoom(query, send, { datasetId, files, limits });
    const accountId = row.account_id;
    const lastActivity = isActivity ? now : row.updated_at;
    const stored = storeFiles(query, { change, row, files, options });
    const countsUpdate = writeCounts(query, { ...counts, ...stored.columns, datasetId, lastActivity });
    const answers = await commit([
      ...notification(announced),
      ...stored.statements,
      ...enqueue(query, jobsOf(files, { datasetId, accountId, now })),
      enqueueAnnouncements(query, { datasetId, isLinkedTo: row.linked === LINKED.to, dueAt: now + captionGrace }),
      ...addUsage(query, { accountId, added, historyBytes: stored.historyBytes, limits }),
      countsUpdate,
    ]);
    const [counted] = answers.at(-1) as RowsOf<[typeof countsUpdate]>[0];
    const pendingUntil = counted?.pending_until ?? null;
    const changedCounts = countsInRole({ ...counts, lastActivity, pendingUntil }, dataset.role);
    return {
      ...{ ...dataset, updatedAt: lastActivity, counts: changedCounts, version: counted?.version ?? dataset.version },
      ...{ revision: stored.columns.revision, recordedIn: stored.recordedIn, hasChanged: true },
    };
  });
  const dataset = await changing.catch((error) => {
    throw quotaErrorOf(error, limits);
  });
  if (dataset?.hasChanged) changes.announce(announced);
  return dataset;
}

/** The files that a change concerns, and the row of their dataset, which is locked. */
interface FilesForChange {
  readonly row: DatasetRow;
  readonly stems: ReadonlySet<string>;
  readonly before: ReadonlyMap<string, StemGroup>;
}

/** @returns `undefined` if there is nothing to change */
async function readForChange(
  query: Query,
  { datasetId, restore, isWholeDataset, ...change }: FileChange,
  send: Transaction['send'],
): Promise<FilesForChange | undefined> {
  const lock = lockDataset(query, { id: datasetId });
  if (restore !== undefined) await send([lock]);
  const filenames = restore === undefined ? change.filenames : await restore.read(send);
  if (filenames === undefined) return undefined;
  const ownStems = [...new Set(filenames.map(stemOf))];
  const [[row], ...groups] = await send([
    lock,
    ...(isWholeDataset ? [filesOfDataset(query, datasetId)] : filesOfStems(query, datasetId, ownStems)),
  ]);
  if (row === undefined) return undefined;
  const before = stemGroupsOf(groups.flat().map(fileOf));
  return { row, before, stems: new Set([...ownStems, ...before.keys()]) };
}

/** What a transition makes of the files that a change concerns. */
interface ChangedFiles {
  readonly before: readonly DatasetFile[];
  readonly after: readonly DatasetFile[];
  /** The files before the change, by id. */
  readonly known: ReadonlyMap<string, DatasetFile>;
  readonly removed: readonly DatasetFile[];
  readonly written: readonly DatasetFile[];
  /** Those of the dataset after the change. */
  readonly counts: StemCounts;
  /** The growth of what the account uses. */
  readonly added: { readonly files: number; readonly bytes: number };
}

/** @returns `undefined` if the transition rejects the change for one of the stems */
function applyTransition(transition: Transition, { row, stems, before: groups }: FilesForChange) {
  const before: DatasetFile[] = [];
  const after: DatasetFile[] = [];
  let { lastActivity: _, pendingUntil: __, ...counts }: OwnCounts = countsInRow(row);
  for (const stem of stems) {
    const old = groups.get(stem) ?? [];
    const next = transition(old, stem);
    if (next === undefined) return undefined;
    before.push(...old);
    after.push(...next);
    counts = recount(counts, old, next);
  }
  const known = new Map(before.map((file) => [file.id, file]));
  const remaining = new Set(after.map(({ id }) => id));
  const [usedBefore, usedAfter] = [usageOf(before), usageOf(after)];
  return {
    ...{ before, after, known, counts },
    removed: before.filter(({ id }) => !remaining.has(id)),
    written: after.filter((file) => known.get(file.id) !== file),
    added: { files: usedAfter.files - usedBefore.files, bytes: usedAfter.bytes - usedBefore.bytes },
  };
}

/** The statements that write changed files, their history and the trash, and what the row of the dataset then has. */
function storeFiles(
  query: Query,
  {
    change: { datasetId, mayHaveBlobs = true, now, restore, author, inspectedAs },
    row,
    files,
    options: { blobGrace },
  }: { change: FileChange; row: DatasetRow; files: ChangedFiles; options: ChangeOptions },
) {
  const { before, after, known, removed, written, counts } = files;
  const stored = storedDifference(before, after);
  const restoredFrom = restore?.restoredFrom ?? null;
  const history = historyChangeOf(row, stored, { author: author ?? authorOf(files), now, restoredFrom });
  // Stored files that had no reservation: until now, their blobs are in the trash.
  const unreserved = after.filter((file): file is StoredFile => file.upload.state === 'stored' && !known.has(file.id));
  const past = new Set(history.past.map(({ id }) => id));
  const states = new Map(after.map(({ id, upload }) => [id, upload.state]));
  const needsNoBlob = ({ id }: DatasetFile) => (states.get(id) ?? 'rejected') === 'rejected' && !past.has(id);
  const unneeded = before.filter((file) => needsNoBlob(file) && mayHaveBlob(file, mayHaveBlobs));
  const restored = restore === undefined ? [] : unreserved;
  const startsRecheck = needsRecheck({ role: row.role as Role, inspectedAs, restored });
  const totals = { files: counts.images + counts.videos + counts.captions, bytes: counts.bytes };
  return {
    columns: history.columns,
    recordedIn: history.revision && history.columns.revision,
    historyBytes: bytesOf(history.past) - bytesOf(restored),
    statements: [
      ...moveToPast(query, history.past, history.columns.revision),
      ...writeFiles(query, { removed, written: written.map((file) => withRevision(file, history.addedIn)) }),
      ...deleteAll(query, 'trash', 'blob_key', unreserved.map(blobKeyOf)),
      ...trashBlobs(query, unneeded, now + blobGrace),
      ...keepNamedBlobs(query, stored.identical, row.account_id),
      ...(history.revision === undefined ? [] : [writeRevision(query, { ...history.revision, ...totals })]),
      ...judgePastFiles(query, stored.judgedAgain),
      ...(startsRecheck ? startRecheck(query, { datasetId, now, ifRunning: 'restart' }) : []),
    ],
  };
}

/** @throws ServiceError `quota_exceeded` if the dataset has too many files after a change that adds some */
async function requireRoom(
  query: Query,
  send: Transaction['send'],
  { datasetId, files, limits }: { datasetId: string; files: ChangedFiles; limits: AccountLimits },
): Promise<void> {
  const max = limits.datasetFiles;
  const added = files.added.files;
  if (uploadsIn(files.counts) <= max || added <= 0) return;
  const [[found]] = await send([countNames(query, datasetId)]);
  const names = Number(found?.names ?? 0);
  if (names + added > max) throw datasetFull({ files: names, added, max });
}

/** The jobs that a change of files makes necessary: checks of received files, and a search for presigned uploads. */
function jobsOf(
  { known, written }: ChangedFiles,
  { datasetId, accountId, now }: { datasetId: string; accountId: string; now: Micros },
): NewJob[] {
  const received = written.filter(
    ({ id, upload }) => upload.state === 'received' && known.get(id)?.upload.state !== 'received',
  );
  const checks = received.map(({ id }) => ({ kind: 'check-file' as const, key: id, accountId, dueAt: now }));
  const isNewPresigned = ({ id, upload }: DatasetFile) =>
    upload.state === 'pending' && upload.via === 'presigned' && !known.has(id);
  if (!written.some(isNewPresigned)) return checks;
  return [...checks, { kind: 'find-uploads', key: datasetId, accountId, dueAt: now + FIRST_SEARCH_AFTER }];
}

/** The author of an upload that is finalized. */
function authorOf({ known, after }: ChangedFiles): Author | undefined {
  for (const { id, upload } of after) {
    const earlier = upload.state === 'stored' ? known.get(id)?.upload : undefined;
    if (earlier !== undefined && 'author' in earlier) return earlier.author;
  }
  return undefined;
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
  { query, transact }: Database,
  { accountId, file }: { accountId: string; file: PendingFile },
  { limits, changes, notification }: ChangeOptions,
): Promise<DatasetRecord | undefined> {
  const { datasetId, createdAt } = file;
  const announced = { datasetId, filenames: [file.filename] };
  const maxima = { maxNames: MAX_NAMES_PER_STEM, maxFiles: limits.datasetFiles };
  const statements = [
    countReservation(query, { accountId, datasetId, createdAt, aliveUntil: liveUntil(file.upload) }),
    addDirectUpload(query, { accountId, file, limits }),
    insertFile(query, { ...fileColumns(file), accountId, ...maxima }),
    ...notification(announced),
  ] as const;
  const [[row]] = await transact({ isDurable: false }, ({ commit }) => commit(statements)).catch(async (error) => {
    if (nullColumnOf(error) === 'file.stem') throw tooManyNames(file.filename);
    if (nullColumnOf(error) !== 'file.filename') throw quotaErrorOf(error, limits);
    const [found] = await countNames(query, datasetId).execute();
    throw datasetFull({ files: Number(found?.names ?? 0), added: 1, max: limits.datasetFiles });
  });
  if (row === undefined) return undefined;
  changes.announce(announced);
  return datasetRecordOf(row);
}
