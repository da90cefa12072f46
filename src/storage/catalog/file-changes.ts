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
}

/** Computes the files of a stem after a change; `undefined` cancels the whole change. */
export type Transition = (group: StemGroup, stem: string) => StemGroup | undefined;

export interface ChangeOptions {
  readonly blobGrace: Micros;
  /** Makes the statements that notify other processes of the change when it is committed. */
  readonly notification: (datasetId: string) => readonly Compilable<unknown>[];
}

/**
 * Applies a transition to the files of the stems of `filenames`, in one transaction of two round trips: the first locks and
 * reads, the second writes. The lock on the row of the dataset makes changes to one dataset run sequentially.
 *
 * @returns the changed dataset; `undefined`, and no change, if the dataset does not exist or the transition returns
 * `undefined` for one of the stems
 */
export function changeFiles(
  { query, hasRowLocks, transact }: Database,
  { datasetId, filenames, now, isActivity, isDurable = true, mayHaveBlobs = true }: FileChange,
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
    const trashed: DatasetFile[] = [];
    let { lastActivity, pendingUntil: _, ...counts } = datasetOf(row).counts;
    for (const stem of stems) {
      const old = before.get(stem) ?? [];
      const next = transition(old, stem);
      if (next === undefined) return undefined;
      const remaining = new Map(next.map((file) => [file.id, file]));
      const unchanged = new Set(old.filter((file) => next.includes(file)));
      removed.push(...old.filter((file) => !remaining.has(file.id)));
      written.push(...next.filter((file) => !unchanged.has(file)));
      const needsNoBlob = ({ id }: DatasetFile) => (remaining.get(id)?.upload.state ?? 'rejected') === 'rejected';
      trashed.push(...old.filter((file) => needsNoBlob(file) && mayHaveBlob(file, mayHaveBlobs)));
      counts = recount(counts, old, next);
    }
    if (isActivity) lastActivity = now;
    const countsUpdate = writeCounts(query, { ...counts, datasetId, lastActivity });
    const answers = await commit([
      ...notification(datasetId),
      ...writeFiles(query, { removed, written }),
      ...trashBlobs(query, trashed, { now, blobGrace }),
      countsUpdate,
    ]);
    const [counted] = answers.at(-1) as RowsOf<[typeof countsUpdate]>[0];
    const pendingUntil = counted?.pending_until ?? null;
    return { ...datasetOf(row), updatedAt: lastActivity, counts: { ...counts, lastActivity, pendingUntil } };
  });
}

/** True if the file has a blob, or may have one now or later. */
function mayHaveBlob({ upload }: DatasetFile, mayHaveBlobs: boolean): boolean {
  if (upload.state !== 'pending') return upload.state !== 'rejected';
  return upload.via === 'presigned' || (mayHaveBlobs && upload.leaseUntil !== null);
}

/**
 * Adds the reservation of a direct upload, in one round trip: it does not depend on other files of that name (`reserve` of
 * `dataset/upload-transitions.ts`). It is not durable: a crash ends the upload anyway.
 *
 * @returns the changed dataset; `undefined`, and no change, if the account has no dataset of that id
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
