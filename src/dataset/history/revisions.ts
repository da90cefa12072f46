import type { Author, ChangeKind, DatasetFile, Micros, StoredFile } from '../dataset.js';
import type { StemGroup } from '../upload-transitions.js';

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
export interface HistoryState {
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
  const group = groupOf(author);
  const isOpen = open !== null && open.group === group && !isOver(open.startedAt, author, now);
  const joins = isOpen && !past.some(({ upload }) => upload.addedIn === latest);
  if (joins) return { latest, open };
  return { latest: latest + 1, open: isAlone(author) ? null : { group, startedAt: now } };
}

function isOver(startedAt: Micros, { changeId }: Author, now: Micros): boolean {
  return changeId === null && now - startedAt >= IMPLICIT_GROUP_TIME;
}

function isAlone({ how }: Author): boolean {
  return how === 'restore' || how === 'undo';
}

function groupOf({ tokenId, how, changeId }: Author): string {
  return [how, tokenId ?? '', changeId ?? ''].join(' ');
}

function isDamaged({ upload }: StoredFile): boolean {
  return upload.problem !== undefined;
}

function isStored(file: DatasetFile): file is StoredFile {
  return file.upload.state === 'stored';
}
