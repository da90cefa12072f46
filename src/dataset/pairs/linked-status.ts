import { type Dataset, type Micros, nextChangeOf, type Status, type StatusRules, statusOf } from '../dataset.js';

type Judged = Pick<Dataset, 'counts' | 'links'>;

/**
 * The status of a dataset at a moment, from its counts and those of the datasets that it links to. A dataset is not READY
 * before these are; it is UPLOADING while files of one of them are uploaded, since they may complete its pairs.
 */
export function datasetStatusOf(dataset: Judged, now: Micros, rules: StatusRules): Status {
  const own = statusOf(countsWithLinks(dataset), now, rules);
  if (dataset.links.length === 0 || own === 'DRAFT' || own === 'UPLOADING') return own;
  const linked = dataset.links.map((link) => statusOf(link.dataset.counts, now, rules));
  if (linked.includes('UPLOADING')) return 'UPLOADING';
  return linked.every((status) => status === 'READY') ? own : 'FAILED';
}

/** When time alone changes the status of a dataset next, at the earliest; `undefined` if it can't. */
export function nextStatusChangeOf(dataset: Judged, now: Micros, rules: StatusRules): Micros | undefined {
  const counts = [countsWithLinks(dataset), ...dataset.links.map((link) => link.dataset.counts)];
  const changes = counts.flatMap((each) => nextChangeOf(each, now, rules) ?? []);
  return changes.length === 0 ? undefined : Math.min(...changes);
}

/** When a file of the dataset, or of one that it links to, was last reserved, finalized or removed. */
export function lastActivityOf({ counts, links }: Judged): Micros {
  return Math.max(counts.lastActivity, ...links.map(({ dataset }) => dataset.counts.lastActivity));
}

/** Uploads to a control or mask dataset complete pairs, as uploads of captions do: so they extend the caption grace. */
function countsWithLinks(dataset: Judged): Dataset['counts'] {
  return dataset.links.length === 0 ? dataset.counts : { ...dataset.counts, lastActivity: lastActivityOf(dataset) };
}
