import { type CountedFile, countsInRole, countsOfStem, recount, stemGroupsOf } from '../counts.js';
import { type Role, type StoredFile, statusOf } from '../dataset.js';
import { digestOf } from '../digest.js';
import { byFilename } from '../names.js';
import type { StemGroup } from '../upload-transitions.js';
import { storedFileIn } from '../write-condition.js';
import type { Revision } from './revisions.js';

/** In the revisions from `upload.addedIn` up to, and without, `removedIn`; `undefined`: all since. */
export interface VersionedFile extends StoredFile {
  readonly removedIn?: number;
}

const ROLES: readonly Role[] = ['training', 'control', 'mask'];

/** Follows from a set of stored files alone. */
export interface FilesState {
  readonly digest: string;
  /** The roles in which a dataset of these files is READY. */
  readonly readyAs: readonly Role[];
}

export function filesStateOf(
  files: readonly (CountedFile & { readonly upload: { readonly sha256: string } })[],
): FilesState {
  let counts = countsOfStem([]);
  for (const group of stemGroupsOf(files).values()) counts = recount(counts, [], group);
  const nothingPending = { unpaired: 0, pendingUntil: null, lastActivity: 0 };
  const isReadyAs = (role: Role) =>
    statusOf({ ...countsInRole(counts, role), ...nothingPending }, 1, { captionGrace: 0 }) === 'READY';
  return { digest: digestOf(files), readyAs: ROLES.filter(isReadyAs) };
}

export function filesIn(files: readonly VersionedFile[], number: number): VersionedFile[] {
  const isIn = ({ upload: { addedIn = 0 }, removedIn }: VersionedFile) =>
    addedIn <= number && (removedIn === undefined || number < removedIn);
  return files.filter(isIn).sort(byFilename);
}

/** `undefined` on the side that has no such file. */
export interface FileDifference {
  readonly filename: string;
  readonly from: VersionedFile | undefined;
  readonly to: VersionedFile | undefined;
}

/** By name; files with the same bytes do not differ. */
export function differencesBetween(from: readonly VersionedFile[], to: readonly VersionedFile[]): FileDifference[] {
  const before = new Map(from.map((file) => [file.filename, file]));
  const after = new Map(to.map((file) => [file.filename, file]));
  return [...new Set([...before.keys(), ...after.keys()])]
    .map((filename) => ({ filename, from: before.get(filename), to: after.get(filename) }))
    .filter((pair) => pair.from?.upload.sha256 !== pair.to?.upload.sha256)
    .sort(byFilename);
}

/** Pending and received uploads stay; a rejected one of a name that gets another file goes. */
export function restoreStem(group: StemGroup, target: readonly VersionedFile[]): StemGroup {
  const names = new Set(target.map(({ filename }) => filename));
  const kept = group.filter(({ filename, upload }) => upload.state !== 'stored' || names.has(filename));
  const next = target.reduce(putBack, kept);
  return next.length === group.length && next.every((file, i) => file === group[i]) ? group : next;
}

/** A file that is as before stays, so that a repeated request has the same result. @returns `undefined` if it was changed since */
export function reverse(group: StemGroup, { filename, from, to }: FileDifference): StemGroup | undefined {
  const current = storedFileIn(group, filename)?.upload.sha256;
  if (current === from?.upload.sha256) return group;
  if (current !== to?.upload.sha256) return undefined;
  if (from !== undefined) return putBack(group, from);
  return group.filter((file) => file.upload.state !== 'stored' || file.filename !== filename);
}

/** A stored file with the same bytes stays. */
function putBack(group: StemGroup, file: VersionedFile): StemGroup {
  const { filename, upload } = file;
  if (storedFileIn(group, filename)?.upload.sha256 === upload.sha256) return group;
  const isReplaced = (other: StemGroup[number]) =>
    other.filename === filename && (other.upload.state === 'stored' || other.upload.state === 'rejected');
  const { removedIn: _, ...stored } = file;
  return [...group.filter((other) => !isReplaced(other)), stored satisfies StoredFile];
}

/** Yields revisions of several datasets that were their latest at the same time, newest first. */
export function* revisionsTogether<R extends Pick<Revision, 'startedAt' | 'changedAt'>>(
  histories: readonly (readonly R[])[],
): Generator<R[], undefined> {
  // Overlapping revisions do so at the last change of one of them.
  const times = new Set(histories.flatMap((revisions) => revisions.map(({ changedAt }) => changedAt)));
  for (const at of [...times].sort((a, b) => b - a)) {
    const latest = histories.flatMap((revisions) => revisions.find(({ startedAt }) => startedAt <= at) ?? []);
    if (latest.length === histories.length && latest.every(({ changedAt }) => changedAt <= at)) yield latest;
  }
  return undefined;
}
