import type { Retention } from '../../storage/catalog/history/retention.js';
import type { ServiceDependencies } from '../dependencies.js';
import { cleanUpInterval } from './clean-up-job.js';
import type { JobHandler } from './job-runner.js';

/** Deletes revisions that need not be kept, with the files that only they name. */
export function pruneHistoryJob(
  { now, rules }: Pick<ServiceDependencies, 'now' | 'rules'>,
  retention: Retention,
): JobHandler {
  const interval = cleanUpInterval(rules);
  return {
    kind: 'prune-history',
    atOnce: 1,
    longestRetry: interval,
    run: async (_, signal) => {
      await retention.run(now(), signal);
      return { dueAt: now() + interval };
    },
  };
}
