import { blobKeyOf } from '../../storage/blobs/blobs.js';
import type { ServiceDependencies } from '../dependencies.js';
import { thumbnailKeyOf } from '../download/downloads.js';
import { UploadLease } from './upload-lease.js';

/** What is swept: all that is abandoned by now; at the start of the only process, all that any earlier one had begun. */
export interface CleanupOptions {
  readonly everything?: boolean;
  /** Uploads of this very process, which are not abandoned even where the catalog missed their signs of life. */
  readonly isReceiving?: (fileId: string) => boolean;
}

/**
 * Removes what a crash or a hang-up has left behind: uploads nobody is taking in any more, with what they may have
 * stored, and the bytes of files that were displaced or removed long enough ago.
 */
export async function cleanUp(dependencies: ServiceDependencies, options: CleanupOptions = {}): Promise<void> {
  const { catalog, blobs, now } = dependencies;
  await sweepAbandoned(dependencies, options);
  for (;;) {
    const due = await catalog.dueTrash(now());
    if (due.length === 0) return;
    await blobs.delete(due.flatMap((key) => [key, thumbnailKeyOf(key)]));
    await catalog.forgetTrash(due);
  }
}

async function sweepAbandoned(
  dependencies: ServiceDependencies,
  { everything = false, isReceiving: isArrivingHere = () => false }: CleanupOptions,
): Promise<void> {
  const { catalog, blobs, now } = dependencies;
  const until = everything ? Number.MAX_SAFE_INTEGER : now();
  for (const file of await catalog.expiredLeases(until)) {
    if (isArrivingHere(file.id)) continue;
    // Taken over as any other attempt would: only who holds the promise may touch its bytes, and another process may have
    // had the same idea, or a client be uploading again.
    const lease = await UploadLease.acquire(dependencies, file, { now: until, isActivity: false, isDurable: false });
    if (lease === undefined) continue;
    // What a client brought to the store itself waits for whoever settles it.
    if (file.upload.via !== 'presigned') await blobs.delete([blobKeyOf(file)]);
    await lease.release();
  }
}
