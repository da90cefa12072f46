import type { CaptionName, SavedCaption } from './save-caption.js';

/** A text that was typed and not saved. */
export interface StoredDraft extends CaptionName {
  readonly text: string;
  readonly base: SavedCaption | undefined;
}

const PREFIX = 'trainyard.draft ';

/** Keeps a draft in the storage of this tab, which survives a reload and a crash; without a draft, removes it. */
export function storeDraft(
  { datasetId, filename }: CaptionName,
  draft: Omit<StoredDraft, keyof CaptionName> | undefined,
) {
  const key = `${PREFIX}${datasetId}/${filename}`;
  try {
    if (draft === undefined) sessionStorage.removeItem(key);
    else sessionStorage.setItem(key, JSON.stringify({ datasetId, filename, text: draft.text, base: draft.base }));
  } catch {
    // The storage is full or switched off. The draft is kept in memory, and the browser asks before the page is left.
  }
}

/** The drafts that this tab had when its page was left. */
export function storedDrafts(): StoredDraft[] {
  try {
    return Object.keys(sessionStorage)
      .filter((key) => key.startsWith(PREFIX))
      .map((key) => JSON.parse(sessionStorage.getItem(key) ?? '') as StoredDraft);
  } catch {
    return [];
  }
}
