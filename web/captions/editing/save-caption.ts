import { type TrainyardClient, TrainyardError } from '../../../src/client/client.js';

export interface CaptionName {
  readonly datasetId: string;
  readonly filename: string;
}

/** A version of a caption on the service. */
export interface SavedCaption {
  readonly sha256: string;
  /** `null` if it is longer than 64 KiB. */
  readonly text: string | null;
}

export type SaveResult =
  | { readonly state: 'saved'; readonly saved: SavedCaption | undefined }
  /** The caption was changed or deleted elsewhere since it was read. */
  | { readonly state: 'conflict'; readonly theirs: SavedCaption | undefined };

const SAVE_TIMEOUT_MS = 30_000;

/**
 * Saves a text, if the caption on the service is still the version that was edited.
 *
 * @throws TrainyardError; Error if the service rejects the text; DOMException TimeoutError after `SAVE_TIMEOUT_MS`
 */
export async function saveCaption(
  client: TrainyardClient,
  { datasetId, filename, text, base }: CaptionName & { text: string; base: SavedCaption | undefined },
): Promise<SaveResult> {
  const options = { signal: AbortSignal.timeout(SAVE_TIMEOUT_MS) };
  const ifMatch = base === undefined ? null : `"${base.sha256}"`;
  const [saved] = await client.bulk.saveCaptions(datasetId, [{ filename, text, ifMatch }], options);
  if (saved?.file !== undefined) return { state: 'saved', saved: { sha256: saved.file.sha256, text } };
  if (saved?.problem !== undefined) throw new Error(saved.problem.message);
  const theirs = saved?.current ? await currentCaption(client, { datasetId, filename, ...options }) : undefined;
  // An earlier attempt may have succeeded although its answer was lost.
  return theirs?.text === text ? { state: 'saved', saved: theirs } : { state: 'conflict', theirs };
}

/** Says whether the caption on the service is still the version that was edited. @throws as `saveCaption` does */
export async function checkCaption(
  client: TrainyardClient,
  { datasetId, filename, base }: CaptionName & { base: SavedCaption | undefined },
): Promise<SaveResult> {
  const signal = AbortSignal.timeout(SAVE_TIMEOUT_MS);
  const current = await currentCaption(client, { datasetId, filename, signal });
  return current?.sha256 === base?.sha256 ? { state: 'saved', saved: current } : { state: 'conflict', theirs: current };
}

async function currentCaption(
  client: TrainyardClient,
  { datasetId, filename, signal }: { datasetId: string; filename: string; signal: AbortSignal },
): Promise<SavedCaption | undefined> {
  try {
    return (await client.bulk.captions(datasetId, [filename], { signal }))[0];
  } catch (error) {
    if (error instanceof TrainyardError && error.code === 'file_not_found') return undefined;
    throw error;
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
export function textToSave(typed: string, base: SavedCaption | undefined): string {
  const ended = typed !== '' && /[\r\n]$/.test(base?.text ?? '') ? `${typed}\n` : typed;
  const written = base?.text?.includes('\r\n') ? ended.replaceAll('\n', '\r\n') : ended;
  return written.toWellFormed();
}
