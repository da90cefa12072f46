import type { Accounts } from '../storage/catalog/accounts/accounts.js';
import type { Retention } from '../storage/catalog/history/retention.js';
import type { ServiceDependencies } from './dependencies.js';
import { runPeriodically } from './run-periodically.js';
import { cleanUp } from './upload/cleanup.js';
import type { PresignedUploads } from './upload/presigned-uploads.js';
import type { Uploads } from './upload/uploads.js';

const MAX_CLEANUP_PAUSE_MS = 30_000;
const POLL_PAUSE_MS = 2000;
const SAVE_USES_PAUSE_MS = 60_000;

interface PeriodicWork {
  readonly retention: Retention;
  readonly uploads: Uploads;
  readonly accounts: Accounts;
  /** `undefined` if clients can't upload directly to the store. */
  readonly presignedUploads: PresignedUploads | undefined;
  /** A pino logger can be passed. */
  readonly logger: Record<'warn' | 'error', (facts: object, message: string) => void>;
}

/** Starts what a process repeats while it serves. @returns stops it, and resolves once none of it is running */
export function startPeriodicWork(dependencies: ServiceDependencies, work: PeriodicWork): () => Promise<unknown> {
  const { retention, uploads, accounts, presignedUploads, logger } = work;
  const { now, rules } = dependencies;
  const cleanupPauseMs = Math.min(MAX_CLEANUP_PAUSE_MS, rules.leaseDuration / 1000 / 2);
  const isReceiving = (id: string) => uploads.isReceiving(id);
  const stops = [
    runPeriodically((signal) => retention.run(now(), signal), {
      pauseMs: cleanupPauseMs,
      onError: (err) => logger.error({ err }, 'deleting old revisions failed; it will be retried'),
    }),
    // The lease of an upload whose process died is released at most 1.5 lease durations later.
    runPeriodically((signal) => cleanUp(dependencies, { isReceiving, signal }), {
      pauseMs: cleanupPauseMs,
      isFirstAtOnce: true,
      onError: (err) => logger.error({ err }, 'the cleanup failed; it will be retried'),
    }),
    runPeriodically(() => accounts.saveLastUses(), {
      pauseMs: SAVE_USES_PAUSE_MS,
      onError: (err) => logger.warn({ err }, 'the last uses of tokens could not be saved'),
    }),
  ];
  if (presignedUploads !== undefined) {
    const stopPolling = runPeriodically(() => presignedUploads.pollAll(), {
      pauseMs: POLL_PAUSE_MS,
      onError: (err) => logger.error({ err }, 'polling the store for presigned uploads failed; it will be retried'),
    });
    stops.push(stopPolling);
  }
  return () => Promise.all(stops.map((stop) => stop()));
}
