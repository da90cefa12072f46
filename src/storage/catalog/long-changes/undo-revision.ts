import { stemGroupsOf } from '../../../dataset/counts.js';
import { reverse } from '../../../dataset/history/restore-transitions.js';
import { differencesBetween, filesIn } from '../../../dataset/history/revision-states.js';
import type { StemGroup } from '../../../dataset/upload-transitions.js';
import type { Database } from '../../database/database.js';
import { type ChangedDataset, type ChangeOptions, changeFiles } from '../file-changes.js';
import { Revisions } from '../history/revisions.js';
import type { RevisionOfDataset } from './revision-of-dataset.js';
import { saveLatestState } from './save-latest-state.js';

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
