import { type TrainyardClient, TrainyardError } from '../../../src/client/client.js';
import { signOutIfUnauthorized } from '../../session/client.js';
import { messageOf } from '../../ui/format.js';
import { type SavedCaption, saveCaption, displayText, textToSave } from './save-caption.js';
import { rememberText } from './texts.js';

/** What a person has typed and the service does not have yet. */
export type Draft = {
  readonly text: string;
  /** What it was made from; `undefined` where there was no caption. */
  readonly base: SavedCaption | undefined;
} & (
  | { readonly state: 'editing' }
  /** `again`: saved once more after this, as it was changed and left meanwhile. `reason`: why the last try has failed. */
  | { readonly state: 'saving'; readonly sent: string; readonly again: boolean; readonly reason: string | undefined }
  | { readonly state: 'failed'; readonly reason: string; readonly mayPass: boolean }
  /** Somebody else has saved another text, or removed the caption: one of the two has to go. */
  | { readonly state: 'changed'; readonly theirs: SavedCaption | undefined }
);

/** What is known of a caption before the dataset tells so: that we have replaced what it had. */
interface NewerCaption {
  readonly saved: SavedCaption | undefined;
  readonly replaced: ReadonlySet<string | undefined>;
}

export interface CaptionEntry {
  readonly datasetId: string;
  readonly filename: string;
  readonly draft?: Draft | undefined;
  readonly newer?: NewerCaption | undefined;
  /** Saved a moment ago. */
  readonly isJustSaved?: boolean;
}

export interface CaptionName {
  readonly datasetId: string;
  readonly filename: string;
}

/** Why a draft is not saved, from the first failure until it is. */
export function failureOf(draft: Draft | undefined): string | undefined {
  return draft?.state === 'failed' || draft?.state === 'saving' ? draft.reason : undefined;
}

const THANKS_MS = 2500;
const FIRST_RETRY_MS = 4000;
const LONGEST_RETRY_MS = 60_000;

/**
 * Everything that was typed into captions and is not saved, for as long as the tab lives: whether its field is in sight or
 * not, and whoever is signed in.
 */
class Drafts {
  readonly #slots = new Map<string, CaptionEntry>();
  readonly #listeners = new Map<string, Set<() => void>>();
  readonly #sightListeners = new Set<() => void>();
  #unsaved: readonly CaptionEntry[] = [];
  #outOfSight: readonly CaptionEntry[] = [];
  #client: TrainyardClient | undefined;
  #retry: { timer: ReturnType<typeof setTimeout>; ms: number } | undefined;

  constructor() {
    addEventListener('online', () => this.#retryFailed());
    addEventListener('beforeunload', (event) => {
      if (this.#unsaved.length > 0) event.preventDefault();
    });
  }

  /** Saves as whoever is signed in from now on; what somebody could not save before is tried again. */
  use(client: TrainyardClient): void {
    if (this.#client === client) return;
    this.#client = client;
    for (const entry of this.#unsaved) if (entry.draft?.state === 'failed') this.save(entry);
  }

  slot(name: CaptionName): CaptionEntry | undefined {
    return this.#slots.get(keyOf(name));
  }

  /** Those that can't be saved as they are and have no field that would say so. */
  offscreen(): readonly CaptionEntry[] {
    return this.#outOfSight;
  }

  subscribe(name: CaptionName, listener: () => void): () => void {
    const key = keyOf(name);
    const own = this.#listeners.get(key) ?? new Set();
    this.#listeners.set(key, own.add(listener));
    this.#look();
    return () => {
      own.delete(listener);
      if (own.size === 0) this.#listeners.delete(key);
      this.#look();
    };
  }

  subscribeToOffscreen(listener: () => void): () => void {
    this.#sightListeners.add(listener);
    return () => this.#sightListeners.delete(listener);
  }

  /** Takes what was typed over a saved text. */
  edit(name: CaptionName, text: string, saved: SavedCaption | undefined): void {
    const draft = this.slot(name)?.draft ?? { state: 'editing', base: saved, text };
    const isBack =
      (draft.state === 'editing' || draft.state === 'failed') && text === displayText(draft.base?.text ?? '');
    this.#put(name, { draft: isBack ? undefined : { ...draft, text } });
  }

  /** Saves the draft, if there is one that can be; one that is being saved is saved once more after that, if it changed. */
  save(name: CaptionName): void {
    const draft = this.slot(name)?.draft;
    if (draft === undefined || draft.state === 'changed') return;
    if (draft.state === 'saving') this.#put(name, { draft: { ...draft, again: true } });
    else void this.#send(name, draft);
  }

  /** Puts the saved text back in place of what was typed. */
  revert(name: CaptionName): void {
    const draft = this.slot(name)?.draft;
    if (draft?.state === 'changed') this.takeTheirs(name);
    else this.#put(name, { draft: draft?.state === 'saving' ? { ...draft, text: draft.sent } : undefined });
  }

  keepMine(name: CaptionName): void {
    const draft = this.slot(name)?.draft;
    if (draft?.state === 'changed') void this.#send(name, { ...draft, base: draft.theirs });
  }

  takeTheirs(name: CaptionName): void {
    const slot = this.slot(name);
    if (slot?.draft?.state !== 'changed') return;
    const { theirs, base } = slot.draft;
    this.#put(name, { draft: undefined, newer: newerOf(slot, { saved: theirs, over: base }) });
  }

  /** Compares a draft with what the dataset has now: somebody else may have saved another text. */
  compareWithDataset(name: CaptionName, there: SavedCaption | undefined): void {
    const slot = this.slot(name);
    if (slot?.newer !== undefined && !slot.newer.replaced.has(there?.sha256)) this.#put(name, { newer: undefined });
    const draft = slot?.draft;
    if (draft === undefined || draft.state === 'saving' || slot?.newer?.replaced.has(there?.sha256)) return;
    // The dataset may be behind what is known of theirs.
    const known = draft.state === 'changed' ? [draft.base, draft.theirs] : [draft.base];
    if (known.some((saved) => saved?.sha256 === there?.sha256)) return;
    const isSame = there !== undefined && there.text !== null && displayText(there.text) === draft.text;
    const { text, base } = draft;
    this.#put(name, { draft: isSame ? undefined : { state: 'changed', text, base, theirs: there } });
  }

  async #send(name: CaptionName, draft: Draft): Promise<void> {
    const client = this.#client;
    if (client === undefined) return;
    const { text, base } = draft;
    this.#put(name, { draft: { state: 'saving', text, base, sent: text, again: false, reason: failureOf(draft) } });
    const written = textToSave(text, base);
    try {
      const outcome = await saveCaption(client, { ...nameOf(name), text: written, base });
      if (outcome.state === 'saved') this.#settle(name, outcome.saved, base);
      else this.#replaceDraft(name, { state: 'changed', base, theirs: outcome.theirs });
    } catch (error) {
      const mayPass = !(error instanceof TrainyardError) || error.status >= 500 || error.status === 429;
      this.#replaceDraft(name, { state: 'failed', base, reason: messageOf(error), mayPass });
      if (mayPass) this.#retryLater();
      // Not for a token that somebody has replaced meanwhile.
      if (client === this.#client) signOutIfUnauthorized(error);
    }
  }

  #settle(name: CaptionName, saved: SavedCaption, over: SavedCaption | undefined): void {
    rememberText(saved.sha256, saved.text);
    const slot = this.slot(name);
    const newer = newerOf(slot, { saved, over });
    const draft = slot?.draft;
    if (draft?.state !== 'saving' || draft.text === draft.sent) {
      this.#put(name, { draft: undefined, newer, isJustSaved: true });
      setTimeout(() => this.#put(name, { isJustSaved: false }), THANKS_MS);
      return;
    }
    // Typed on meanwhile.
    const next: Draft = { state: 'editing', text: draft.text, base: saved };
    this.#put(name, { draft: next, newer });
    if (draft.again) void this.#send(name, next);
  }

  /** What is typed by now is kept, whatever has become of the rest. */
  #replaceDraft(name: CaptionName, draft: DistributiveOmit<Draft, 'text'>): void {
    const text = this.slot(name)?.draft?.text;
    if (text !== undefined) this.#put(name, { draft: { ...draft, text } });
  }

  #retryLater(): void {
    if (this.#retry !== undefined) return;
    const ms = FIRST_RETRY_MS;
    this.#retry = { ms, timer: setTimeout(() => this.#retryFailed(), ms) };
  }

  #retryFailed(): void {
    const before = this.#retry;
    clearTimeout(before?.timer);
    this.#retry = undefined;
    const failed = this.#unsaved.filter(({ draft }) => draft?.state === 'failed' && draft.mayPass);
    if (failed.length === 0) return;
    for (const slot of failed) this.save(slot);
    const ms = Math.min((before?.ms ?? FIRST_RETRY_MS) * 2, LONGEST_RETRY_MS);
    this.#retry = { ms, timer: setTimeout(() => this.#retryFailed(), ms) };
  }

  #put(name: CaptionName, change: Partial<CaptionEntry>): void {
    const key = keyOf(name);
    const slot: CaptionEntry = { ...nameOf(name), ...this.#slots.get(key), ...change };
    if (slot.draft === undefined && slot.newer === undefined && slot.isJustSaved !== true) this.#slots.delete(key);
    else this.#slots.set(key, slot);
    this.#unsaved = [...this.#slots.values()].filter(({ draft }) => draft !== undefined);
    for (const listener of this.#listeners.get(key) ?? []) listener();
    this.#look();
  }

  #look(): void {
    if (this.#unsaved.length === 0 && this.#outOfSight.length === 0) return;
    this.#outOfSight = this.#unsaved.filter(
      (slot) =>
        !this.#listeners.has(keyOf(slot)) && (slot.draft?.state === 'changed' || failureOf(slot.draft) !== undefined),
    );
    for (const listener of this.#sightListeners) listener();
  }
}

type DistributiveOmit<T, K extends PropertyKey> = T extends unknown ? Omit<T, K> : never;

export const drafts = new Drafts();

/** Others of the same name in other datasets are others; no filename has a slash. */
function keyOf({ datasetId, filename }: CaptionName): string {
  return `${datasetId}/${filename}`;
}

function nameOf({ datasetId, filename }: CaptionName): CaptionName {
  return { datasetId, filename };
}

function newerOf(
  slot: CaptionEntry | undefined,
  { saved, over }: { saved: SavedCaption | undefined; over: SavedCaption | undefined },
): NewerCaption {
  const replaced = new Set(slot?.newer?.replaced).add(over?.sha256);
  replaced.delete(saved?.sha256);
  return { saved, replaced };
}
