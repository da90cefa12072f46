import { type DatasetWithFiles, type TrainyardClient, TrainyardError } from '../../../src/client/client.js';
import { signOutIfUnauthorized } from '../../session/client.js';
import { messageOf } from '../../ui/format.js';
import { Store, warnBeforeLeaving } from '../../ui/store.js';
import { rememberText, textStateOf } from './texts.js';
import type { Pair } from '../../live/pairs.js';

/** A text that the user has typed and that is not saved yet. */
export type Draft = {
  readonly text: string;
  /** The saved caption that was edited; `undefined` if there was none. */
  readonly base: SavedCaption | undefined;
} & (
  | { readonly state: 'editing' }
  /** `saveAgain`: the draft changed during the save and is saved once more. `reason`: why the previous attempt failed. */
  | {
      readonly state: 'saving';
      readonly sent: string;
      readonly saveAgain: boolean;
      readonly reason: string | undefined;
    }
  /** `isTransient`: the service may have stored the text although its answer was lost. */
  | { readonly state: 'failed'; readonly reason: string; readonly isTransient: boolean }
  /** The caption was changed or deleted elsewhere. The user has to choose between both versions. */
  | {
      readonly state: 'conflict';
      readonly theirs: SavedCaption | undefined;
      /** Whether the fetched dataset has shown their version: if it shows the one that was edited, that is back. */
      readonly isFetched: boolean;
    }
);

/** A caption that this page has saved since it last fetched the dataset. */
interface NewerCaption {
  readonly saved: SavedCaption | undefined;
  /** SHA-256 of older versions: a fetched dataset that shows one of them is out of date. `undefined` stands for no caption. */
  readonly replaced: ReadonlySet<string | undefined>;
}

export interface CaptionEntry extends CaptionName {
  readonly draft?: Draft | undefined;
  readonly newer?: NewerCaption | undefined;
  /** True for a moment after a save, while the field confirms it. */
  readonly isJustSaved?: boolean;
}

/** Why the last attempt to save a draft failed; `undefined` if none failed. */
export function failureOf(draft: Draft | undefined): string | undefined {
  return draft?.state === 'failed' || draft?.state === 'saving' ? draft.reason : undefined;
}

const CONFIRMATION_MS = 2500;
const FIRST_RETRY_MS = 4000;
const MAX_RETRY_MS = 60_000;

/** Of the keys in the storage of this tab. */
const PREFIX = 'trainyard.draft ';

const NONE: readonly CaptionEntry[] = [];

const LEFT = 'The page was left before it was saved.';

/**
 * Keeps every unsaved caption as long as the tab is open, over reloads too, whether its field is rendered or not. Drafts
 * survive a sign-out and are saved as the user who signs in next.
 */
class Drafts {
  readonly #entries = new Store<CaptionEntry>();
  /** Failed and conflicting drafts: all of them, and those that have no rendered field to show their state. */
  readonly #failed = new Store<readonly CaptionEntry[]>();
  /** The keys of rendered fields, one for each field. */
  #fields: readonly string[] = [];
  #client: TrainyardClient | undefined;
  #retry: { readonly timer: ReturnType<typeof setTimeout>; readonly ms: number } | undefined;

  constructor() {
    for (const { datasetId, filename, text, base } of storedDrafts()) {
      const draft: Draft = { state: 'failed', text, base, reason: LEFT, isTransient: true };
      this.#put({ datasetId, filename }, { draft });
    }
    addEventListener('online', () => this.#retryFailed());
    warnBeforeLeaving(() => this.#unsaved().length > 0);
  }

  /** Saves with this client from now on, and retries drafts that failed before. */
  use(client: TrainyardClient): void {
    if (this.#client === client) return;
    this.#client = client;
    this.saveAll(this.#unsaved().filter(({ draft }) => draft?.state === 'failed'));
  }

  entry(name: CaptionName): CaptionEntry | undefined {
    return this.#entries.get(keyOf(name));
  }

  useEntry(name: CaptionName): CaptionEntry | undefined {
    return this.#entries.useValue(keyOf(name));
  }

  useFailed(which: 'all' | 'offscreen'): readonly CaptionEntry[] {
    return this.#failed.useValue(which) ?? NONE;
  }

  /** Registers a rendered field. The returned function removes it, and saves its text, as a field does that loses the focus. */
  addField(name: CaptionName): () => void {
    const key = keyOf(name);
    const draft = this.entry(name)?.draft;
    // The field of a deleted caption has left with its pair. What the dataset shows when it is back is newer than the deletion.
    if (!this.#fields.includes(key) && draft?.state === 'conflict' && draft.theirs === undefined) {
      this.#put(name, { draft: { ...draft, isFetched: true } });
    }
    this.#fields = [...this.#fields, key];
    this.#updateFailed();
    return () => {
      this.#fields = this.#fields.toSpliced(this.#fields.indexOf(key), 1);
      this.#updateFailed();
      this.save(name);
    };
  }

  /** Records what was typed over a saved text. */
  edit(name: CaptionName, text: string, saved: SavedCaption | undefined): void {
    const draft = this.entry(name)?.draft ?? { state: 'editing', base: saved, text };
    const isUnchanged = canDrop(draft) && text === baseText(draft);
    this.#put(name, { draft: isUnchanged ? undefined : { ...draft, text } });
  }

  /** Saves the draft, unless there is a conflict. During a save of another text, queues one more. */
  save(name: CaptionName): void {
    const draft = this.entry(name)?.draft;
    if (draft === undefined || draft.state === 'conflict') return;
    if (draft.state !== 'saving') void this.#send(name, draft);
    // A text that is typed later is saved when its field is left.
    else if (draft.text !== draft.sent) this.#put(name, { draft: { ...draft, saveAgain: true } });
  }

  saveAll(names: readonly CaptionName[]): void {
    for (const name of names) this.save(name);
  }

  /** Discards what was typed and shows the saved text. */
  revert(name: CaptionName): void {
    const draft = this.entry(name)?.draft;
    if (draft === undefined) return;
    if (draft.state === 'conflict') this.takeTheirs(name);
    else if (draft.state === 'saving') this.#put(name, { draft: { ...draft, text: draft.sent } });
    else if (canDrop(draft)) this.#put(name, { draft: undefined });
    else void this.#send(name, { ...draft, text: baseText(draft) });
  }

  keepMine(name: CaptionName): void {
    const entry = this.entry(name);
    if (entry?.draft?.state !== 'conflict') return;
    const { theirs, base } = entry.draft;
    this.#put(name, { newer: newerOf(entry, { saved: theirs, over: base }) });
    void this.#send(name, { ...entry.draft, base: theirs });
  }

  takeTheirs(name: CaptionName): void {
    const entry = this.entry(name);
    if (entry?.draft?.state !== 'conflict') return;
    const { theirs, base } = entry.draft;
    this.#put(name, { draft: undefined, newer: newerOf(entry, { saved: theirs, over: base }) });
  }

  /** Forgets saves that the fetched dataset shows, or shows something newer than; their fields may not be rendered. */
  followDataset({ id, files }: Pick<DatasetWithFiles, 'id' | 'files'>): void {
    for (const entry of this.#entries.values()) {
      const shown = () => files.find(({ filename }) => filename === entry.filename)?.sha256;
      if (entry.datasetId === id && entry.newer !== undefined && !entry.newer.replaced.has(shown())) {
        this.#put(entry, { newer: undefined });
      }
    }
  }

  /** Compares a draft with the caption in the dataset, and records a conflict if the caption has changed. */
  compareWithDataset(name: CaptionName, current: SavedCaption | undefined): void {
    const entry = this.entry(name);
    const draft = entry?.draft;
    if (draft === undefined || draft.state === 'saving' || entry?.newer?.replaced.has(current?.sha256)) return;
    const { text, base } = draft;
    if (current?.sha256 === base?.sha256) {
      // The fetched dataset may be older than the conflict that a save has found.
      if (draft.state !== 'conflict' || !draft.isFetched) return;
      this.#put(name, { draft: { state: 'editing', text, base } });
      this.save(name);
      return;
    }
    if (draft.state === 'conflict' && draft.theirs?.sha256 === current?.sha256) {
      if (!draft.isFetched) this.#put(name, { draft: { ...draft, isFetched: true } });
      return;
    }
    const isSame = current !== undefined && current.text !== null && displayText(current.text) === draft.text;
    const conflict: Draft = { state: 'conflict', text, base, theirs: current, isFetched: true };
    this.#put(name, { draft: isSame ? undefined : conflict });
  }

  async #send(name: CaptionName, draft: Draft): Promise<void> {
    const client = this.#client;
    if (client === undefined) return;
    const { text, base } = draft;
    this.#put(name, { draft: { state: 'saving', text, base, sent: text, saveAgain: false, reason: failureOf(draft) } });
    // A lost save was taken back. To write the old text could add a blank caption, or change line ends.
    const isTakenBack = draft.state === 'failed' && text === baseText(draft);
    try {
      const sent = isTakenBack ? undefined : textToSave(text, base);
      const { isSaved, current } = await saveCaption(client, name, { text: sent, base });
      if (isSaved) this.#finishSave(name, current, base);
      else this.#replaceDraft(name, { state: 'conflict', base, theirs: current, isFetched: false });
    } catch (error) {
      const isTransient = !(error instanceof TrainyardError) || error.status >= 500 || error.status === 429;
      this.#replaceDraft(name, { state: 'failed', base, reason: messageOf(error), isTransient });
      if (isTransient && this.#retry === undefined) this.#retryIn(FIRST_RETRY_MS);
      signOutIfUnauthorized(error);
    }
  }

  #finishSave(name: CaptionName, saved: SavedCaption | undefined, over: SavedCaption | undefined): void {
    if (saved !== undefined) rememberText(saved.sha256, saved.text);
    const entry = this.entry(name);
    const newer = newerOf(entry, { saved, over });
    const draft = entry?.draft;
    if (draft?.state !== 'saving' || draft.text === draft.sent) {
      this.#put(name, { draft: undefined, newer, isJustSaved: true });
      setTimeout(() => this.#put(name, { isJustSaved: false }), CONFIRMATION_MS);
      return;
    }
    // The user typed more during the save.
    const next: Draft = { state: 'editing', text: draft.text, base: saved };
    this.#put(name, { draft: next, newer });
    if (draft.saveAgain) void this.#send(name, next);
  }

  /** Replaces the state of a draft. Keeps the text, which may have changed since. */
  #replaceDraft(name: CaptionName, draft: DistributiveOmit<Draft, 'text'>): void {
    const text = this.entry(name)?.draft?.text;
    if (text !== undefined) this.#put(name, { draft: { ...draft, text } });
  }

  /** Tries to save failed drafts again. One that fails once more is tried again later. */
  #retryFailed(): void {
    const before = this.#retry;
    clearTimeout(before?.timer);
    this.#retry = undefined;
    const failed = this.#unsaved().filter(({ draft }) => draft?.state === 'failed' && draft.isTransient);
    if (failed.length === 0) return;
    this.saveAll(failed);
    this.#retryIn(Math.min((before?.ms ?? FIRST_RETRY_MS) * 2, MAX_RETRY_MS));
  }

  #retryIn(ms: number): void {
    this.#retry = { ms, timer: setTimeout(() => this.#retryFailed(), ms) };
  }

  #put(name: CaptionName, change: Partial<CaptionEntry>): void {
    const { datasetId, filename } = name;
    const key = keyOf(name);
    const entry: CaptionEntry = { datasetId, filename, ...this.#entries.get(key), ...change };
    if ('draft' in change) storeDraft(name, change.draft);
    const isEmpty = entry.draft === undefined && entry.newer === undefined && entry.isJustSaved !== true;
    this.#entries.set(isEmpty ? undefined : entry, key);
    this.#updateFailed();
  }

  #unsaved(): readonly CaptionEntry[] {
    return this.#entries.values().filter(({ draft }) => draft !== undefined);
  }

  #updateFailed(): void {
    const failed = this.#unsaved().filter(({ draft }) => draft?.state === 'conflict' || failureOf(draft) !== undefined);
    if (failed.length === 0 && this.#failed.get('all') === undefined) return;
    const offscreen = failed.filter((entry) => !this.#fields.includes(keyOf(entry)));
    this.#failed.set(failed.length === 0 ? undefined : failed, 'all');
    this.#failed.set(failed.length === 0 ? undefined : offscreen, 'offscreen');
  }
}

type DistributiveOmit<T, K extends PropertyKey> = T extends unknown ? Omit<T, K> : never;

export const drafts = new Drafts();

/** Whether a draft can be given up without a request: none of its texts can have been stored. */
function canDrop(draft: Draft): boolean {
  return draft.state === 'editing' || (draft.state === 'failed' && !draft.isTransient);
}

/** The text that was edited, as a field shows it. */
function baseText({ base }: Draft): string {
  return displayText(base?.text ?? '');
}

/** A unique key: no filename contains a slash. */
function keyOf({ datasetId, filename }: CaptionName): string {
  return `${datasetId}/${filename}`;
}

function newerOf(
  entry: CaptionEntry | undefined,
  { saved, over }: { saved: SavedCaption | undefined; over: SavedCaption | undefined },
): NewerCaption {
  const replaced = new Set(entry?.newer?.replaced).add(over?.sha256);
  replaced.delete(saved?.sha256);
  return { saved, replaced };
}

/** A text that was typed and not saved. */
interface StoredDraft extends CaptionName {
  readonly text: string;
  readonly base: SavedCaption | undefined;
}

/** Keeps a draft in the storage of this tab, which survives a reload and a crash; without a draft, removes it. */
function storeDraft({ datasetId, filename }: CaptionName, draft: Omit<StoredDraft, keyof CaptionName> | undefined) {
  const key = `${PREFIX}${datasetId}/${filename}`;
  try {
    if (draft === undefined) sessionStorage.removeItem(key);
    else sessionStorage.setItem(key, JSON.stringify({ datasetId, filename, text: draft.text, base: draft.base }));
  } catch {
    // The storage is full or switched off. The draft is kept in memory, and the browser asks before the page is left.
  }
}

/** The drafts that this tab had when its page was left. */
function storedDrafts(): StoredDraft[] {
  try {
    return Object.keys(sessionStorage)
      .filter((key) => key.startsWith(PREFIX))
      .map((key) => JSON.parse(sessionStorage.getItem(key) ?? '') as StoredDraft);
  } catch {
    return [];
  }
}

export interface CaptionName {
  readonly datasetId: string;
  readonly filename: string;
}

/** A version of a caption on the service. */
interface SavedCaption {
  readonly sha256: string;
  /** `null` if it is longer than 64 KiB. */
  readonly text: string | null;
}

const SAVE_TIMEOUT_MS = 30_000;

/**
 * Saves a text, if the caption on the service is still the version that was edited; without a text, says whether it is.
 *
 * @returns the caption on the service; unless `isSaved`, it was changed or deleted elsewhere since it was read
 * @throws TrainyardError; Error if the service rejects the text; DOMException TimeoutError after `SAVE_TIMEOUT_MS`
 */
async function saveCaption(
  client: TrainyardClient,
  { datasetId, filename }: CaptionName,
  { text, base }: { text: string | undefined; base: SavedCaption | undefined },
) {
  const options = { signal: AbortSignal.timeout(SAVE_TIMEOUT_MS) };
  if (text !== undefined) {
    const ifMatch = base === undefined ? null : `"${base.sha256}"`;
    const [saved] = await client.bulk.saveCaptions(datasetId, [{ filename, text, ifMatch }], options);
    if (saved?.file !== undefined) return { isSaved: true, current: { sha256: saved.file.sha256, text } };
    if (saved?.problem !== undefined) throw new Error(saved.problem.message);
    if (!saved?.current) return { isSaved: false, current: undefined };
  }
  try {
    const [current] = await client.bulk.captions(datasetId, [filename], options);
    // An earlier attempt may have succeeded although its answer was lost.
    const isSaved = text === undefined ? current?.sha256 === base?.sha256 : current?.text === text;
    return { isSaved, current };
  } catch (error) {
    if (!(error instanceof TrainyardError) || error.code !== 'file_not_found') throw error;
    return { isSaved: text === undefined && base === undefined, current: undefined };
  }
}

/**
 * A text as a field shows it: with the line ends of browsers, without the line end that ends the file, and empty if blank, so
 * that the placeholder appears.
 */
export function displayText(text: string): string {
  return text.trim() === '' ? '' : text.replaceAll(/\r\n?/g, '\n').replace(/\n$/, '');
}

/** What was typed, with the line ends of the version that was edited, the one that ends the file included. */
function textToSave(typed: string, base: SavedCaption | undefined): string {
  const ended = typed !== '' && /[\r\n]$/.test(base?.text ?? '') ? `${typed}\n` : typed;
  const written = base?.text?.includes('\r\n') ? ended.replaceAll('\n', '\r\n') : ended;
  return written.toWellFormed();
}

/**
 * Rewrites the caption of a pair, with what is typed and not saved, and saves it as a field does.
 *
 * @returns the text after it; `undefined` if the text is not known, is too long, or is in conflict
 */
export function rewriteCaption(
  datasetId: string,
  { stem, caption }: Pair,
  rewrite: (text: string) => string,
): string | undefined {
  const name = { datasetId, filename: caption?.filename ?? `${stem}.txt` };
  const { draft, newer } = drafts.entry(name) ?? {};
  const read = caption && textStateOf(caption.sha256);
  const ofFile = caption && read?.state === 'read' ? { sha256: caption.sha256, text: read.text } : undefined;
  const isNewer = newer?.replaced.has(caption?.sha256) === true;
  const saved = isNewer ? newer?.saved : ofFile;
  const isUnknown = !isNewer && caption !== undefined && ofFile === undefined;
  if (isUnknown || saved?.text === null || draft?.state === 'conflict') return undefined;
  const before = draft?.text ?? displayText(saved?.text ?? '');
  const after = rewrite(before);
  if (after === before) return after;
  drafts.edit(name, after, saved);
  drafts.save(name);
  return after;
}
