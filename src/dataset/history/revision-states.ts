import { countsInRole, countsOfStem, recount, type StemCounts, stemGroupsOf } from '../counts.js';
import { type Role, type StoredFile, statusOf } from '../dataset.js';
import { digestOf } from '../digest.js';
import { stemOf } from '../media.js';
import type { PastFile } from './revisions.js';

/** A file and the revisions that have it: from `upload.addedIn` up to, and without, `removedIn`; `undefined`: all since. */
export type VersionedFile = StoredFile & Partial<Pick<PastFile, 'removedIn'>>;

/** What a revision's set of files is. */
export interface RevisionState {
  readonly number: number;
  readonly digest: string;
  /** Whether these files, alone, are fit to train on. */
  readonly isReady: boolean;
}

function isIn({ upload: { addedIn = 0 }, removedIn }: VersionedFile, number: number): boolean {
  return addedIn <= number && (removedIn === undefined || number < removedIn);
}

/** The files of a revision, by name. */
export function filesIn(files: readonly VersionedFile[], number: number): VersionedFile[] {
  return files.filter((file) => isIn(file, number)).sort(byName);
}

/**
 * Yields the states of revisions, from the newest to the oldest. From one to the next, only the files that differ are looked at,
 * apart from the digest itself.
 *
 * @param versions every file that is in one of these revisions
 * @param options.numbers in descending order
 * @param options.role that of the dataset now
 */
export function* revisionStates(
  versions: readonly VersionedFile[],
  { numbers, role }: { numbers: readonly number[]; role: Role },
): Generator<RevisionState, undefined> {
  const [newest] = numbers;
  if (newest === undefined) return undefined;
  const files = new Map(filesIn(versions, newest).map((file) => [file.filename, file]));
  const stems = stemGroupsOf([...files.values()]);
  let counts: StemCounts = countsOfStem([]);
  for (const group of stems.values()) counts = recount(counts, [], group);
  const [byAdded, byRemoved] = [
    groupByKey(versions, ({ upload }) => upload.addedIn ?? 0),
    groupByKey(versions, ({ removedIn }) => removedIn ?? Number.POSITIVE_INFINITY),
  ];
  let previous = newest;
  for (const number of numbers) {
    const leaving = between(byAdded, number, previous).filter((file) => isIn(file, previous));
    const coming = between(byRemoved, number, previous).filter((file) => isIn(file, number));
    const replaced = new Set(coming.map(({ filename }) => filename));
    // Setting a name again keeps its place, so that the map stays nearly sorted and the digest is quick.
    for (const { filename } of leaving) if (!replaced.has(filename)) files.delete(filename);
    for (const file of coming) files.set(file.filename, file);
    const left = new Set(leaving);
    const comingByStem = stemGroupsOf(coming);
    for (const stem of new Set([...leaving, ...coming].map(({ filename }) => stemOf(filename)))) {
      const before = stems.get(stem) ?? [];
      const after = [...before.filter((file) => !left.has(file)), ...(comingByStem.get(stem) ?? [])];
      stems.set(stem, after);
      counts = recount(counts, before, after);
    }
    const digest = digestOf([...files.values()]);
    yield { number, digest, isReady: isReady(countsInRole(counts, role)) };
    previous = number;
  }
  return undefined;
}

/** The state of one revision. */
export function stateOfRevision(
  versions: readonly VersionedFile[],
  { number, role }: { number: number; role: Role },
): RevisionState {
  return revisionStates(versions, { numbers: [number], role }).next().value as RevisionState;
}

function isReady(counts: StemCounts): boolean {
  const settled = { ...counts, unpaired: 0, pendingUntil: null, lastActivity: 0 };
  return statusOf(settled, 1, { captionGrace: 0 }) === 'READY';
}

/** The files that were added or removed after revision `number`, up to revision `previous`. */
function between(groups: ReadonlyMap<number, VersionedFile[]>, number: number, previous: number): VersionedFile[] {
  const numbers = Array.from({ length: previous - number }, (_, i) => number + 1 + i);
  return numbers.flatMap((at) => groups.get(at) ?? []);
}

/** Groups items by a key, each group in the order of the items. */
function groupByKey<T, K>(items: readonly T[], keyOf: (item: T) => K): Map<K, T[]> {
  const groups = new Map<K, T[]>();
  for (const item of items) {
    const key = keyOf(item);
    const group = groups.get(key);
    if (group === undefined) groups.set(key, [item]);
    else group.push(item);
  }
  return groups;
}

/** One file that differs between two revisions; `undefined` on the side that has none of its name. */
export interface FileDifference {
  readonly filename: string;
  readonly from: VersionedFile | undefined;
  readonly to: VersionedFile | undefined;
}

/** The files that differ between two sets, by name. A file of the same name and bytes does not differ. */
export function differencesBetween(from: readonly VersionedFile[], to: readonly VersionedFile[]): FileDifference[] {
  const before = new Map(from.map((file) => [file.filename, file]));
  const after = new Map(to.map((file) => [file.filename, file]));
  return [...new Set([...before.keys(), ...after.keys()])]
    .map((filename) => ({ filename, from: before.get(filename), to: after.get(filename) }))
    .filter((pair) => pair.from?.upload.sha256 !== pair.to?.upload.sha256)
    .sort(byName);
}

function byName(a: { readonly filename: string }, b: { readonly filename: string }): number {
  return a.filename < b.filename ? -1 : a.filename > b.filename ? 1 : 0;
}
