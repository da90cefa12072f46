import { stemGroupsOf } from '../../../dataset/counts.js';
import { restoreStem } from '../../../dataset/history/restore-transitions.js';
import { filesIn } from '../../../dataset/history/revision-states.js';
import type { Database } from '../../database/database.js';
import { type ChangedDataset, type ChangeOptions, changeFiles } from '../file-changes.js';
import { Revisions } from '../history/revisions.js';
import type { RevisionOfDataset } from './revision-of-dataset.js';
import { saveLatestState } from './save-latest-state.js';

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
