import { MICROS_PER_SECOND, type Micros } from '../../dataset/dataset.js';
import { pruneTokens } from '../../storage/catalog/accounts/accounts.js';
import type { Retention } from '../../storage/catalog/history/retention.js';
import type { JobKind } from '../../storage/catalog/jobs.js';
import type { Database } from '../../storage/database/database.js';
import type { ServiceDependencies } from '../dependencies.js';
import { emptyTrash, releaseLeases } from '../upload/cleanup.js';
import type { JobHandler } from './job-runner.js';

const MAX_INTERVAL: Micros = 30 * MICROS_PER_SECOND;
const TOKEN_INTERVAL: Micros = 600 * MICROS_PER_SECOND;

/** Jobs of a mount root that no process has claimed for this long are of a machine or a folder that is gone. */
const FORGET_MOUNTS_AFTER: Micros = 24 * 3600 * MICROS_PER_SECOND;

/**
 * The jobs that remove what is no longer needed, at intervals. `clean-up` removes what crashes, disconnects and deletions leave: it
 * releases the leases of uploads that have expired, at most 1.5 lease durations after their process died, and moves the files of
 * deleted datasets to the trash.
 *
 * @param options.isReceiving whether this process is receiving an upload
 */
export function cleanUpJobs(
  dependencies: ServiceDependencies,
  {
    database,
    retention,
    isReceiving,
  }: { database: Database; retention: Retention; isReceiving: (fileId: string) => boolean },
): JobHandler[] {
  const { catalog, jobs, now, rules } = dependencies;
  const interval = Math.min(MAX_INTERVAL, Math.round(rules.leaseDuration / 2));
  const repeated = (kind: JobKind, work: (signal: AbortSignal) => Promise<void>, every = interval): JobHandler => ({
    kind,
    atOnce: 1,
    longestRetry: every,
    run: async (_, signal) => {
      await work(signal);
      return { dueAt: now() + every };
    },
  });
  return [
    repeated('clean-up', async (signal) => {
      await catalog.trashDeleted(signal);
      await jobs.deleteUnclaimed('mount', { dueBy: now() - FORGET_MOUNTS_AFTER });
      await releaseLeases(dependencies, { isReceiving, signal });
    }),
    repeated('empty-trash', (signal) => emptyTrash(dependencies, signal)),
    repeated('prune-history', (signal) => retention.run(now(), signal)),
    repeated('prune-tokens', () => pruneTokens(database, { now: now() }), TOKEN_INTERVAL),
  ];
}
