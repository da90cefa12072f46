import { MAX_LISTED } from '../../src/api/limits.js';
import type { DatasetFile, DatasetWithFiles, Problem } from '../../src/client/client.js';
import { groupedBy } from '../../src/dataset/grouped-by.js';
import { isStructuredCaption, isTextCaption, stemOf } from '../../src/dataset/media.js';
import { foldCase } from '../ui/format.js';

/** The files that share a stem: media and the caption that the trainer reads for them. */
export interface Pair {
  /** The filename without its extension, unique among pairs. */
  readonly stem: string;
  readonly files: readonly DatasetFile[];
  /** Usually one file; none for an orphan caption; several if they share a stem and thus a caption. */
  readonly media: readonly DatasetFile[];
  readonly caption: DatasetFile | undefined;
  /** A caption in JSON, for models that want one. It may stand beside the other. */
  readonly structured?: DatasetFile | undefined;
  /** Whether a file of this stem was announced and has not arrived, so that the pair may be complete soon. */
  readonly isAwaited: boolean;
  /** Errors and warnings about these files, a recheck's included, except a missing caption. */
  readonly problems: readonly Problem[];
}

/** An upload that was rejected or has expired. */
interface RejectedUpload {
  readonly filename: string;
  readonly problem: Problem;
}

export type PairCategory = 'all' | 'missing' | 'blank' | 'orphan' | 'warnings';

/** Errors about files in the dataset. All other errors are about uploads that are not in it. */
const ABOUT_FILES = new Set(['MISSING_CAPTION', 'NAME_COLLISION']);

type Findings = Pick<DatasetWithFiles, 'files' | 'damaged' | 'warnings' | 'error' | 'awaited'>;

/** Groups the files of a dataset into pairs, sorted by stem. Files that a recheck found damaged are among them. */
export function pairsOf({ files, damaged = [], warnings, error, awaited }: Findings): Pair[] {
  const groups = groupedBy([...files, ...damaged], ({ filename }) => stemOf(filename));
  const errors = (error?.problems ?? []).filter(({ code }) => code === 'NAME_COLLISION');
  const problemsByStem = groupedBy([...errors, ...warnings], ({ filename }) => stemOf(filename ?? ''));
  const unsent = unsentFilesOf({ awaited, error });
  const awaitedStems = new Set(unsent.map(stemOf));
  // Others may be awaited too.
  const isTruncated = unsent.length >= MAX_LISTED;
  return [...groups]
    .map(([stem, group]) => ({
      stem,
      files: group,
      media: group.filter(({ kind }) => kind !== 'caption'),
      // If both `a.txt` and `a.TXT` exist, the service reports a collision, and the trainer reads `a.txt`.
      caption: group.find(({ filename }) => filename.endsWith('.txt')) ?? fileIn(group, isTextCaption),
      structured: fileIn(group, isStructuredCaption),
      isAwaited: isTruncated || awaitedStems.has(stem),
      problems: withoutRepeats([
        ...group.flatMap(({ problem }) => problem ?? []),
        ...(problemsByStem.get(stem) ?? []),
        ...group.flatMap(({ warnings: own }) => own ?? []),
      ]),
    }))
    .sort((a, b) => (a.stem < b.stem ? -1 : a.stem > b.stem ? 1 : 0));
}

function fileIn(group: readonly DatasetFile[], isMeant: (filename: string) => boolean): DatasetFile | undefined {
  return group.find(({ filename }) => isMeant(filename));
}

/** The warning of a file can also be in the list of its dataset, which has at most a thousand. */
function withoutRepeats(problems: readonly Problem[]): readonly Problem[] {
  if (problems.length < 2) return problems;
  return [...new Map(problems.map((problem) => [`${problem.filename} ${problem.code}`, problem])).values()];
}

export function isInCategory(pair: Pair, category: PairCategory): boolean {
  switch (category) {
    case 'all':
      return true;
    case 'missing':
      return pair.media.length > 0 && pair.caption === undefined && !pair.isAwaited;
    case 'blank':
      return pair.problems.some(({ code }) => code === 'BLANK_CAPTION');
    case 'orphan':
      return pair.media.length === 0 && !pair.isAwaited;
    case 'warnings':
      return pair.problems.length > 0;
  }
}

/** Names of the files that were announced and have not arrived, expired ones included. The service lists the first thousand. */
export function unsentFilesOf({ awaited = [], error }: Pick<DatasetWithFiles, 'awaited' | 'error'>): string[] {
  const expired = (error?.problems ?? []).filter(({ code }) => code === 'UPLOAD_EXPIRED');
  return [...awaited, ...expired].flatMap(({ filename }) => filename ?? []);
}

/** The uploads that were rejected or have expired. */
export function rejectedUploadsOf({
  error,
  damaged = [],
}: Pick<DatasetWithFiles, 'error' | 'damaged'>): RejectedUpload[] {
  const stored = new Set(damaged.map(({ filename }) => filename));
  return (error?.problems ?? []).flatMap((problem) => {
    const { filename, code } = problem;
    return filename === undefined || ABOUT_FILES.has(code) || stored.has(filename) ? [] : [{ filename, problem }];
  });
}

/** Returns a predicate: whether one of the names contains all words of the search. */
export function nameMatcher(search: string): (names: readonly string[]) => boolean {
  const words = foldCase(search).split(/\s+/).filter(Boolean);
  return (names) =>
    words.length === 0 || names.map(foldCase).some((name) => words.every((word) => name.includes(word)));
}
