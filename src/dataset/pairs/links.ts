import { stemGroupsOf } from '../counts.js';
import { type Dataset, type DatasetLink, type Micros, type Status, type StatusRules, statusOf } from '../dataset.js';
import { digestOf } from '../digest.js';
import type { Problem, Warning } from '../problems.js';
import { notReadyProblems, pairFindingsOf } from './pair-findings.js';
import { isPairFile, type PairFile, type PairGroups, type PairProof, provePairs } from './pair-faults.js';

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
export interface LinkView extends DatasetLink {
  readonly status: Status;
  /** If the linked dataset is READY. */
  readonly digest: string | undefined;
  readonly proof: PairProof;
  readonly problems: readonly Problem[];
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
