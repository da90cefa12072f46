import { stemGroupsOf } from '../counts.js';
import {
  type Dataset,
  type DatasetLink,
  type Micros,
  nextChangeOf,
  type Status,
  statusOf,
  type StatusRules,
} from '../dataset.js';
import { digestOf } from '../digest.js';
import type { Problem, Warning } from '../problems.js';
import { isPairFile, type PairFile, type PairGroups, type PairProof, provePairs } from './pair-faults.js';
import { notReadyProblems, pairFindingsOf } from './pair-findings.js';

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

export interface LinkedFile extends PairFile {
  readonly upload: PairFile['upload'] & { readonly sha256: string; readonly warnings: readonly Warning[] };
}

/** Follows from the files of both datasets. */
export interface LinkPairs {
  readonly proof: PairProof;
  readonly problems: readonly Problem[];
  /** Over the linked dataset's files. */
  readonly digest: string;
}

/** At one moment. */
export interface LinkView extends DatasetLink, Omit<LinkPairs, 'digest'> {
  readonly status: Status;
  /** If the linked dataset is READY. */
  readonly digest: string | undefined;
}

export function linkPairsOf(
  target: { readonly name: string; readonly groups: PairGroups },
  { slot, dataset: { name } }: DatasetLink,
  files: readonly LinkedFile[],
): LinkPairs {
  const groups = stemGroupsOf<PairFile>(files.filter(isPairFile));
  const proof = provePairs(target.groups, groups, slot);
  const warnings = files.flatMap(({ upload }) => upload.warnings);
  const problems = pairFindingsOf(target.name, { slot, name, groups, proof, warnings });
  return { proof, problems, digest: digestOf(files) };
}

export function linkViewsOf(
  { links }: Pick<Dataset, 'links'>,
  pairs: readonly LinkPairs[],
  { at, rules }: { at: Micros; rules: StatusRules },
): LinkView[] {
  return links.map(({ slot, dataset }, i) => {
    const { proof, digest, problems } = pairs[i]!;
    const status = statusOf(dataset.counts, at, rules);
    return {
      ...{ slot, dataset, status, proof },
      digest: status === 'READY' ? digest : undefined,
      problems: [...notReadyProblems({ slot, name: dataset.name }, status), ...problems],
    };
  });
}
