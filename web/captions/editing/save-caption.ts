import { type TrainyardClient, TrainyardError } from '../../../src/client/client.js';

/** A caption as the service has it. */
export interface SavedCaption {
  readonly sha256: string;
  /** `null` for more than 64 KiB. */
  readonly text: string | null;
}

export type SaveResult =
  | { readonly state: 'saved'; readonly saved: SavedCaption }
  /** Somebody else has saved another text since, or removed the caption. */
  | { readonly state: 'changed'; readonly theirs: SavedCaption | undefined };

/** After which a service that does not answer is taken for one that is not there. */
const SAVE_TIMEOUT_MS = 30_000;

/** Saves a text over the one it was made from; over no other. */
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
  // The service has no conditional upload; asking right before leaves a gap of milliseconds.
  const there = await currentCaption(client, { datasetId, filename, base, signal });
  // Ours may have arrived although its answer did not.
  if (there !== undefined && there.text === text) return { state: 'saved', saved: there };
  if (there?.sha256 !== base?.sha256) return { state: 'changed', theirs: there };
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
    // Its bytes are damaged in the store, which a new text mends.
    if (error.status === 409) return base;
    throw error;
  }
}

/** A text as a field shows it: browsers have no other line ends there, and what is blank gives way to the placeholder. */
export function displayText(text: string): string {
  return text.trim() === '' ? '' : text.replaceAll(/\r\n?/g, '\n');
}

/** What was typed, with the line ends of the text that it was made from. */
export function textToSave(typed: string, base: SavedCaption | undefined): string {
  const written = base?.text?.includes('\r\n') ? typed.replaceAll('\n', '\r\n') : typed;
  return written.toWellFormed();
}
