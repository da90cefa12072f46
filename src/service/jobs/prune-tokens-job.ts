import { MICROS_PER_SECOND, type Micros } from '../../dataset/dataset.js';
import { pruneTokens } from '../../storage/catalog/accounts/prune-tokens.js';
import type { Database } from '../../storage/database/database.js';
import type { JobHandler } from './job-runner.js';

const INTERVAL: Micros = 600 * MICROS_PER_SECOND;

/** Deletes tokens that ended long ago. */
export function pruneTokensJob({ database, now }: { database: Database; now: () => Micros }): JobHandler {
  return {
    kind: 'prune-tokens',
    atOnce: 1,
    run: async (_, signal) => {
      await pruneTokens(database, { now: now(), signal });
      return { dueAt: now() + INTERVAL };
    },
  };
}
