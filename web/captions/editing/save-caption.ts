import { type TrainyardClient, TrainyardError } from '../../../src/client/client.js';

/** A version of a caption on the service. */
export interface SavedCaption {
  readonly sha256: string;
  /** `null` if it is longer than 64 KiB. */
  readonly text: string | null;
}

export type SaveResult =
  | { readonly state: 'saved'; readonly saved: SavedCaption }
  /** The caption was changed or deleted elsewhere since it was read. */
  | { readonly state: 'conflict'; readonly theirs: SavedCaption | undefined };

const SAVE_TIMEOUT_MS = 30_000;

/** Saves a text, if the caption on the service is still the version that was edited. */
export async function saveCaption(
  client: TrainyardClient,
  {
    datasetId,
    filename,
    text,
    base,
  }: { datasetId: string; filename: string; text: string; base: SavedCaption | undefined },
): Promise<SaveResult> {
  const signal = AbortSignal.timeout(SAVE_TIMEOUT_MS);
  // The service has no conditional upload. A check right before the upload leaves a gap of milliseconds.
  const current = await currentCaption(client, { datasetId, filename, base, signal });
  // An earlier attempt may have succeeded although its answer was lost.
  if (current !== undefined && current.text === text) return { state: 'saved', saved: current };
  if (current?.sha256 !== base?.sha256) return { state: 'conflict', theirs: current };
  const { sha256 } = await client.upload(datasetId, filename, new Blob([text]), { signal });
  return { state: 'saved', saved: { sha256, text } };
}

async function currentCaption(
  client: TrainyardClient,
  {
    datasetId,
    filename,
    base,
    signal,
  }: { datasetId: string; filename: string; base: SavedCaption | undefined; signal: AbortSignal },
): Promise<SavedCaption | undefined> {
  try {
    return (await client.captions(datasetId, [filename], { signal }))[0];
  } catch (error) {
    if (!(error instanceof TrainyardError)) throw error;
    if (error.code === 'file_not_found') return undefined;
    // Its bytes are damaged in the blob store; saving a new text repairs that.
    if (error.status === 409) return base;
    throw error;
  }
}

/** A text as a field shows it: with the line ends of browsers, and empty if blank, so that the placeholder appears. */
export function displayText(text: string): string {
  return text.trim() === '' ? '' : text.replaceAll(/\r\n?/g, '\n');
}

/** What was typed, with the line ends of the version that was edited. */
export function textToSave(typed: string, base: SavedCaption | undefined): string {
  const written = base?.text?.includes('\r\n') ? typed.replaceAll('\n', '\r\n') : typed;
  return written.toWellFormed();
}
