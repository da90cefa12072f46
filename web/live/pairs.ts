import type { DatasetFile, DatasetWithFiles, Problem } from '../../src/client/client.js';
import { stemOf } from '../../src/dataset/media.js';

/** What is shown as one card: an image or clip over the caption that the trainer gives it. */
export interface Pair {
  /** The name before the extension, which is unique among pairs. */
  readonly stem: string;
  readonly files: readonly DatasetFile[];
  /** Nearly always one; none over an orphan caption; two that share a stem share the caption as well. */
  readonly media: readonly DatasetFile[];
  readonly caption: DatasetFile | undefined;
  /** What is wrong with these files, and what a person would want to know of them; a missing caption aside. */
  readonly problems: readonly Problem[];
}

/** An upload that was refused or never came: there is nothing of it but what is wrong. */
export interface RejectedUpload {
  readonly filename: string;
  readonly problem: Problem;
}

export const PAIR_CATEGORIES = ['all', 'missing', 'blank', 'orphan', 'warnings'] as const;
export type PairCategory = (typeof PAIR_CATEGORIES)[number];

/** Errors about files that are there, all others being about uploads that are not. */
const ABOUT_FILES = new Set(['MISSING_CAPTION', 'NAME_COLLISION']);

/** The files of a dataset as pairs, in the order of their names. */
export function pairsOf({ files, warnings, error }: Pick<DatasetWithFiles, 'files' | 'warnings' | 'error'>): Pair[] {
  const groups = groupedBy(files, ({ filename }) => stemOf(filename));
  const errors = (error?.problems ?? []).filter(({ code }) => code === 'NAME_COLLISION');
  const ofPairs = groupedBy([...errors, ...warnings], ({ filename }) => stemOf(filename ?? ''));
  return [...groups]
    .map(([stem, group]) => ({
      stem,
      files: group,
      media: group.filter(({ kind }) => kind !== 'caption'),
      // Beside `a.txt` there may be an `a.TXT`, which is said to collide with it.
      caption: group.find(({ filename }) => filename.endsWith('.txt')) ?? group.find(({ kind }) => kind === 'caption'),
      problems: withoutRepeats([...(ofPairs.get(stem) ?? []), ...group.flatMap(({ warnings: own }) => own ?? [])]),
    }))
    .sort((a, b) => (a.stem < b.stem ? -1 : a.stem > b.stem ? 1 : 0));
}

/** As `Map.groupBy`, which not everything has that this runs on. */
function groupedBy<T>(items: readonly T[], keyOf: (item: T) => string): Map<string, T[]> {
  const groups = new Map<string, T[]>();
  for (const item of items) {
    const group = groups.get(keyOf(item));
    if (group === undefined) groups.set(keyOf(item), [item]);
    else group.push(item);
  }
  return groups;
}

/** The service tells the first thousand warnings together, and of each file all of its own. */
function withoutRepeats(problems: readonly Problem[]): readonly Problem[] {
  if (problems.length < 2) return problems;
  return [...new Map(problems.map((problem) => [`${problem.filename} ${problem.code}`, problem])).values()];
}

export function isInCategory(pair: Pair, filter: PairCategory): boolean {
  switch (filter) {
    case 'all':
      return true;
    case 'missing':
      return pair.media.length > 0 && pair.caption === undefined;
    case 'blank':
      return pair.problems.some(({ code }) => code === 'BLANK_CAPTION');
    case 'orphan':
      return pair.media.length === 0;
    case 'warnings':
      return pair.problems.length > 0;
  }
}

/** What is wrong with uploads of which nothing is in the dataset. */
export function rejectedUploadsOf({ error }: Pick<DatasetWithFiles, 'error'>): RejectedUpload[] {
  return (error?.problems ?? []).flatMap((problem) =>
    problem.filename === undefined || ABOUT_FILES.has(problem.code) ? [] : [{ filename: problem.filename, problem }],
  );
}
