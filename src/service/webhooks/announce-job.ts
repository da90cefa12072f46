import type { Micros } from '../../dataset/dataset.js';
import { ServiceError } from '../../dataset/errors.js';
import { datasetStatusOf, lastActivityOf, nextStatusChangeOf } from '../../dataset/pairs/linked-status.js';
import { announce, announcedOf } from '../../storage/catalog/webhooks/announcements.js';
import { eventPayload } from '../../storage/catalog/webhooks/deliveries.js';
import type { Database } from '../../storage/database/database.js';
import type { DatasetView } from '../dataset-view.js';
import type { DatasetKey, DatasetService } from '../datasets.js';
import type { ServiceDependencies } from '../dependencies.js';
import type { JobEnd, JobHandler } from '../jobs/job-runner.js';

/** Datasets that are read at once. */
const AT_ONCE = 4;

/** Standard Webhooks recommends payloads under 20 kB. */
const MAX_PAYLOAD_BYTES = 20_000;

const MAX_PROBLEMS = 10;

export type AnnounceDependencies = Pick<ServiceDependencies, 'catalog' | 'now' | 'newId' | 'rules'>;

export interface AnnounceOptions {
  readonly database: Database;
  readonly datasets: Pick<DatasetService, 'view'>;
  /** The dataset as the API has it, with at most so many problems. */
  readonly toWire: (view: DatasetView, problems: number) => object;
}

/**
 * Records an event if a dataset, whose id is the key, has become READY or FAILED, or READY with other files, and has not changed
 * for the caption grace.
 */
export function announceJob(
  { catalog, now, newId, rules }: AnnounceDependencies,
  { database, datasets, toWire }: AnnounceOptions,
): JobHandler {
  const run = async (key: DatasetKey): Promise<JobEnd> => {
    const dataset = await catalog.dataset(key);
    if (dataset === undefined) return 'done';
    const at = now();
    const status = datasetStatusOf(dataset, at, rules);
    const next = nextStatusChangeOf(dataset, at, rules);
    const end = next === undefined ? 'done' : { dueAt: next };
    if (status !== 'READY' && status !== 'FAILED') return end;
    const quietAt = lastActivityOf(dataset) + rules.captionGrace;
    if (at < quietAt) return { dueAt: quietAt };
    const before = await announcedOf(database.query, key.id);
    if (before === status) return end;
    const view = await datasets.view(key).catch((error) => {
      if (error instanceof ServiceError && error.code === 'dataset_not_found') return undefined;
      throw error;
    });
    // It was deleted meanwhile.
    if (view === undefined) return 'done';
    if (view.status !== status || view.dataset.version !== dataset.version) return { dueAt: now() };
    const after = status === 'READY' ? `READY ${view.digest}` : status;
    if (after === before) return end;
    const event = {
      ...({ event: status === 'READY' ? 'dataset.ready' : 'dataset.failed', datasetId: key.id, at } as const),
      ...{ idFor: () => messageId(newId), payload: readyOrFailedPayload(view, { at, toWire }) },
    };
    await announce(database, key, { before, after, event });
    return end;
  };
  return { kind: 'announce', atOnce: AT_ONCE, run: ({ accountId, key: id }) => run({ accountId, id }) };
}

/** The dataset as the API has it, with its revision and digest. */
function readyOrFailedPayload(
  view: DatasetView,
  { at, toWire }: { at: Micros; toWire: (view: DatasetView, problems: number) => object },
): string {
  const type = view.status === 'READY' ? 'dataset.ready' : 'dataset.failed';
  const { revision } = view.dataset;
  const digest = view.digest === undefined ? {} : { digest: view.digest };
  const withProblems = (problems: number) => eventPayload(type, at, { ...toWire(view, problems), revision, ...digest });
  // Filenames and messages have no common limit.
  for (let problems = MAX_PROBLEMS; problems > 0; problems--) {
    const payload = withProblems(problems);
    if (Buffer.byteLength(payload) <= MAX_PAYLOAD_BYTES) return payload;
  }
  return withProblems(0);
}

/** The `webhook-id` of the requests. */
export function messageId(newId: () => string): string {
  return `msg_${newId()}`;
}
