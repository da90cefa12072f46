import { stemGroupsOf } from '../../dataset/counts.js';
import {
  type Dataset,
  type LinkSlot,
  type Micros,
  type StatusRules,
  type StoredFile,
  statusOf,
} from '../../dataset/dataset.js';
import { digestOf } from '../../dataset/digest.js';
import type { LinkView } from '../../dataset/pairs/links.js';
import { isPairFile, type PairFile } from '../../dataset/pairs/pair-faults.js';
import { type JudgedLink, pairFindingsOf } from '../../dataset/pairs/pair-findings.js';
import { provePairs } from '../../dataset/pairs/pair-proof.js';
import type { Problem } from '../../dataset/problems.js';
import type { LinkedFile } from '../../storage/catalog/pairs/linked-files.js';

/** The links of a dataset and what is wrong with its pairs, at one moment. */
export interface JudgedLinks {
  /** In the order of the slots. */
  readonly views: readonly LinkView[];
  readonly problems: readonly Problem[];
}

const NO_LINKS: JudgedLinks = { views: [], problems: [] };

/**
 * Judges all pairs of a dataset.
 *
 * @param contents the dataset, its stored files without problems, and all stored files of the linked datasets
 */
export function judgeLinks(
  contents: {
    readonly dataset: Dataset;
    readonly files: readonly StoredFile[];
    readonly linkedFiles: ReadonlyMap<LinkSlot, readonly LinkedFile[]>;
  },
  at: Micros,
  rules: StatusRules,
): JudgedLinks {
  const { dataset, files, linkedFiles } = contents;
  if (dataset.links.length === 0) return NO_LINKS;
  const target = stemGroupsOf<PairFile>(files.filter(isPairFile));
  const judged: { view: LinkView; link: JudgedLink }[] = [];
  for (const { slot, dataset: linked } of dataset.links) {
    const all = linkedFiles.get(slot) ?? [];
    const sound = all.filter(({ upload }) => !upload.isDamaged);
    const groups = stemGroupsOf<PairFile>(sound.filter(isPairFile));
    const status = statusOf(linked.counts, at, rules);
    const warnings = slot === 'mask' ? sound.flatMap(({ upload }) => upload.warnings) : [];
    const proof = provePairs(target, groups, slot);
    const digest = status === 'READY' ? digestOf(sound) : undefined;
    judged.push({
      view: { slot, dataset: linked, status, digest, proof },
      link: { slot, name: linked.name, status, groups, proof, warnings },
    });
  }
  return {
    views: judged.map(({ view }) => view),
    problems: pairFindingsOf(
      dataset.name,
      judged.map(({ link }) => link),
    ),
  };
}
