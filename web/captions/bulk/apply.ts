import type { Caption, TrainyardClient } from '../../../src/client/client.js';
import { countOf, messageOf } from '../../ui/format.js';
import type { CaptionChange } from './plan.js';

export interface BulkResult {
  readonly changed: readonly CaptionChange[];
  /** Not made, because their captions have changed since the plan was made. */
  readonly skipped: readonly CaptionChange[];
  readonly failed: readonly { readonly change: CaptionChange; readonly reason: string }[];
  /** Not made, because the user cancelled. */
  readonly remaining: readonly CaptionChange[];
}

/** `3 captions changed, 1 caption skipped.` */
export function summaryOf({ changed, skipped, failed, remaining }: BulkResult): string {
  const parts = [
    `${countOf(changed.length, 'caption')} changed`,
    remaining.length > 0 && `${countOf(remaining.length, 'caption')} not changed because you cancelled`,
    skipped.length > 0 && `${countOf(skipped.length, 'caption')} skipped`,
    failed.length > 0 && `${countOf(failed.length, 'caption')} failed`,
  ];
  return `${parts.filter(Boolean).join(', ')}.`;
}

/** The captions that exist, by filename. */
type Captions = ReadonlyMap<string, Caption>;

/** Progress is reported, and a cancel takes effect, after each request. */
const CAPTIONS_PER_REQUEST = 100;

/**
 * Applies changes, each only if the caption still has the text that it was planned for; the service compares ETags. An applied
 * change counts as changed, so the same changes can be applied again after a failure.
 *
 * @throws if the current captions can't be read
 */
export async function applyChanges(
  client: TrainyardClient,
  datasetId: string,
  changes: readonly CaptionChange[],
  { signal, onProgress }: { signal: AbortSignal; onProgress: (done: number) => void },
): Promise<BulkResult> {
  const before = await currentCaptions(client, datasetId, changes, signal);
  const todo = changes.filter(
    (change) => textIn(before, change) !== change.after && textIn(before, change) === change.before,
  );
  const outcomes = new Map<string, Outcome>();
  let done = changes.length - todo.length;
  for (let start = 0; start < todo.length && !signal.aborted; start += CAPTIONS_PER_REQUEST) {
    const slice = todo.slice(start, start + CAPTIONS_PER_REQUEST);
    // Without the signal: the outcome of a request that is under way must be known.
    const failure = await write(client, datasetId, slice, { before, outcomes });
    if (failure !== undefined) {
      for (const { filename } of todo.slice(start + CAPTIONS_PER_REQUEST)) outcomes.set(filename, { reason: failure });
      break;
    }
    done += slice.length;
    onProgress(done);
  }
  const tried = new Set(todo);
  const result = { changed: [], skipped: [], failed: [], remaining: [] } as {
    changed: CaptionChange[];
    skipped: CaptionChange[];
    failed: BulkResult['failed'][number][];
    remaining: CaptionChange[];
  };
  for (const change of changes) {
    const outcome = outcomes.get(change.filename);
    if (!tried.has(change)) (textIn(before, change) === change.after ? result.changed : result.skipped).push(change);
    else if (outcome === undefined) result.remaining.push(change);
    else if (typeof outcome === 'string') result[outcome].push(change);
    else result.failed.push({ change, reason: outcome.reason });
  }
  return result;
}

type Outcome = 'changed' | 'skipped' | { readonly reason: string };

/**
 * Makes changes in one request, and adds what became of each to `outcomes`.
 *
 * @returns why the service could not be asked; `undefined` if it has answered
 */
async function write(
  client: TrainyardClient,
  datasetId: string,
  changes: readonly CaptionChange[],
  { before, outcomes }: { before: Captions; outcomes: Map<string, Outcome> },
): Promise<string | undefined> {
  const texts = changes.map(({ filename, after }) => ({
    filename,
    text: after,
    ifMatch: before.get(filename)?.etag ?? null,
  }));
  try {
    for (const { filename, saved, problem } of await client.bulk.saveCaptions(datasetId, texts)) {
      outcomes.set(filename, saved ? 'changed' : problem === undefined ? 'skipped' : { reason: problem.message });
    }
    const skipped = changes.filter(({ filename }) => outcomes.get(filename) === 'skipped');
    // The client may have sent the request twice, because the answer to the first was lost.
    const now = skipped.length === 0 ? undefined : await currentCaptions(client, datasetId, skipped);
    for (const change of skipped) {
      if (now !== undefined && textIn(now, change) === change.after) outcomes.set(change.filename, 'changed');
    }
    return undefined;
  } catch (error) {
    // The request may have been carried out without an answer.
    const now = await currentCaptions(client, datasetId, changes).catch(() => undefined);
    for (const change of changes) {
      const isChanged = now !== undefined && textIn(now, change) === change.after;
      if (!outcomes.has(change.filename)) {
        outcomes.set(change.filename, isChanged ? 'changed' : { reason: messageOf(error) });
      }
    }
    return messageOf(error);
  }
}

function textIn(captions: Captions, { filename }: CaptionChange): string | null | undefined {
  return captions.get(filename)?.text;
}

async function currentCaptions(
  client: TrainyardClient,
  datasetId: string,
  changes: readonly CaptionChange[],
  signal?: AbortSignal,
): Promise<Captions> {
  // One missing caption would fail a request for many, so only captions that exist are requested.
  const { files } = await client.status(datasetId, { signal });
  const existing = new Set(files.map(({ filename }) => filename));
  const names = changes.map(({ filename }) => filename).filter((name) => existing.has(name));
  const captions = await client.bulk.captions(datasetId, names, { signal });
  return new Map(captions.map((caption) => [caption.filename, caption]));
}
