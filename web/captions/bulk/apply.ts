import { type PushFile, type TrainyardClient, TrainyardError } from '../../../src/client/client.js';
import { forEachConcurrent } from '../../../src/for-each-concurrent.js';
import { messageOf } from '../../ui/format.js';
import { type Change, isMade } from './plan.js';

export interface Applied {
  readonly made: readonly Change[];
  /** Captions that somebody has changed since the change was planned, and that stay as they are. */
  readonly skipped: readonly Change[];
  readonly failed: readonly { readonly change: Change; readonly reason: string }[];
  /** Not tried any more after a cancel. */
  readonly left: readonly Change[];
}

type Texts = ReadonlyMap<string, string | null>;

const CONCURRENCY = 4;
const encoder = new TextEncoder();

/**
 * Makes changes, each only where the caption is still what the change was planned for. Those that are made already count as
 * made, so the same changes can be applied again after whatever went wrong.
 *
 * @throws what keeps it from being known how the captions are now
 */
export async function applyChanges(
  client: TrainyardClient,
  datasetId: string,
  changes: readonly Change[],
  { signal, onSettled }: { signal: AbortSignal; onSettled: (settled: number) => void },
): Promise<Applied> {
  const there = await textsThere(client, datasetId, changes, signal);
  const todo = changes.filter((change) => !isMade(change, there.get(change.filename)) && isAsPlanned(change, there));
  const settledBefore = changes.length - todo.length;
  const reasons = new Map<string, string>();
  try {
    const writes = todo.filter(({ after }) => after !== undefined).map(fileOf);
    const { failed } = await client.push({ id: datasetId }, writes, {
      signal,
      onProgress: ({ finishedFiles }) => onSettled(settledBefore + finishedFiles),
    });
    for (const { name, error } of failed) reasons.set(name, messageOf(error));
    let settled = settledBefore + writes.length;
    const removals = todo.filter(({ after }) => after === undefined);
    await forEachConcurrent(removals, CONCURRENCY, async ({ filename }) => {
      signal.throwIfAborted();
      await client.removeFile(datasetId, filename).catch((error) => {
        if (!isGone(error)) reasons.set(filename, messageOf(error));
      });
      onSettled(++settled);
    });
    return tallyOf(changes, { there, todo, reasons });
  } catch (error) {
    // Of some it is not known whether they arrived; and promises of others would keep the dataset from READY.
    const now = await textsThere(client, datasetId, changes);
    const open = todo.filter((change) => !isMade(change, now.get(change.filename)));
    await forEachConcurrent(open, CONCURRENCY, ({ filename }) => client.withdraw(datasetId, filename).catch(() => {}));
    if (signal.aborted) return tallyOf(changes, { there, todo, left: open });
    return tallyOf(changes, {
      there,
      todo,
      reasons: new Map(open.map(({ filename }) => [filename, messageOf(error)])),
    });
  }
}

interface Outcome {
  /** As they were before. */
  readonly there: Texts;
  readonly todo: readonly Change[];
  /** Why some have failed, by name. */
  readonly reasons?: ReadonlyMap<string, string>;
  readonly left?: readonly Change[];
}

function tallyOf(changes: readonly Change[], { there, todo, reasons, left = [] }: Outcome): Applied {
  const tried = new Set(todo);
  const skipped = changes.filter((change) => !tried.has(change) && !isMade(change, there.get(change.filename)));
  const failed = todo.flatMap((change) => {
    const reason = reasons?.get(change.filename);
    return reason === undefined ? [] : [{ change, reason }];
  });
  const others = new Set([...skipped, ...left, ...failed.map(({ change }) => change)]);
  return { made: changes.filter((change) => !others.has(change)), skipped, failed, left };
}

function isAsPlanned({ filename, before }: Change, there: Texts): boolean {
  return there.get(filename) === before;
}

/** The texts that the captions to be changed have now. */
async function textsThere(
  client: TrainyardClient,
  datasetId: string,
  changes: readonly Change[],
  signal?: AbortSignal,
): Promise<Texts> {
  // Asked for together, a single one that is not there would spoil the answer.
  const { files } = await client.status(datasetId, { signal });
  const present = new Set(files.map(({ filename }) => filename));
  const names = changes.map(({ filename }) => filename).filter((name) => present.has(name));
  const captions = await client.captions(datasetId, names, { signal });
  return new Map(captions.map(({ filename, text }) => [filename, text]));
}

/** Its `Blob` is made when it is sent: ten thousand at once would hold up the page. */
function fileOf({ filename, after = '' }: Change): PushFile {
  return { name: filename, size: encoder.encode(after).length, open: async () => new Blob([after]) };
}

function isGone(error: unknown): boolean {
  return error instanceof TrainyardError && error.code === 'file_not_found';
}
