import { type Dataset, type Micros, nextChangeOf, type Status, type StatusRules, statusOf } from '../dataset.js';

type Judged = Pick<Dataset, 'counts' | 'links'>;

/** Not READY before its linked datasets, and UPLOADING while one of these is, since its files may complete the pairs. */
export function datasetStatusOf(dataset: Judged, now: Micros, rules: StatusRules): Status {
  const own = statusOf(countsWithLinks(dataset), now, rules);
  if (dataset.links.length === 0 || own === 'DRAFT' || own === 'UPLOADING') return own;
  const linked = dataset.links.map((link) => statusOf(link.dataset.counts, now, rules));
  if (linked.includes('UPLOADING')) return 'UPLOADING';
  return linked.every((status) => status === 'READY') ? own : 'FAILED';
}

/** The earliest time at which the status may change by itself; `undefined` if it can't. */
export function nextStatusChangeOf(dataset: Judged, now: Micros, rules: StatusRules): Micros | undefined {
  const counts = [countsWithLinks(dataset), ...dataset.links.map((link) => link.dataset.counts)];
  const changes = counts.flatMap((each) => nextChangeOf(each, now, rules) ?? []);
  return changes.length === 0 ? undefined : Math.min(...changes);
}

/** Includes the linked datasets. */
export function lastActivityOf({ counts, links }: Judged): Micros {
  return Math.max(counts.lastActivity, ...links.map(({ dataset }) => dataset.counts.lastActivity));
}

/** Uploads to a control or mask complete pairs, so they extend the caption grace. */
function countsWithLinks(dataset: Judged): Dataset['counts'] {
  return dataset.links.length === 0 ? dataset.counts : { ...dataset.counts, lastActivity: lastActivityOf(dataset) };
}
