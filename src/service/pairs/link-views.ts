import { type DatasetLink, type Micros, type StatusRules, statusOf } from '../../dataset/dataset.js';
import { type LinkView, NO_PAIR_FINDINGS } from '../../dataset/pairs/links.js';

/** One link of a training dataset at a moment. */
export function linkViewOf({ slot, dataset }: DatasetLink, at: Micros, rules: StatusRules): LinkView {
  return { slot, dataset, status: statusOf(dataset.counts, at, rules), digest: undefined, findings: NO_PAIR_FINDINGS };
}
