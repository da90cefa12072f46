import { type Expression, sql } from 'kysely';
import { recount, stemGroupsOf, usageOf } from '../../dataset/counts.js';
import {
  type Author,
  type DatasetFile,
  isStored,
  liveUntil,
  type Micros,
  MICROS_PER_SECOND,
  type PendingFile,
  type Role,
  type StoredFile,
  uploadsIn,
} from '../../dataset/dataset.js';
import { ServiceError } from '../../dataset/errors.js';
import { historyAfter, storedDifference, type StoredDifference } from '../../dataset/history/revisions.js';
import { stemOf } from '../../dataset/media.js';
import { needsRecheck } from '../../dataset/pairs/roles.js';
import type { ErrorProblem } from '../../dataset/problems.js';
import { MAX_NAMES_PER_STEM, type StemGroup, tooManyNames } from '../../dataset/upload-transitions.js';
import { blobKeyOf } from '../blobs/blobs.js';
import {
  type ChangeFeed,
  type Database,
  nullColumnOf,
  query,
  type Statement,
  type Transaction,
} from '../database/database.js';
import type { Schema } from '../database/schema.js';
import { type AccountLimits, addDirectUpload, addUsage, datasetFull, quotaErrorOf } from './accounts.js';
import { enqueue, type NewJob } from './jobs.js';
import {
  countNames,
  countReservation,
  countsInRow,
  type DatasetRecord,
  datasetRecordOf,
  type DatasetRow,
  fileColumns,
  fileOf,
  filesOfStems,
  type HistoryColumns,
  insertAll,
  insertFile,
  LINKED,
  lockDataset,
  type OwnCounts,
  rowChunksOf,
  ROWS_PER_STATEMENT,
  STORED,
  upsertFiles,
  writeCounts,
} from './rows.js';
import { startRecheck } from './verification.js';
import { enqueueAnnouncements } from './webhooks.js';

/** The store is searched for presigned uploads this long after their links were made. */
const FIRST_SEARCH_AFTER: Micros = 2 * MICROS_PER_SECOND;

/** Images that arrive together are hashed together. */
const HASHED_AFTER: Micros = 500_000;

/** A change to the files of a dataset that share a stem with one of `filenames`. */
export interface FileChange {
  readonly datasetId: string;
  readonly filenames: readonly string[];
  readonly now: Micros;
  /** Whether the change is activity in the dataset, unlike the renewal of a lease. */
  readonly isActivity: boolean;
  /** True by default. */
  readonly isDurable?: boolean;
  /** False if the caller has discarded the bytes of removed leased uploads; true by default. */
  readonly mayHaveBlobs?: boolean;
  /** By default the author of the upload that the change finalizes. */
  readonly author?: Author;
  readonly restore?: Restore;
  /** The role in which a file was inspected. A recheck follows if the dataset has another role. */
  readonly inspectedAs?: Role;
}

export interface ChangedDataset extends Pick<DatasetRecord, 'accountId' | 'role' | 'revision'> {
  /** False if nothing was written. */
  readonly hasChanged: boolean;
  /** The revision that has the change; `undefined` if the stored files stayed the same. */
  readonly recordedIn: number | undefined;
}

/** Stores past files again. */
export interface Restore {
  /** The revision that is restored or undone. */
  readonly restoredFrom: number;
  /**
   * Reads, under the lock of the dataset, what to store, so that it can't be deleted meanwhile. `undefined` cancels the change.
   *
   * @param latest the number of the latest revision
   */
  readonly read: (send: Transaction['send'], latest: number) => Promise<readonly string[] | undefined>;
}

/** Computes the files of a stem after a change; `undefined` cancels the change. */
export type Transition = (group: StemGroup, stem: string) => StemGroup | undefined;

export interface ChangeOptions {
  readonly blobGrace: Micros;
  /** The job `announce` is due so long after a change. */
  readonly captionGrace: Micros;
  readonly limits: AccountLimits;
  readonly changes: ChangeFeed;
}

/**
 * Applies a transition to the files of the stems of `filenames`, in a transaction of two round trips: one locks and reads,
 * one writes. The lock on the row makes changes to one dataset run sequentially.
 *
 * @returns the dataset after the change; `undefined` if it does not exist or the change was cancelled
 * @throws ServiceError `quota_exceeded`
 */
export async function changeFiles(
  { transact }: Database,
  change: FileChange,
  transition: Transition,
  options: ChangeOptions,
): Promise<ChangedDataset | undefined> {
  const { datasetId, now, isActivity, isDurable = true, restore } = change;
  const { limits, captionGrace, changes } = options;
  const announced = restore !== undefined ? { datasetId } : { datasetId, filenames: change.filenames };
  const changing = transact({ isDurable }, async ({ send, commit }) => {
    const read = await readForChange(change, send);
    const files = read && applyTransition(transition, read);
    if (files === undefined) return undefined;
    const { row } = read!;
    const accountId = row.account_id;
    const dataset = { accountId, role: row.role as Role };
    if (files.removed.length + files.written.length === 0) {
      return { ...dataset, revision: row.revision, recordedIn: undefined, hasChanged: false };
    }
    const { counts, added } = files;
    // The files of a restored revision were within the limit before.
    if (change.author?.how !== 'restore') await requireRoom(send, { datasetId, files, limits });
    const lastActivity = isActivity ? now : row.updated_at;
    const stored = storeFiles({ change, row, files, options });
    await commit([
      ...changes.notification(announced),
      ...stored.statements,
      ...enqueue(jobsOf(files, { datasetId, accountId, now })),
      enqueueAnnouncements({ datasetId, isLinkedTo: row.linked === LINKED.to, dueAt: now + captionGrace }),
      ...addUsage({ accountId, added, historyBytes: stored.historyBytes, limits }),
      writeCounts({ ...counts, ...stored.columns, datasetId, lastActivity }),
    ]);
    return { ...dataset, revision: stored.columns.revision, recordedIn: stored.recordedIn, hasChanged: true };
  });
  const dataset = await changing.catch((error) => {
    // The commit may have succeeded, and a process ignores its own notifications.
    if (!(error instanceof ServiceError) || error.code === 'unavailable') changes.announce(announced);
    throw quotaErrorOf(error, limits);
  });
  if (dataset?.hasChanged) changes.announce(announced);
  return dataset;
}

type FilesForChange = NonNullable<Awaited<ReturnType<typeof readForChange>>>;

/** @returns the files to change, and the locked row of their dataset; `undefined` if the change is cancelled */
async function readForChange({ datasetId, filenames, restore }: FileChange, send: Transaction['send']) {
  const lock = lockDataset(datasetId);
  const [[locked]] = restore === undefined ? [[]] : await send([lock]);
  const names = restore === undefined ? filenames : locked && (await restore.read(send, locked.revision));
  if (names === undefined) return undefined;
  const stems = [...new Set(names.map(stemOf))];
  const [[row], ...groups] = await send([lock, ...filesOfStems(datasetId, stems)]);
  if (row === undefined) return undefined;
  return { row, before: stemGroupsOf(groups.flat().map(fileOf)), stems };
}

/** The result of a transition. */
type ChangedFiles = NonNullable<ReturnType<typeof applyTransition>>;

/** @returns `undefined` if the transition cancels the change */
function applyTransition(transition: Transition, { row, stems, before: groups }: FilesForChange) {
  const before: DatasetFile[] = [];
  const after: DatasetFile[] = [];
  let { lastActivity: _, pendingUntil: __, ...counts }: OwnCounts = countsInRow(row);
  for (const stem of stems) {
    const old = groups.get(stem) ?? [];
    const changed = transition(old, stem);
    if (changed === undefined) return undefined;
    const next = withGroup(changed, old);
    before.push(...old);
    after.push(...next);
    counts = recount(counts, old, next);
  }
  /** By id, before the change. */
  const known: ReadonlyMap<string, DatasetFile> = new Map(before.map((file) => [file.id, file]));
  const remaining = new Set(after.map(({ id }) => id));
  const [usedBefore, usedAfter] = [usageOf(before), usageOf(after)];
  return {
    ...{ before, after, known, counts },
    removed: before.filter(({ id }) => !remaining.has(id)),
    written: after.filter((file) => known.get(file.id) !== file),
    added: { files: usedAfter.files - usedBefore.files, bytes: usedAfter.bytes - usedBefore.bytes },
  };
}

/** A file that comes to a stem is in the group of the stem, whether its bytes are new or come back from the history. */
function withGroup(files: StemGroup, before: StemGroup): StemGroup {
  // An upload that has begun has no group yet.
  const first = before.find((file) => file.group !== undefined) ?? before.find(isStored);
  if (first === undefined) return files;
  return files.map((file) => {
    const { group: _, ...others } = file;
    return file.group === first.group ? file : { ...others, ...(first.group !== undefined && { group: first.group }) };
  });
}

/** The statements that write files, history and trash, and the columns of the dataset. */
function storeFiles({
  change: { datasetId, mayHaveBlobs = true, now, restore, author, inspectedAs },
  row,
  files,
  options: { blobGrace },
}: {
  change: FileChange;
  row: DatasetRow;
  files: ChangedFiles;
  options: ChangeOptions;
}) {
  const { before, after, known, removed, written, counts } = files;
  const stored = storedDifference(before, after);
  const restoredFrom = restore?.restoredFrom ?? null;
  const history = historyChangeOf(row, stored, { author: author ?? authorOf(files), now, restoredFrom });
  // The blobs of stored files without a reservation were in the trash until now.
  const unreserved = after.filter(isStored).filter(({ id }) => !known.has(id));
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
      ...moveToPast(history.past, history.columns.revision),
      // Before the upsert: a written file may have the name of a removed one.
      ...rowChunksOf(removed.map(({ id }) => id)).map((ids) => query.deleteFrom('file').where('id', 'in', ids)),
      ...rowChunksOf(written.map((file) => withRevision(file, history.addedIn))).map(upsertFiles),
      ...rowChunksOf(unreserved.map(blobKeyOf)).map((keys) => query.deleteFrom('trash').where('blob_key', 'in', keys)),
      ...trashBlobs(unneeded, now + blobGrace),
      ...keepNamedBlobs(stored.identical, row.account_id),
      ...(history.revision === undefined ? [] : [writeRevision({ ...history.revision, ...totals })]),
      ...judgePastFiles(stored.judgedAgain),
      ...(startsRecheck ? startRecheck({ datasetId, now, ifRunning: 'restart' }) : []),
    ],
  };
}

/** @throws ServiceError `quota_exceeded` if a change adds files beyond the limit of the dataset */
async function requireRoom(
  send: Transaction['send'],
  { datasetId, files, limits }: { datasetId: string; files: ChangedFiles; limits: AccountLimits },
): Promise<void> {
  const max = limits.datasetFiles;
  const added = files.added.files;
  if (uploadsIn(files.counts) <= max || added <= 0) return;
  const [[found]] = await send([countNames(datasetId)]);
  const names = Number(found?.names ?? 0);
  if (names + added > max) throw datasetFull({ files: names, added, max });
}

/** Checks of received files, thumbnails of stored media, and a search for presigned uploads. */
function jobsOf(
  { known, written }: ChangedFiles,
  { datasetId, accountId, now }: { datasetId: string; accountId: string; now: Micros },
): NewJob[] {
  const received = written.filter(
    ({ id, upload }) => upload.state === 'received' && known.get(id)?.upload.state !== 'received',
  );
  const jobs: NewJob[] = received.map(({ id }) => ({ kind: 'check-file', key: id, accountId, dueAt: now }));
  const isNewMedia = ({ id, kind, upload }: DatasetFile) =>
    kind !== 'caption' && upload.state === 'stored' && known.get(id)?.upload.state !== 'stored';
  if (written.some(isNewMedia))
    jobs.push({ kind: 'hash-images', key: datasetId, accountId, dueAt: now + HASHED_AFTER });
  const isNewPresigned = ({ id, upload }: DatasetFile) =>
    upload.state === 'pending' && upload.via === 'presigned' && !known.has(id);
  if (written.some(isNewPresigned))
    jobs.push({ kind: 'find-uploads', key: datasetId, accountId, dueAt: now + FIRST_SEARCH_AFTER });
  return jobs;
}

/** The author of a finalized upload. */
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

/** Whether the file has a blob, or may get one. */
function mayHaveBlob({ upload }: DatasetFile, mayHaveBlobs: boolean): boolean {
  if (upload.state !== 'pending') return upload.state !== 'rejected';
  return mayHaveBlobs && upload.leaseUntil !== null;
}

/**
 * Adds the reservation of a direct upload in one round trip, since it does not depend on other files of that name. It is not
 * durable: a crash ends the upload anyway.
 *
 * @returns the changed dataset; `undefined` if the account has no such dataset
 * @throws ServiceError `quota_exceeded`; `invalid_name` if the stem has too many names
 */
export async function addReservation(
  { transact, run }: Database,
  { accountId, file }: { accountId: string; file: PendingFile },
  { limits, changes }: ChangeOptions,
): Promise<DatasetRecord | undefined> {
  const { datasetId, createdAt } = file;
  const announced = { datasetId, filenames: [file.filename] };
  const maxima = { maxNames: MAX_NAMES_PER_STEM, maxFiles: limits.datasetFiles };
  const statements = [
    countReservation({ accountId, datasetId, createdAt, aliveUntil: liveUntil(file.upload) }),
    addDirectUpload({ accountId, file, limits }),
    insertFile({ ...fileColumns(file), accountId, ...maxima }),
    ...changes.notification(announced),
  ] as const;
  const [[row]] = await transact({ isDurable: false }, ({ commit }) => commit(statements)).catch(async (error) => {
    if (nullColumnOf(error) === 'file.stem') throw tooManyNames(file.filename);
    if (nullColumnOf(error) !== 'file.filename') throw quotaErrorOf(error, limits);
    const [found] = await run(countNames(datasetId));
    throw datasetFull({ files: Number(found?.names ?? 0), added: 1, max: limits.datasetFiles });
  });
  if (row === undefined) return undefined;
  changes.announce(announced);
  return datasetRecordOf(row);
}

/** The author of uploads that are older than the history. */
const UNKNOWN_AUTHOR: Author = { tokenId: null, tokenName: null, how: 'upload', changeId: null };

type RevisionChange = Omit<Schema['revision'], 'digest' | 'ready_as' | 'pinned_at' | 'pinned_by' | 'pin_note'>;

/**
 * Decides to which revision a change of stored files belongs, from the locked row of the dataset.
 *
 * @returns the files that move to the history; the revision that added each stored file, by id; the columns of the dataset; the
 * change of the revision, if there is one
 */
function historyChangeOf(
  row: DatasetRow,
  { added, removed, changed, identical }: StoredDifference,
  {
    author = UNKNOWN_AUTHOR,
    now,
    restoredFrom,
  }: { author: Author | undefined; now: Micros; restoredFrom: number | null },
) {
  const { id, revision: latest, revision_group, revision_since } = row;
  const past = [...removed, ...changed.map(({ from }) => from)];
  const addedIn = new Map(identical.map(({ from, to }) => [to.id, from.upload.addedIn ?? latest]));
  if (added.length + past.length === 0) {
    const columns: HistoryColumns = { revision: latest, revision_group, revision_since };
    return { past, addedIn, columns, revision: undefined };
  }
  const open = revision_group === null ? null : { group: revision_group, startedAt: revision_since ?? 0 };
  const next = historyAfter({ latest, open }, { author, past, now });
  for (const { id: fileId } of [...added, ...changed.map(({ to }) => to)]) addedIn.set(fileId, next.latest);
  const columns: HistoryColumns = {
    ...{ revision: next.latest, revision_group: next.open?.group ?? null },
    revision_since: next.open?.startedAt ?? null,
  };
  const revision = {
    ...{ dataset_id: id, number: next.latest, started_at: now, changed_at: now },
    ...{ token_id: author.tokenId, token_name: author.tokenName, how: author.how, change_id: author.changeId },
    ...{ added: added.length, removed: removed.length, changed: changed.length, restored_from: restoredFrom },
  };
  return { past, addedIn, columns, revision };
}

/** Copies stored files into the history, before their rows are deleted. */
function moveToPast(files: readonly StoredFile[], removedIn: number) {
  const row = sql`select ${STORED}, cast(${removedIn} as bigint) from file`;
  return rowChunksOf(files.map(({ id }) => id)).map(
    (ids) => sql<never>`insert into past_file (${STORED}, removed_in) ${row} where id in (${sql.join(ids)})`,
  );
}

/** Adds a change to its revision, which may be new. */
function writeRevision(change: RevisionChange) {
  const names = Object.keys(change).map((name) => sql.ref(name));
  return sql<never>`
    insert into revision (${sql.join(names)}) values (${sql.join(Object.values(change))})
    on conflict (dataset_id, number) do update set
      changed_at = excluded.changed_at,
      added = revision.added + excluded.added,
      removed = revision.removed + excluded.removed,
      changed = revision.changed + excluded.changed,
      files = excluded.files,
      bytes = excluded.bytes,
      digest = null,
      ready_as = null`;
}

/** Records which past files are damaged or sound: restored ones share a blob with the dataset. The row must be locked. */
export function judgePastFiles(judged: readonly { id: string; upload: { problem?: ErrorProblem } }[]): Statement[] {
  return judged.map(({ id, upload }) => {
    const problem = upload.problem === undefined ? null : JSON.stringify(upload.problem);
    return sql`update past_file set problem = ${problem} where id = ${id}`;
  });
}

/** Takes blobs that the history names out of the trash after the same bytes were stored under another id, and counts them. */
function keepNamedBlobs(identical: StoredDifference['identical'], accountId: string): Statement[] {
  return rowChunksOf(identical.map(({ from }) => from.id)).flatMap((ids) => {
    const named = sql`(select distinct ${BLOB_KEY} as blob_key, size_bytes from past_file where id in (${sql.join(ids)}))`;
    const bytes = sql`(select coalesce(sum(size_bytes), 0) from ${named} as named)`;
    const reclaimed = sql`(select blob_key from ${named} as named)`;
    return [
      sql`delete from trash where blob_key in ${reclaimed}`,
      sql`update account set history_bytes = history_bytes + ${bytes} where id = ${accountId}`,
    ];
  });
}

function withRevision(file: DatasetFile, addedIn: ReadonlyMap<string, number>): DatasetFile {
  const number = addedIn.get(file.id);
  return number === undefined ? file : ({ ...file, upload: { ...file.upload, addedIn: number } } as DatasetFile);
}

export const BLOB_KEY = sql<string>`dataset_id || '/' || id`;

/** Blobs without a file, kept for reads in flight. */
export class Trash {
  readonly #db: Database;

  constructor(db: Database) {
    this.#db = db;
  }

  /** Keys of blobs to delete, at most `ROWS_PER_STATEMENT`. */
  async due(now: Micros): Promise<string[]> {
    const select = query.selectFrom('trash').select('blob_key').where('delete_after', '<=', now);
    return (await this.#db.run(select.limit(ROWS_PER_STATEMENT))).map((row) => row.blob_key);
  }

  /** Adds blobs that are about to be stored. They are deleted unless a change reclaims them. */
  async add(blobKeys: readonly string[], deleteAfter: Micros): Promise<void> {
    const rows = blobKeys.map((blob_key) => ({ blob_key, delete_after: deleteAfter }));
    await this.#db.transact({ isDurable: true }, ({ commit }) => commit(insertAll('trash', rows)));
  }

  /** Removes deleted blobs, unless they were rescheduled, and what they looked like. */
  async remove(blobKeys: readonly string[], now: Micros): Promise<void> {
    const deletion = query.deleteFrom('trash').where('delete_after', '<=', now);
    for (const keys of rowChunksOf(blobKeys)) {
      await this.#db.run(query.deleteFrom('perceptual_hash').where('blob_key', 'in', keys));
      await this.#db.run(deletion.where('blob_key', 'in', keys));
    }
  }

  async reschedule(blobKeys: readonly string[], deleteAfter: Micros): Promise<void> {
    const update = query.updateTable('trash').set({ delete_after: deleteAfter });
    for (const keys of rowChunksOf(blobKeys)) await this.#db.run(update.where('blob_key', 'in', keys));
  }
}

function trashBlobs(files: readonly DatasetFile[], deleteAfter: Micros) {
  return rowChunksOf(files).map((chunk) => {
    const rows = chunk.map((file) => sql`(${blobKeyOf(file)}, ${deleteAfter})`);
    return sql`insert into trash (blob_key, delete_after) values ${sql.join(rows)} on conflict (blob_key) do nothing`;
  });
}

/** A row may be selected several times. */
export function trashSelected(
  rows: Expression<{ dataset_id: string; id: string }>,
  deleteAfter: Micros,
): Statement<never> {
  // Without a condition, SQLite takes `on conflict` for a join (https://sqlite.org/lang_upsert.html#parsing_ambiguity).
  return sql<never>`
    insert into trash (blob_key, delete_after)
    select ${BLOB_KEY}, cast(${deleteAfter} as bigint) from ${rows} as blob where true
    on conflict (blob_key) do nothing`;
}
