import type { DatasetFile, DatasetWithFiles, LinkSlot } from '../../client/client.js';
import { stemGroupsOf } from '../../dataset/counts.js';
import type { Facts } from '../../dataset/inspect/inspection.js';
import { mediaTypeOf } from '../../dataset/media.js';
import {
  isPairError,
  PAIR_FAULTS,
  type PairFile,
  type PairProof,
  provePairs,
} from '../../dataset/pairs/pair-faults.js';
import { pairFindingsOf } from '../../dataset/pairs/pair-findings.js';
import type { PairPart } from '../../dataset/pairs/pair-folders.js';
import type { Problem } from '../../dataset/problems.js';
import type { PushPlan } from '../push/plan.js';

export interface PartPush {
  readonly part: PairPart;
  readonly folder: string;
  readonly plan: PushPlan;
}

export interface PreparedPairs {
  readonly name: string;
  /** The training dataset; `undefined` if it does not exist yet. */
  readonly target: DatasetWithFiles | undefined;
  /** In the order target, controls, mask. */
  readonly parts: readonly PartPush[];
}

export interface ComparedPairs {
  readonly problems: readonly Problem[];
  readonly targets: number;
  /** The stems with each fault, for each control and mask of the folder. */
  readonly proofs: ReadonlyMap<LinkSlot, PairProof>;
  /** The folders with unusable pairs, by the stems of their targets. */
  readonly badStems: ReadonlyMap<string, string>;
}

/** Compares targets, controls and masks as they will be after the push. */
export function comparePairs({ name, target, parts }: PreparedPairs): ComparedPairs {
  const pushed = parts.find(({ part }) => part === 'target')?.plan;
  const targets = stemGroupsOf(pushed === undefined ? keptFiles(target) : filesAfter(pushed));
  const problems: Problem[] = [];
  const proofs = new Map<LinkSlot, PairProof>();
  const badStems = new Map<string, string>();
  for (const { part, folder, plan } of parts) {
    if (part === 'target') continue;
    const groups = stemGroupsOf(filesAfter(plan));
    const proof = provePairs(targets, groups, part);
    proofs.set(part, proof);
    // Each folder's own findings cover the warnings.
    problems.push(...pairFindingsOf(name, { slot: part, name: plan.task.name, groups, proof, warnings: [] }));
    for (const fault of PAIR_FAULTS.filter(isPairError)) for (const stem of proof[fault]) badStems.set(stem, folder);
  }
  return { problems, targets: targets.size, proofs, badStems };
}

function filesAfter({ dataset, files, report, toRemove }: PushPlan): PairFile[] {
  const pushed = new Set(files.map((file) => file.name));
  const sent = report.inspected.flatMap(({ file: { filename }, inspection }) =>
    pushed.has(filename) && inspection.ok ? pairFile(filename, inspection.facts) : [],
  );
  return [...sent, ...keptFiles(dataset, new Set([...pushed, ...toRemove]))];
}

function keptFiles(dataset: DatasetWithFiles | undefined, without: ReadonlySet<string> = new Set()): PairFile[] {
  const files = [...(dataset?.files ?? []), ...(dataset?.checking ?? [])];
  return files
    .filter(({ filename }) => !without.has(filename))
    .flatMap((file) => pairFile(file.filename, factsOf(file)));
}

function factsOf({ filename, width, height, format = '' }: Partial<DatasetFile> & { filename: string }): Facts {
  const size = width === undefined || height === undefined ? {} : { width, height };
  return mediaTypeOf(filename)?.kind === 'image'
    ? { kind: 'image', format, width: 0, height: 0, ...size }
    : { kind: 'video', format, ...size };
}

function pairFile(filename: string, facts: Facts): PairFile[] {
  const kind = mediaTypeOf(filename)?.kind ?? 'caption';
  return kind === 'caption' ? [] : [{ filename, kind, upload: { facts } }];
}
