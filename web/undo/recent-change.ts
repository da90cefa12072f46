import type { Revision, TrainyardClient } from '../../src/client/client.js';
import { signOutIfUnauthorized } from '../session/client.js';
import { countOf, messageOf } from '../ui/format.js';
import { Store } from '../ui/store.js';

/** The last change that this tab made to many files of a dataset, for the message that offers to undo it. */
export interface RecentChange {
  /** Such as `4 files deleted.` */
  readonly text: string;
  /** Without what became of it, such as `Prepend “sks” to 12 captions`; by default, the text. */
  readonly title?: string;
  /** Files that an undo left as they are, because they were changed since. */
  readonly kept: readonly string[];
  readonly made?: MadeRevisions;
  /** Files that are remembered as different although they look alike, or no longer: no revision. */
  readonly different?: readonly string[];
  readonly isUndo: boolean;
  /** The title of the change that was undone. */
  readonly undone?: string;
  /** What an undo of this change had done when it failed. */
  readonly partly?: PartialUndo;
}

interface PartialUndo {
  /** The revisions that are not undone yet, newest first. */
  readonly remaining: readonly number[];
  readonly undone: readonly string[];
  readonly kept: readonly string[];
  /** The revisions that the undo has made, newest first. */
  readonly made: readonly number[];
}

/** The revisions that a change made: by the id of the change, or by their numbers, newest first. */
type MadeRevisions = { readonly changeId: string } | { readonly numbers: readonly number[] };

interface Entry {
  readonly change: RecentChange;
  readonly isUndoing?: boolean;
  readonly isUnfinished?: boolean;
  /** Why the last attempt to undo failed. */
  readonly failure?: string;
}

const KEY = 'trainyard-recent-changes';

/** Revisions on one page of the history, when the page looks for the revisions of a change. */
const PAGE = 50;

// Kept in the session storage too, so that a change can be undone after the page was loaded again.
const entries = new Store<Entry>();
for (const [datasetId, change] of Object.entries(readKept())) {
  entries.set({ change }, datasetId);
}

function readKept(): Record<string, RecentChange> {
  return JSON.parse(sessionStorage.getItem(KEY) ?? '{}') as Record<string, RecentChange>;
}

export function useRecentChange(datasetId: string): Entry | undefined {
  return entries.useValue(datasetId);
}

/** With `isUnfinished`, the message is not shown before the next call, or before the page is loaded again. */
export function recordChange(
  datasetId: string,
  {
    isUnfinished = false,
    ...change
  }: Pick<RecentChange, 'text' | 'title' | 'made' | 'different'> & { readonly isUnfinished?: boolean },
): void {
  put(datasetId, { kept: [], isUndo: false, ...change }, { isUnfinished });
}

export function forgetChange(datasetId: string): void {
  put(datasetId, undefined);
}

/** Undoes the last change of a dataset. If it was an undo, this makes the change again. */
export async function undoRecentChange(client: TrainyardClient, datasetId: string): Promise<void> {
  const entry = entries.get(datasetId);
  if (entry === undefined || entry.isUndoing) return;
  let { change } = entry;
  put(datasetId, change, { isUndoing: true });
  try {
    const { made, different = [], isUndo, undone = change.title ?? change.text } = change;
    if (different.length > 0) {
      await client.duplicates.decide(datasetId, { filenames: [...different], different: isUndo });
    }
    if (made === undefined) {
      put(datasetId, { ...change, text: differenceText(different, isUndo), isUndo: !isUndo });
      return;
    }
    let partly = change.partly ?? notUndone(await revisionsOf(client, datasetId, made));
    while (partly.remaining.length > 0) {
      partly = await undoNext(client, datasetId, partly);
      change = { ...change, partly };
      put(datasetId, change, { isUndoing: true });
    }
    const { text, ...outcome } = outcomeOf(partly);
    const words = isUndo ? text.replace(/^Undone/, 'Made again') : text;
    put(datasetId, { ...outcome, text: words, different, isUndo: !isUndo, undone });
  } catch (error) {
    put(datasetId, change, { failure: messageOf(error) });
    signOutIfUnauthorized(error);
  }
}

/** `2 files are remembered as different.` */
export function differenceText(filenames: readonly string[], areDifferent: boolean): string {
  const files = countOf(filenames.length, 'file');
  return areDifferent
    ? `${files} are remembered as different.`
    : `Undone: ${files} are no longer remembered as different.`;
}

/** Undoes one revision. @throws TrainyardError */
export async function undoSingleRevision(
  client: TrainyardClient,
  datasetId: string,
  number: number,
): Promise<UndoOutcome> {
  return outcomeOf(await undoNext(client, datasetId, notUndone([number])));
}

function notUndone(remaining: readonly number[]): PartialUndo {
  return { remaining, undone: [], kept: [], made: [] };
}

/** Undoes the newest revision that remains. @throws TrainyardError */
async function undoNext(client: TrainyardClient, datasetId: string, before: PartialUndo): Promise<PartialUndo> {
  const [number, ...remaining] = before.remaining;
  if (number === undefined) return before;
  const { undone, kept, revision } = await client.history.undo(datasetId, number);
  return {
    remaining,
    undone: [...new Set([...before.undone, ...undone])],
    kept: [...new Set([...before.kept, ...kept])],
    made: revision === null ? before.made : [revision.number, ...before.made],
  };
}

type UndoOutcome = Pick<RecentChange, 'text' | 'kept'> & { readonly made: MadeRevisions };

/** `Undone: 2 files restored.`, and what stays as it is. */
function outcomeOf({ undone, kept, made }: PartialUndo): UndoOutcome {
  const what = undone.length === 0 ? 'Nothing was undone.' : `Undone: ${countOf(undone.length, 'file')} restored.`;
  const verbs = kept.length === 1 ? 'was changed since and stays as it is' : 'were changed since and stay as they are';
  const text = kept.length === 0 ? what : `${what} ${countOf(kept.length, 'file')} ${verbs}:`;
  return { text, kept, made: { numbers: made } };
}

/** @throws Error if the history no longer has any of them */
async function revisionsOf(client: TrainyardClient, datasetId: string, made: MadeRevisions): Promise<number[]> {
  if ('numbers' in made) return [...made.numbers];
  const found: number[] = [];
  let before: number | undefined;
  do {
    const { revisions, next_before } = await client.history.revisions(datasetId, {
      limit: PAGE,
      ...(before !== undefined && { before }),
    });
    const own = revisions.filter((revision: Revision) => revision.change_id === made.changeId);
    // A change makes few revisions, close to each other.
    if (own.length === 0 && found.length > 0) break;
    found.push(...own.map(({ number }) => number));
    before = next_before ?? undefined;
  } while (before !== undefined);
  if (found.length === 0) throw new Error('The history no longer has the state before this change.');
  return found;
}

function put(datasetId: string, change: RecentChange | undefined, state: Omit<Entry, 'change'> = {}): void {
  const { [datasetId]: _, ...others } = readKept();
  sessionStorage.setItem(KEY, JSON.stringify({ ...others, ...(change && { [datasetId]: change }) }));
  entries.set(change && { change, ...state }, datasetId);
}
