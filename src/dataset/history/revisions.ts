import { type CountedFile, countsInRole, countsOf } from '../counts.js';
import {
  type Author,
  type ChangeKind,
  isStored,
  type Micros,
  type Role,
  statusOf,
  type StoredFile,
} from '../dataset.js';
import { digestOf } from '../digest.js';
import { byFilename } from '../names.js';
import { type StemGroup, storedFileIn } from '../upload-transitions.js';

/* Revisions are numbered 1, 2, 3 …; each is the set of stored files after changes that belong together. */

/** Changes of one token without a change id belong together within this time. */
const IMPLICIT_GROUP_TIME: Micros = 10 * 60 * 1_000_000;

export interface Revision {
  readonly number: number;
  readonly startedAt: Micros;
  readonly changedAt: Micros;
  /** `null` if it is not known. */
  readonly token: { readonly id: string; readonly name: string } | null;
  readonly how: ChangeKind;
  /** Numbers of files that its changes added, removed and replaced. */
  readonly added: number;
  readonly removed: number;
  readonly changed: number;
  /** After its changes. */
  readonly files: number;
  readonly bytes: number;
  /** `null` if the client gave none. */
  readonly changeId: string | null;
  /** The revision that it restores or undoes. */
  readonly restoredFrom: number | null;
  /** See `digestOf`; `null` until it is computed. */
  readonly digest: string | null;
  /** Whether its files are READY in the dataset's present role; `null` like the digest. */
  readonly isReady: boolean | null;
  readonly pin: { readonly at: Micros; readonly by: string; readonly note: string | null } | null;
}

/** The latest number, and the group whose changes still join it. */
interface HistoryState {
  readonly latest: number;
  readonly open: { readonly group: string; readonly startedAt: Micros } | null;
}

/** A file replaced by the same bytes is not changed. */
export interface StoredDifference {
  readonly added: readonly StoredFile[];
  readonly removed: readonly StoredFile[];
  readonly changed: readonly Replacement[];
  readonly identical: readonly Replacement[];
  readonly judgedAgain: readonly StoredFile[];
}

interface Replacement {
  readonly from: StoredFile;
  readonly to: StoredFile;
}

export function storedDifference(before: StemGroup, after: StemGroup): StoredDifference {
  const added: StoredFile[] = [];
  const changed: Replacement[] = [];
  const identical: Replacement[] = [];
  const judgedAgain: StoredFile[] = [];
  const left = new Map(before.filter(isStored).map((file) => [file.filename, file]));
  for (const to of after.filter(isStored)) {
    const from = left.get(to.filename);
    left.delete(to.filename);
    if (from === undefined) added.push(to);
    else if (from.id !== to.id && from.upload.sha256 !== to.upload.sha256) changed.push({ from, to });
    else {
      if (from.id !== to.id) identical.push({ from, to });
      if (isDamaged(from) !== isDamaged(to)) judgedAgain.push(to);
    }
  }
  return { added, removed: [...left.values()], changed, identical, judgedAgain };
}

/**
 * Changes of one group share a revision, unless one would remove a file that the revision added: so each stored file is in some
 * revision. Restored revisions stay alone.
 *
 * @param past the files that the change removes or replaces
 */
export function historyAfter(
  { latest, open }: HistoryState,
  { author, past, now }: { author: Author; past: readonly StoredFile[]; now: Micros },
): HistoryState {
  const { tokenId, how, changeId } = author;
  const group = [how, tokenId ?? '', changeId ?? ''].join(' ');
  const isOver = (startedAt: Micros) => changeId === null && now - startedAt >= IMPLICIT_GROUP_TIME;
  const isOpen = open !== null && open.group === group && !isOver(open.startedAt);
  const joins = isOpen && !past.some(({ upload }) => upload.addedIn === latest);
  if (joins) return { latest, open };
  const isAlone = how === 'restore' || how === 'undo';
  return { latest: latest + 1, open: isAlone ? null : { group, startedAt: now } };
}

function isDamaged({ upload }: StoredFile): boolean {
  return upload.problem !== undefined;
}

/** In the revisions from `upload.addedIn` up to, and without, `removedIn`; `undefined`: all since. */
export interface VersionedFile extends StoredFile {
  readonly removedIn?: number;
}

const ROLES: readonly Role[] = ['training', 'control', 'mask'];

/** Follows from a set of stored files alone. */
interface FilesState {
  readonly digest: string;
  /** The roles in which a dataset of these files is READY. */
  readonly readyAs: readonly Role[];
}

export function filesStateOf(
  files: readonly (CountedFile & { readonly upload: { readonly sha256: string } })[],
): FilesState {
  const counts = countsOf(files);
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

/** A file that is as before stays, so that a repeated request has the same result. @returns `undefined` if it was changed since */
export function reverse(group: StemGroup, { filename, from, to }: FileDifference): StemGroup | undefined {
  const current = storedFileIn(group, filename)?.upload.sha256;
  if (current === from?.upload.sha256) return group;
  if (current !== to?.upload.sha256) return undefined;
  if (from !== undefined) return putBack(group, from);
  return group.filter((file) => file.upload.state !== 'stored' || file.filename !== filename);
}

/** A stored file with the same bytes stays, as do pending and received uploads; a rejected one of the name goes. */
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
