import type { Micros } from '../../dataset/dataset.js';
import { eventPayload } from '../../storage/catalog/webhooks/deliveries.js';
import type { DatasetView } from '../dataset-view.js';

/** The specification of Standard Webhooks recommends payloads under 20 kB. */
const MAX_PAYLOAD_BYTES = 20_000;

/** Of a FAILED dataset. */
const MAX_PROBLEMS = 10;

/** The body of `dataset.ready` and `dataset.failed`: the dataset as the API has it, with its revision and digest. */
export function readyOrFailedPayload(
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
