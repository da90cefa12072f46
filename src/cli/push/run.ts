import type { Dataset, DatasetWithFiles, PushProgress, PushResult, TrainyardClient } from '../../client/client.js';
import { TrainyardError } from '../../client/client.js';
import { inspectPaths } from '../commands/check.js';
import type { FileInspector } from '../folder/inspect-files.js';
import { CommandError, EXIT, endingOf } from '../terminal/exit-codes.js';
import { type ProgressDisplay, pushLines } from '../terminal/progress.js';
import { counted, shown } from '../terminal/terminal.js';
import { type PlanRules, type PushPlan, planOf } from './plan.js';
import { sendCounted } from './send.js';

/** Files here and a dataset there that they are to go to. */
export interface PushTask {
  readonly client: TrainyardClient;
  readonly examiner: FileInspector;
  readonly ticker: ProgressDisplay;
  readonly signal: AbortSignal;
  readonly paths: readonly string[];
  /** Of the dataset, which need not exist yet. */
  readonly name: string;
  readonly follow: boolean;
  readonly rules: PlanRules;
  /** Files sent at once; as many as the client thinks best where it is `undefined`. */
  readonly concurrency: number | undefined;
  /** Whether to wait for READY or FAILED after all is sent. */
  readonly waits: boolean;
}

type Counts = Pick<PushProgress, 'totalFiles' | 'settledFiles' | 'failedFiles'>;

/** What came of it. */
export interface PushReport {
  readonly dataset: DatasetWithFiles;
  readonly result: PushResult;
  /** Files of the dataset that were removed. */
  readonly removed: readonly string[];
}

/** Looks at the files and at the dataset, and changes neither. */
export async function preparePush(sync: PushTask): Promise<{ plan: PushPlan; dataset: DatasetWithFiles | undefined }> {
  const { client, signal, ticker } = sync;
  const report = await inspectPaths(sync.paths, sync);
  ticker.clear();
  const found = await client.find(sync.name, { signal });
  const dataset = found && (await client.status(found.id, { signal }));
  const there = dataset?.files.map(({ filename }) => filename) ?? [];
  const refused = (dataset?.error?.problems ?? []).flatMap(({ filename }) => filename ?? []);
  const broken = [...refused, ...(dataset?.awaited ?? []).map(({ filename }) => filename)];
  return { plan: planOf(report, { there, broken }, sync.rules, sync.examiner), dataset };
}

/** Creates the dataset where it is new, sends what is missing, removes what is too much, and waits. */
export async function runPush(sync: PushTask, plan: PushPlan): Promise<PushReport> {
  const { client, signal, ticker, name } = sync;
  let last: Counts = { totalFiles: plan.files.length, settledFiles: 0, failedFiles: 0 };
  try {
    const dataset = await findOrCreate(sync);
    let since: { ms: number; bytes: number } | undefined;
    const onProgress = (progress: PushProgress) => {
      last = progress;
      if (since === undefined && progress.inFlight.length > 0) {
        since = { ms: Date.now(), bytes: progress.acknowledgedBytes };
      }
      const begun = since ?? { ms: Date.now(), bytes: progress.acknowledgedBytes };
      ticker.update(() => pushLines(progress, begun));
    };
    const { concurrency } = sync;
    const options = { onProgress, signal, send: sendCounted, ...(concurrency !== undefined && { concurrency }) };
    const result = await client.push(dataset, plan.files, options);
    const removed = result.failed.length === 0 ? await remove(sync, dataset, plan.toRemove) : [];
    ticker.clear();
    // What could not be sent will not come by waiting.
    const waits = sync.waits && result.failed.length === 0;
    const ended = waits ? await waitFor(sync, dataset) : await client.status(dataset.id, { signal });
    return { dataset: ended, result, removed };
  } catch (error) {
    throw withAdvice(error, last, name);
  } finally {
    ticker.clear();
  }
}

/** What comes and goes ends with how far it got, and what to do. */
function withAdvice(error: unknown, last: Counts, name: string): unknown {
  const { code, message } = endingOf(error);
  if (code !== EXIT.interrupted && code !== EXIT.unavailable && code !== EXIT.temporaryFailure) return error;
  if (error instanceof CommandError) return error;
  const { totalFiles } = last;
  const there = last.settledFiles - last.failedFiles;
  const advice =
    there > 0 && there === totalFiles
      ? `All files are in "${name}". The same command goes on waiting.`
      : `${there.toLocaleString('en')} of ${counted(totalFiles, 'file')} ${there === 1 ? 'is' : 'are'} in "${name}". The same command sends the rest.`;
  return new CommandError(code, `${message.replace(/\.?$/, '.')} ${advice}`, { cause: error });
}

async function findOrCreate({ client, name, signal }: PushTask): Promise<Dataset> {
  const found = await client.find(name, { signal });
  if (found !== undefined) return found;
  return client.create(name, { signal }).catch(async (error) => {
    // Somebody else was quicker, and wants the same.
    const isTaken = error instanceof TrainyardError && error.status === 409;
    const theirs = isTaken ? await client.find(name, { signal }) : undefined;
    if (theirs === undefined) throw error;
    return theirs;
  });
}

/** Media before captions, so that no image is without its caption for a moment. */
async function remove(sync: PushTask, { id }: Dataset, filenames: readonly string[]): Promise<string[]> {
  const isCaption = (filename: string) => Number(filename.toLowerCase().endsWith('.txt'));
  const ordered = filenames.toSorted((a, b) => isCaption(a) - isCaption(b));
  for (const filename of ordered) {
    await sync.client.removeFile(id, filename, { signal: sync.signal }).catch((error) => {
      if (!(error instanceof TrainyardError) || error.status !== 404) throw error;
      const message = `${shown(filename)} can't be removed: this service does not remove single files.`;
      throw new CommandError(EXIT.unavailable, message, { cause: error });
    });
  }
  return ordered;
}

async function waitFor({ client, ticker, signal }: PushTask, { id }: Dataset): Promise<DatasetWithFiles> {
  const onStatus = ({ status, counts }: DatasetWithFiles) => {
    // Services other than trainyard tell no counts.
    const pending = counts?.pending ?? 0;
    const why = pending === 0 ? '' : `; ${counted(pending, 'promised file')} not there yet`;
    ticker.update(() => [`${status}, waiting for READY${why}`]);
  };
  const dataset = await client.waitUntilReady(id, { signal, onStatus });
  ticker.clear();
  return dataset;
}
