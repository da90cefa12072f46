import { MICROS_PER_SECOND, type Micros } from '../../dataset/dataset.js';
import type { ServiceDependencies } from '../dependencies.js';
import type { JobHandler } from './job-runner.js';

const HOUR: Micros = 3600 * MICROS_PER_SECOND;
const INTERVAL = 6 * HOUR;

const LEFTOVER_AFTER = 24 * HOUR;

/** Deletes old objects that clients have written through links and no pending upload waits for. */
export function cleanStoreJob({
  catalog,
  blobs,
  now,
}: Pick<ServiceDependencies, 'catalog' | 'blobs' | 'now'>): JobHandler {
  return {
    kind: 'clean-store',
    atOnce: 1,
    longestRetry: INTERVAL,
    run: async (_, signal) => {
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
      return { dueAt: time + INTERVAL };
    },
  };
}
