import type { ServiceDependencies } from '../dependencies.js';
import { emptyTrash } from '../upload/cleanup.js';
import { cleanUpInterval } from './clean-up-job.js';
import type { JobHandler } from './job-runner.js';

/** Deletes the bytes of replaced or deleted files whose grace period is over. */
export function emptyTrashJob(
  dependencies: Pick<ServiceDependencies, 'catalog' | 'blobs' | 'now' | 'rules'>,
): JobHandler {
  const { now, rules } = dependencies;
  const interval = cleanUpInterval(rules);
  return {
    kind: 'empty-trash',
    atOnce: 1,
    longestRetry: interval,
    run: async (_, signal) => {
      await emptyTrash(dependencies, signal);
      return { dueAt: now() + interval };
    },
  };
}
