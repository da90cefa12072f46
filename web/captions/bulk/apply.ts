import { type PushFile, type TrainyardClient, TrainyardError } from '../../../src/client/client.js';
import { forEachConcurrent } from '../../../src/for-each-concurrent.js';
import { messageOf } from '../../ui/format.js';
import { type CaptionChange, isApplied } from './plan.js';

export interface BulkResult {
  readonly changed: readonly CaptionChange[];
  /** Not made, because their captions have changed since the plan was made. */
  readonly skipped: readonly CaptionChange[];
  readonly failed: readonly { readonly change: CaptionChange; readonly reason: string }[];
  /** Not made, because the user cancelled. */
  readonly remaining: readonly CaptionChange[];
}

type Texts = ReadonlyMap<string, string | null>;

const CONCURRENCY = 4;
const encoder = new TextEncoder();

/**
 * Applies changes, each only if the caption still has the text that the change was planned for. A change that is applied
 * already counts as changed, so the same changes can be applied again after a failure.
 *
 * @throws if the current captions can't be read
 */
export async function applyChanges(
  client: TrainyardClient,
  datasetId: string,
  changes: readonly CaptionChange[],
  { signal, onProgress }: { signal: AbortSignal; onProgress: (done: number) => void },
): Promise<BulkResult> {
  const before = await currentTexts(client, datasetId, changes, signal);
  const todo = changes.filter(
    (change) => !isApplied(change, before.get(change.filename)) && isAsPlanned(change, before),
  );
  const doneBefore = changes.length - todo.length;
  const reasons = new Map<string, string>();
  try {
    const writes = todo.filter(({ after }) => after !== undefined).map(fileOf);
    const { failed } = await client.push({ id: datasetId }, writes, {
      signal,
      onProgress: ({ finishedFiles }) => onProgress(doneBefore + finishedFiles),
    });
    for (const { name, error } of failed) reasons.set(name, messageOf(error));
    let done = doneBefore + writes.length;
    const removals = todo.filter(({ after }) => after === undefined);
    await forEachConcurrent(removals, CONCURRENCY, async ({ filename }) => {
      signal.throwIfAborted();
      await client.removeFile(datasetId, filename).catch((error) => {
        if (!isGone(error)) reasons.set(filename, messageOf(error));
      });
      onProgress(++done);
    });
    return resultOf(changes, { before, todo, reasons });
  } catch (error) {
    // Some uploads may have arrived without an answer. The other reservations would keep the dataset from READY.
    const now = await currentTexts(client, datasetId, changes);
    const open = todo.filter((change) => !isApplied(change, now.get(change.filename)));
    await forEachConcurrent(open, CONCURRENCY, ({ filename }) => client.withdraw(datasetId, filename).catch(() => {}));
    if (signal.aborted) return resultOf(changes, { before, todo, remaining: open });
    const reason = messageOf(error);
    return resultOf(changes, { before, todo, reasons: new Map(open.map(({ filename }) => [filename, reason])) });
  }
}

interface Outcome {
  /** The texts before any change. */
  readonly before: Texts;
  readonly todo: readonly CaptionChange[];
  /** Why changes have failed, by filename. */
  readonly reasons?: ReadonlyMap<string, string>;
  readonly remaining?: readonly CaptionChange[];
}

function resultOf(changes: readonly CaptionChange[], { before, todo, reasons, remaining = [] }: Outcome): BulkResult {
  const tried = new Set(todo);
  const skipped = changes.filter((change) => !tried.has(change) && !isApplied(change, before.get(change.filename)));
  const failed = todo.flatMap((change) => {
    const reason = reasons?.get(change.filename);
    return reason === undefined ? [] : [{ change, reason }];
  });
  const others = new Set([...skipped, ...remaining, ...failed.map(({ change }) => change)]);
  return { changed: changes.filter((change) => !others.has(change)), skipped, failed, remaining };
}

function isAsPlanned({ filename, before }: CaptionChange, texts: Texts): boolean {
  return texts.get(filename) === before;
}

async function currentTexts(
  client: TrainyardClient,
  datasetId: string,
  changes: readonly CaptionChange[],
  signal?: AbortSignal,
): Promise<Texts> {
  // One missing caption would fail a request for many, so only captions that exist are requested.
  const { files } = await client.status(datasetId, { signal });
  const existing = new Set(files.map(({ filename }) => filename));
  const names = changes.map(({ filename }) => filename).filter((name) => existing.has(name));
  const captions = await client.captions(datasetId, names, { signal });
  return new Map(captions.map(({ filename, text }) => [filename, text]));
}

/** Creates the `Blob` when it is sent: ten thousand at once would block the page. */
function fileOf({ filename, after = '' }: CaptionChange): PushFile {
  return { name: filename, size: encoder.encode(after).length, open: async () => new Blob([after]) };
}

function isGone(error: unknown): boolean {
  return error instanceof TrainyardError && error.code === 'file_not_found';
}
