import { revisionStates } from '../../../dataset/history/revision-states.js';
import type { ChangedDataset } from '../file-changes.js';
import type { Revisions } from '../history/revisions.js';

/** Computes the state of the latest revision, so that the answer to the client need not read all files again. */
export async function saveLatestState(kept: Revisions, { id, role, revision: number }: ChangedDataset): Promise<void> {
  const { revisions, files } = await kept.range(id, { from: number, to: number });
  const [latest] = revisions;
  if (latest === undefined || latest.isReady !== null) return;
  const [state] = [...revisionStates(files, { numbers: [number], role })].filter((found) => found !== undefined);
  if (state !== undefined) await kept.saveFindings(id, [{ ...state, changedAt: latest.changedAt }]);
}
