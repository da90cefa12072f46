import { BlobsNotDeleted, blobKeyOf } from '../../storage/blobs/blobs.js';
import type { ServiceDependencies } from '../dependencies.js';
import { thumbnailKeyOf } from '../download/thumbnails.js';
import { UploadLease } from './upload-lease.js';

export interface CleanupOptions {
  /** Whether this process is receiving the upload. Such a lease is live, even if its renewals failed. */
  readonly isReceiving?: (fileId: string) => boolean;
  /** Ends the work early. */
  readonly signal?: AbortSignal;
}

/**
 * Removes leftovers of crashes and disconnects: uploads whose lease has expired, with any bytes they stored, and the bytes
 * of replaced or deleted files whose grace period is over. Moves the files of deleted datasets to the trash.
 *
 * @throws BlobsNotDeleted if the store keeps some of the bytes, once everything else is removed
 */
export async function cleanUp(dependencies: ServiceDependencies, options: CleanupOptions = {}): Promise<void> {
  const { catalog, blobs, now } = dependencies;
  const failures: BlobsNotDeleted[] = [];
  const keptBy = (error: unknown): readonly string[] => {
    if (!(error instanceof BlobsNotDeleted)) throw error;
    failures.push(error);
    return error.keys;
  };
  await releaseLeases(dependencies, options).catch(keptBy);
  await catalog.trashDeleted(options.signal);
  const time = now();
  while (!options.signal?.aborted) {
    const due = await catalog.expiredTrash(time);
    if (due.length === 0) break;
    const deletion = blobs.delete(due.flatMap((key) => [key, thumbnailKeyOf(key)]));
    const kept = new Set(await deletion.then(() => [], keptBy));
    const isKept = (key: string) => kept.has(key) || kept.has(thumbnailKeyOf(key));
    await catalog.removeFromTrash(
      due.filter((key) => !isKept(key)),
      time,
    );
    // Not due for the rest of this cleanup.
    await catalog.rescheduleTrash(due.filter(isKept), { to: time + 1 });
  }
  if (failures[0] !== undefined) throw failures[0];
}

/**
 * Releases the leases that have expired, and deletes any bytes their uploads stored.
 *
 * @throws BlobsNotDeleted if the store keeps some of them. Their leases are released by a later call
 * @param options.isLiveToo releases live leases too. Only for the start of a process that alone uses the catalog: all of them
 * are from an earlier process
 */
export async function releaseLeases(
  dependencies: ServiceDependencies,
  { isLiveToo = false, isReceiving = () => false, signal }: CleanupOptions & { readonly isLiveToo?: boolean },
): Promise<void> {
  const { catalog, blobs, now } = dependencies;
  const expiredBy = isLiveToo ? Number.MAX_SAFE_INTEGER : now();
  let failure: unknown;
  for (const file of await catalog.expiredLeases(expiredBy)) {
    if (signal?.aborted) break;
    if (isReceiving(file.id)) continue;
    // Only a lease holder may delete the bytes. Another process, or the client's next attempt, may acquire it first.
    const options = { expiredBy, isActivity: false, isDurable: false };
    const lease = await UploadLease.acquire(dependencies, file, options);
    if (lease === undefined) continue;
    // The object of a presigned upload is the client's; it waits to be finalized.
    try {
      if (file.upload.via !== 'presigned') await blobs.delete([blobKeyOf(file)]);
      await lease.release();
    } catch (error) {
      if (!(error instanceof BlobsNotDeleted)) throw error;
      failure ??= error;
    }
  }
  if (failure !== undefined) throw failure;
}
