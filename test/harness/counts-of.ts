import { countsOf } from '../../src/dataset/counts.js';
import { type DatasetCounts, type DatasetFile, liveUntil, type Micros } from '../../src/dataset/dataset.js';

/** Without links, as a training dataset. The counts in the catalog must always equal the result. */
export function datasetCountsOf(files: readonly DatasetFile[], lastActivity: Micros): DatasetCounts {
  return { ...countsOf(files), unpaired: 0, pendingUntil: pendingUntilOf(files), lastActivity };
}

/** When the last pending upload expires; `null` without any. */
export function pendingUntilOf(files: readonly DatasetFile[]): Micros | null {
  let latest: Micros | null = null;
  for (const { upload } of files) {
    if (upload.state === 'pending') latest = Math.max(latest ?? 0, liveUntil(upload));
  }
  return latest;
}
