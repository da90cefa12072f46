import { MICROS_PER_SECOND, type Micros } from '../../dataset/dataset.js';
import { BlobsNotDeleted } from '../../storage/blobs/blobs.js';
import { pruneTokens } from '../../storage/catalog/accounts.js';
import { pruneHistory, type RetentionOptions } from '../../storage/catalog/history/retention.js';
import type { JobKind } from '../../storage/catalog/jobs.js';
import type { Database } from '../../storage/database/database.js';
import type { ServiceDependencies } from '../dependencies.js';
import { thumbnailKeyOf } from '../download/thumbnails.js';
import { releaseLeases } from '../upload/upload-lease.js';
import type { JobHandler } from './job-runner.js';

const MINUTE: Micros = 60 * MICROS_PER_SECOND;
const HOUR: Micros = 60 * MINUTE;

/** Space is freed at most a quarter of a lease after the lease has expired. */
const MAX_INTERVAL: Micros = MINUTE / 2;

/** A mount job that no process has claimed for this long belongs to a machine or folder that is gone. */
const FORGET_MOUNTS_AFTER: Micros = 24 * HOUR;

/** The age of objects in the store that no pending upload waits for. */
const LEFTOVER_AFTER: Micros = 24 * HOUR;

/** Jobs that remove what is no longer needed, at intervals. `clean-up` releases the expired leases of uploads. */
export function cleanUpJobs(
  dependencies: ServiceDependencies,
  { database, retention }: { database: Database; retention: RetentionOptions },
): JobHandler[] {
  const { catalog, jobs, now, rules } = dependencies;
  const interval = Math.min(MAX_INTERVAL, Math.round(rules.leaseDuration / 2));
  const repeated = (kind: JobKind, every: Micros, work: (signal: AbortSignal) => Promise<void>): JobHandler => ({
    kind,
    atOnce: 1,
    longestRetry: every,
    run: async (_, signal) => {
      await work(signal);
      return { dueAt: now() + every };
    },
  });
  return [
    repeated('clean-up', interval, async (signal) => {
      await jobs.deleteUnclaimed('mount', { dueBy: now() - FORGET_MOUNTS_AFTER });
      await releaseLeases(dependencies, { signal });
      await catalog.endReservations(now());
    }),
    repeated('empty-trash', interval, (signal) => emptyTrash(dependencies, signal)),
    repeated('prune-history', interval, (signal) => pruneHistory(database, { ...retention, now: now(), signal })),
    repeated('prune-tokens', 10 * MINUTE, () => pruneTokens(database, { now: now() })),
    repeated('clean-store', 6 * HOUR, (signal) => cleanStore(dependencies, signal)),
  ];
}

/** Deletes bytes after their grace period, until the signal fires. @throws BlobsNotDeleted once all others are deleted */
export async function emptyTrash(
  { catalog, blobs, now }: Pick<ServiceDependencies, 'catalog' | 'blobs' | 'now'>,
  signal?: AbortSignal,
): Promise<void> {
  const time = now();
  let failure: BlobsNotDeleted | undefined;
  while (!signal?.aborted) {
    const due = await catalog.trash.due(time);
    if (due.length === 0) break;
    const kept = new Set<string>();
    try {
      await blobs.delete(due.flatMap((key) => [key, thumbnailKeyOf(key)]));
    } catch (error) {
      if (!(error instanceof BlobsNotDeleted)) throw error;
      failure ??= error;
      for (const key of error.keys) kept.add(key);
    }
    const isKept = (key: string) => kept.has(key) || kept.has(thumbnailKeyOf(key));
    await catalog.trash.remove(
      due.filter((key) => !isKept(key)),
      time,
    );
    // Not due for the rest of this run.
    await catalog.trash.reschedule(due.filter(isKept), time + 1);
  }
  if (failure !== undefined) throw failure;
}

/** Deletes old objects from links that no pending upload waits for. */
async function cleanStore(
  { catalog, blobs, now }: Pick<ServiceDependencies, 'catalog' | 'blobs' | 'now'>,
  signal: AbortSignal,
): Promise<void> {
  const { staging } = blobs;
  const time = now();
  for await (const page of staging?.list() ?? []) {
    signal.throwIfAborted();
    for (const { key, changedAt } of page) {
      if (changedAt > (time - LEFTOVER_AFTER) / 1000) continue;
      const file = await catalog.file(key.slice(key.indexOf('/') + 1));
      if (file?.upload.state !== 'pending') await staging?.delete([key]);
    }
  }
}
