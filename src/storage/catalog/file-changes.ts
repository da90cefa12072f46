import type { Compilable } from 'kysely';
import { recount, stemGroupsOf } from '../../dataset/counts.js';
import { type Dataset, type DatasetFile, liveUntil, type Micros, type PendingFile } from '../../dataset/dataset.js';
import { stemOf } from '../../dataset/media.js';
import type { StemGroup } from '../../dataset/upload-transitions.js';
import type { Database, RowsOf } from '../database/database.js';
import { datasetOf, fileColumns, fileOf } from './rows.js';
import {
  countReservation,
  datasetById,
  groupsOfStems,
  insertFile,
  lockedDatasetById,
  trashBlobs,
  writeCounts,
  writeFiles,
} from './statements.js';

/** A change to the files of some stems of one dataset. */
export interface FileChange {
  readonly datasetId: string;
  readonly filenames: readonly string[];
  readonly now: Micros;
  /** Whether it counts as activity: a lease that is renewed does not. */
  readonly isActivity: boolean;
  /** Whether it must outlive a power cut before it returns; what only a crash could lose needs not wait for the disk. */
  readonly isDurable?: boolean;
  /** Whether uploads that were arriving and go may have left bytes; whoever ended them cleanly knows that they did not. */
  readonly mayHaveBlobs?: boolean;
}

export type Transition = (group: StemGroup, stem: string) => StemGroup | undefined;

/** What goes into a change beside the files: how long bytes stay, and how it is told. */
export interface ChangeOptions {
  readonly blobGrace: Micros;
  /** Statements that tell other processes of the change, if and when it is committed. */
  readonly notification: (datasetId: string) => readonly Compilable<unknown>[];
}

/**
 * Applies a transition to the stem groups that `filenames` belong to, in one transaction of two trips: lock and read, then
 * write. The lock is the dataset's row, so that all changes to one dataset come one after the other.
 *
 * @returns the dataset as it now is; `undefined` where it does not exist any more, or where the transition had lost its
 * subject in one of the groups: then nothing has changed.
 */
export function changeFiles(
  { query, hasRowLocks, transact }: Database,
  { datasetId, filenames, now, isActivity, isDurable = true, mayHaveBlobs: mayLeaveBytes = true }: FileChange,
  transition: Transition,
  { blobGrace, notification }: ChangeOptions,
): Promise<Dataset | undefined> {
  const stems = [...new Set(filenames.map(stemOf))];
  return transact({ isDurable }, async ({ send, commit }) => {
    const [[row], ...groups] = await send([
      (hasRowLocks ? lockedDatasetById : datasetById)(query, { id: datasetId }),
      ...groupsOfStems(query, datasetId, stems),
    ]);
    if (row === undefined) return undefined;
    const before = stemGroupsOf(groups.flat().map(fileOf));
    const removed: DatasetFile[] = [];
    const written: DatasetFile[] = [];
    const discarded: DatasetFile[] = [];
    const { lastActivity, pendingUntil: _, ...kept } = datasetOf(row).counts;
    let counts = kept;
    for (const stem of stems) {
      const old = before.get(stem) ?? [];
      const next = transition(old, stem);
      if (next === undefined) return undefined;
      const remaining = new Map(next.map((file) => [file.id, file]));
      const unchanged = new Set(old.filter((file) => next.includes(file)));
      removed.push(...old.filter((file) => !remaining.has(file.id)));
      written.push(...next.filter((file) => !unchanged.has(file)));
      const isWithoutUse = ({ id }: DatasetFile) => (remaining.get(id)?.upload.state ?? 'rejected') === 'rejected';
      discarded.push(...old.filter((file) => isWithoutUse(file) && hasBytes(file, mayLeaveBytes)));
      counts = recount(counts, old, next);
    }
    const after = { ...counts, lastActivity: isActivity ? now : lastActivity };
    const counting = writeCounts(query, { ...counts, datasetId, lastActivity: after.lastActivity });
    const answers = await commit([
      ...notification(datasetId),
      ...writeFiles(query, { removed, written }),
      ...trashBlobs(query, discarded, { now, blobGrace }),
      counting,
    ]);
    const [counted] = answers.at(-1) as RowsOf<[typeof counting]>[0];
    const pendingUntil = counted?.pending_until ?? null;
    return { ...datasetOf(row), updatedAt: after.lastActivity, counts: { ...after, pendingUntil } };
  });
}

/** Whether there are bytes under a file's key, or may be, or may yet come. */
function hasBytes({ upload }: DatasetFile, mayLeaveBytes: boolean): boolean {
  if (upload.state !== 'pending') return upload.state === 'stored';
  return upload.via === 'presigned' || (mayLeaveBytes && upload.leaseUntil !== null);
}

/**
 * Adds the promise of a direct upload, in one trip: what else there is of its name need not be known for it (`reserve` of
 * `dataset/transitions.ts`). It is not durable: a promise without its bytes is worth nothing after a crash.
 *
 * @returns the dataset as it now is; `undefined` where the account has none of that id: then nothing has changed.
 */
export async function addReservation(
  { query, transact }: Database,
  { accountId, file }: { accountId: string; file: PendingFile },
  { notification }: Pick<ChangeOptions, 'notification'>,
): Promise<Dataset | undefined> {
  const { datasetId, createdAt } = file;
  const [[row]] = await transact({ isDurable: false }, ({ commit }) =>
    commit([
      countReservation(query, { accountId, datasetId, createdAt, aliveUntil: liveUntil(file.upload) }),
      insertFile(query, { ...fileColumns(file), accountId }),
      ...notification(datasetId),
    ]),
  );
  return row && datasetOf(row);
}
