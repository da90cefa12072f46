import { MICROS_PER_SECOND, type Micros } from '../../dataset/dataset.js';
import type { ServiceDependencies, ServiceRules } from '../dependencies.js';
import { releaseLeases } from '../upload/cleanup.js';
import type { JobHandler } from './job-runner.js';

const MAX_INTERVAL: Micros = 30 * MICROS_PER_SECOND;

/** The time between two runs of the jobs that remove what is no longer needed. */
export function cleanUpInterval({ leaseDuration }: Pick<ServiceRules, 'leaseDuration'>): Micros {
  return Math.min(MAX_INTERVAL, Math.round(leaseDuration / 2));
}

/** Jobs of a mount root that no process has claimed for this long are of a machine or a folder that is gone. */
const FORGET_MOUNTS_AFTER: Micros = 24 * 3600 * MICROS_PER_SECOND;

/**
 * Removes what crashes, disconnects and deletions leave: releases the leases of uploads that have expired, at most 1.5 lease
 * durations after their process died, and moves the files of deleted datasets to the trash.
 *
 * @param options.isReceiving whether this process is receiving an upload
 */
export function cleanUpJob(
  dependencies: ServiceDependencies,
  { isReceiving }: { isReceiving: (fileId: string) => boolean },
): JobHandler {
  const { catalog, jobs, now, rules } = dependencies;
  const interval = cleanUpInterval(rules);
  return {
    kind: 'clean-up',
    atOnce: 1,
    longestRetry: interval,
    run: async (_, signal) => {
      await catalog.trashDeleted(signal);
      await jobs.deleteUnclaimed('mount', { dueBy: now() - FORGET_MOUNTS_AFTER });
      await releaseLeases(dependencies, { isReceiving, signal });
      return { dueAt: now() + interval };
    },
  };
}
