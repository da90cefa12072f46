import type { Author, ChangeKind, DatasetFile, Micros, StoredFile } from '../dataset.js';
import type { StemGroup } from '../upload-transitions.js';

/*
 * The history of a dataset is a list of revisions with the numbers 1, 2, 3, and so on. A revision is the set of stored files
 * after some changes that belong together.
 */

/** Changes of one token that name no change id belong together if they come within this time of the first one. */
const IMPLICIT_GROUP_TIME: Micros = 10 * 60 * 1_000_000;

/** One entry of the history of a dataset. */
export interface Revision {
  readonly number: number;
  readonly startedAt: Micros;
  /** The time of its last change. */
  readonly changedAt: Micros;
  /** The token that made the changes; `null` if it is not known. */
  readonly token: { readonly id: string; readonly name: string } | null;
  readonly how: ChangeKind;
  /** Files that its changes added, removed and replaced by others of the same name. */
  readonly added: number;
  readonly removed: number;
  readonly changed: number;
  /** The stored files after its changes, and their bytes. */
  readonly files: number;
  readonly bytes: number;
  /** The id that the client gave its changes; `null` if it gave none. */
  readonly changeId: string | null;
  /** The number of the revision that it restores or undoes; `null` for other changes. */
  readonly restoredFrom: number | null;
  /** As `digestOf` computes it; `null` if it has not been computed since the last change. */
  readonly digest: string | null;
  /** Whether its files are fit to train on in the role that the dataset has now; `null` like the digest. */
  readonly isReady: boolean | null;
  readonly pin: { readonly at: Micros; readonly by: string; readonly note: string | null } | null;
}

/** What a new revision depends on: the latest number, and the group whose changes still join that revision. */
export interface HistoryState {
  readonly latest: number;
  readonly open: { readonly group: string; readonly startedAt: Micros } | null;
}

/** What a change does to stored files. A file that is replaced by one with the same bytes is not changed. */
export interface StoredDifference {
  readonly added: readonly StoredFile[];
  readonly removed: readonly StoredFile[];
  readonly changed: readonly Replacement[];
  readonly identical: readonly Replacement[];
  /** Files that were found damaged, or are sound again. */
  readonly judgedAgain: readonly StoredFile[];
}

interface Replacement {
  readonly from: StoredFile;
  readonly to: StoredFile;
}

/** Compares the stored files of one stem before and after a change. */
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
 * The history after a change by `author`. The change joins the open revision if it belongs to its group, and neither removes
 * nor replaces a file that this revision added: so each file that was ever stored is in some revision. Otherwise it begins
 * the next one. A restored revision is open for no other change.
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

/** Whether a change is a revision of its own, which no other change joins. */
function isAlone({ how }: Author): boolean {
  return how === 'restore' || how === 'undo';
}

/** Changes of the same group belong together. */
function groupOf({ tokenId, how, changeId }: Author): string {
  return [how, tokenId ?? '', changeId ?? ''].join(' ');
}

function isDamaged({ upload }: StoredFile): boolean {
  return upload.problem !== undefined;
}

function isStored(file: DatasetFile): file is StoredFile {
  return file.upload.state === 'stored';
}
