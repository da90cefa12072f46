import { stateOfRevision } from '../../../dataset/history/revision-states.js';
import type { ChangedDataset } from '../file-changes.js';
import type { Revisions } from '../history/revisions.js';

/**
 * Computes the state of the latest revision, so that the answer to the client need not read all files again. A failure of the
 * database is ignored: the change is committed, and the state is computed again when it is asked for.
 */
export async function saveLatestState(kept: Revisions, { id, role, revision: number }: ChangedDataset): Promise<void> {
  try {
    const { revisions, files, readinessVersion } = await kept.range(id, { from: number, to: number });
    const [latest] = revisions;
    if (latest === undefined || latest.isReady !== null) return;
    const state = stateOfRevision(files, { number, role });
    await kept.saveFindings({ datasetId: id, role, readinessVersion }, [{ ...state, changedAt: latest.changedAt }]);
  } catch {}
}
