import { stemGroupsOf } from '../../dataset/counts.js';
import type { Author, Micros } from '../../dataset/dataset.js';
import { restoreStem, reverse } from '../../dataset/history/restore-transitions.js';
import { differencesBetween, filesIn, stateOfRevision } from '../../dataset/history/revision-states.js';
import type { StemGroup } from '../../dataset/upload-transitions.js';
import type { Database } from '../database/database.js';
import { type ChangedDataset, type ChangeOptions, changeFiles } from './file-changes.js';
import { Revisions } from './history/revisions.js';

/** A revision of a dataset that is restored or undone, and by whom. */
export interface RevisionOfDataset {
  readonly datasetId: string;
  readonly number: number;
  readonly author: Author;
  readonly now: Micros;
}

/**
 * Makes the stored files of a dataset those of a revision, as a new revision, and computes the state of that. Uploads in
 * progress stay.
 *
 * @returns the changed dataset; `undefined`, and no change, if the dataset or the revision does not exist
 * @throws ServiceError `quota_exceeded`
 */
export async function restoreRevision(
  db: Database,
  { datasetId, number, author, now }: RevisionOfDataset,
  options: ChangeOptions,
): Promise<ChangedDataset | undefined> {
  const kept = new Revisions(db);
  for (let earlier: number | undefined; ; ) {
    const { revisions, files, readinessVersion } = await kept.range(datasetId, { from: number, to: number });
    if (revisions.length === 0 || readinessVersion === earlier) return undefined;
    const target = stemGroupsOf(filesIn(files, number));
    const change = {
      datasetId,
      filenames: [...target.values()].flatMap((group) => group.map(({ filename }) => filename)),
      now,
      isActivity: true,
      author,
      isWholeDataset: true,
      restore: { needs: number, restoredFrom: number, readinessVersion },
    };
    const changed = await changeFiles(db, change, (group, stem) => restoreStem(group, target.get(stem) ?? []), options);
    if (changed !== undefined) {
      await saveLatestState(kept, changed);
      return changed;
    }
    // A file may have been found damaged since it was read.
    earlier = readinessVersion;
  }
}

/** A dataset after the changes of a revision were reversed. */
export interface UndoneRevision {
  readonly dataset: ChangedDataset;
  /** The files that are as before the revision, by name. */
  readonly undone: string[];
  /** Those that were changed again since, and stay as they are. */
  readonly kept: string[];
}

/**
 * Reverses the changes of a revision, as a new revision, and computes the state of that. Files that were changed again since
 * stay as they are.
 *
 * @returns the number of the revision that is not kept, this one or the one before, if one is not; `undefined`, and no change,
 * if the dataset or the revision before was deleted meanwhile
 * @throws ServiceError `quota_exceeded`
 */
export async function undoRevision(
  db: Database,
  { datasetId, number, author, now }: RevisionOfDataset,
  options: ChangeOptions,
): Promise<UndoneRevision | { readonly missing: number } | undefined> {
  const before = number - 1;
  const kept = new Revisions(db);
  for (let earlier: number | undefined; ; ) {
    const range = { from: before, to: number, isDifference: true };
    const { revisions, files, readinessVersion } = await kept.range(datasetId, range);
    const isKept = (wanted: number) => wanted === 0 || revisions.some((revision) => revision.number === wanted);
    for (const needed of [number, before]) if (!isKept(needed)) return { missing: needed };
    if (readinessVersion === earlier) return undefined;
    const differences = differencesBetween(filesIn(files, before), filesIn(files, number));
    const byStem = stemGroupsOf(differences);
    const filenames = differences.map(({ filename }) => filename);
    const outcomes = new Map<string, boolean>();
    const change = {
      ...{ datasetId, filenames, now, isActivity: true, author },
      restore: { needs: before === 0 ? null : before, restoredFrom: number, readinessVersion },
    };
    const transition = (group: StemGroup, stem: string) =>
      (byStem.get(stem) ?? []).reduce<StemGroup>((current, difference) => {
        const next = reverse(current, difference);
        outcomes.set(difference.filename, next !== undefined);
        return next ?? current;
      }, group);
    const dataset = await changeFiles(db, change, transition, options);
    if (dataset === undefined) {
      // A file may have been found damaged since it was read.
      earlier = readinessVersion;
      continue;
    }
    await saveLatestState(kept, dataset);
    return {
      dataset,
      undone: filenames.filter((filename) => outcomes.get(filename)),
      kept: filenames.filter((filename) => !outcomes.get(filename)),
    };
  }
}

/**
 * Computes the state of the latest revision, so that the answer to the client need not read all files again. A failure of the
 * database is ignored: the change is committed, and the state is computed again when it is asked for.
 */
async function saveLatestState(kept: Revisions, { id, role, revision: number }: ChangedDataset): Promise<void> {
  try {
    const { revisions, files, readinessVersion } = await kept.range(id, { from: number, to: number });
    const [latest] = revisions;
    if (latest === undefined || latest.isReady !== null) return;
    const state = stateOfRevision(files, { number, role });
    if (state === undefined) return;
    await kept.saveFindings({ datasetId: id, role, readinessVersion }, [{ ...state, changedAt: latest.changedAt }]);
  } catch {}
}
