import { BlobsNotDeleted, blobKeyOf } from '../../storage/blobs/blobs.js';
import type { ServiceDependencies } from '../dependencies.js';
import { thumbnailKeyOf } from '../download/thumbnails.js';
import { UploadLease } from './upload-lease.js';

/**
 * Deletes the bytes of replaced or deleted files whose grace period is over, until the signal fires.
 *
 * @throws BlobsNotDeleted if the store keeps some of the bytes, once all others are deleted
 */
export async function emptyTrash(
  { catalog, blobs, now }: Pick<ServiceDependencies, 'catalog' | 'blobs' | 'now'>,
  signal?: AbortSignal,
): Promise<void> {
  const time = now();
  let failure: BlobsNotDeleted | undefined;
  while (!signal?.aborted) {
    const due = await catalog.expiredTrash(time);
    if (due.length === 0) break;
    const deletion = blobs.delete(due.flatMap((key) => [key, thumbnailKeyOf(key)])).then(
      () => [],
      (error) => {
        if (!(error instanceof BlobsNotDeleted)) throw error;
        failure ??= error;
        return error.keys;
      },
    );
    const kept = new Set<string>(await deletion);
    const isKept = (key: string) => kept.has(key) || kept.has(thumbnailKeyOf(key));
    const deleted = due.filter((key) => !isKept(key));
    await catalog.removeFromTrash(deleted, time);
    // Not due for the rest of this run.
    await catalog.rescheduleTrash(due.filter(isKept), { to: time + 1 });
  }
  if (failure !== undefined) throw failure;
}

export interface ReleaseOptions {
  /** Whether this process is receiving the upload. Such a lease is live, even if its renewals failed. */
  readonly isReceiving?: (fileId: string) => boolean;
  /** Releases live leases too. Only for the start of a process that alone uses the catalog: all are from an earlier process. */
  readonly isLiveToo?: boolean;
  /** Ends the work early. */
  readonly signal?: AbortSignal;
}

/**
 * Releases the leases that have expired, and deletes any bytes their uploads stored.
 *
 * @throws BlobsNotDeleted if the store keeps some of them. Their leases are released by a later call
 */
export async function releaseLeases(
  dependencies: ServiceDependencies,
  { isLiveToo = false, isReceiving = () => false, signal }: ReleaseOptions = {},
): Promise<void> {
  const { catalog, blobs, now } = dependencies;
  const expiredBy = isLiveToo ? Number.MAX_SAFE_INTEGER : now();
  let failure: BlobsNotDeleted | undefined;
  for (const file of await catalog.expiredLeases(expiredBy)) {
    if (signal?.aborted) break;
    if (isReceiving(file.id)) continue;
    // Only a lease holder may delete the bytes. Another process, or the client's next attempt, may acquire it first.
    const options = { expiredBy, isActivity: false, isDurable: false };
    const lease = await UploadLease.acquire(dependencies, file, options);
    if (lease === undefined) continue;
    try {
      await blobs.delete([blobKeyOf(file)]);
      await lease.release();
    } catch (error) {
      if (!(error instanceof BlobsNotDeleted)) throw error;
      failure ??= error;
    }
  }
  if (failure !== undefined) throw failure;
}
