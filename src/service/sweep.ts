import { endArrival } from '../dataset/transitions.js';
import type { ServiceParts } from './parts.js';
import { thumbnailKeyOf } from './reading.js';

/** What is swept: all that is abandoned by now; at the start of the only process, all that any earlier one had begun. */
export interface SweepOptions {
  readonly everything?: boolean;
  /** Uploads of this very process, which are not abandoned even where the catalog missed their signs of life. */
  readonly isArrivingHere?: (fileId: string) => boolean;
}

/**
 * Removes what a crash or a hang-up has left behind: uploads nobody is taking in any more, with what they may have
 * stored, and the bytes of files that were displaced or removed long enough ago.
 */
export async function sweep(
  { catalog, blobs, now }: ServiceParts,
  { everything = false, isArrivingHere = () => false }: SweepOptions = {},
): Promise<void> {
  const abandoned = await catalog.abandonedUploads(everything ? Number.MAX_SAFE_INTEGER : now());
  for (const file of abandoned) {
    if (isArrivingHere(file.id)) continue;
    // Bytes first: once the promise is open again, another upload may bring its own under the same key.
    await blobs.delete([file.id]);
    const { datasetId, filename } = file;
    const change = { datasetId, filenames: [filename], now: now(), isActivity: true, mayLeaveBytes: false };
    await catalog.change(change, (group) => endArrival(group, file.id));
  }
  for (;;) {
    const due = await catalog.dueTrash(now());
    if (due.length === 0) return;
    await blobs.delete(due.flatMap((id) => [id, thumbnailKeyOf(id)]));
    await catalog.forgetTrash(due);
  }
}
