import {
  type Dataset,
  type DatasetWithFiles,
  type PushProgress,
  type PushResult,
  type SendBody,
  type TrainyardClient,
  TrainyardError,
} from '../../client/client.js';
import { type FileInspector, inspectPaths } from '../folder/inspect-files.js';
import { CommandError, EXIT, endingOf } from '../terminal/exit-codes.js';
import { type ProgressDisplay, percent, transferLine } from '../terminal/progress.js';
import { counted, formatBytes, printable } from '../terminal/text.js';
import { type PlanRules, type PushPlan, planOf } from './plan.js';

/** Smaller bodies are sent whole, which is faster; their progress is not counted. */
const MIN_COUNTED_BYTES = 1024 * 1024;

const MAX_FILES_SHOWN = 8;

/** Local files, and the dataset to push them to. */
export interface PushTask {
  readonly client: TrainyardClient;
  readonly inspector: FileInspector;
  readonly display: ProgressDisplay;
  readonly signal: AbortSignal;
  readonly paths: readonly string[];
  /** The dataset's name or ID; the dataset need not exist yet. */
  readonly name: string;
  readonly follow: boolean;
  readonly rules: PlanRules;
  /** Files sent at a time; the client's default if `undefined`. */
  readonly concurrency: number | undefined;
  /** Waits for READY or FAILED after the last file. */
  readonly waits: boolean;
}

type FileCounts = Pick<PushProgress, 'totalFiles' | 'finishedFiles' | 'failedFiles'>;

/** The result of a push. */
export interface PushReport {
  readonly dataset: DatasetWithFiles;
  readonly result: PushResult;
  /** Files removed from the dataset. */
  readonly removed: readonly string[];
}

/** Inspects the files, reads the dataset, and plans the push. Changes nothing. */
export async function preparePush(task: PushTask): Promise<{ plan: PushPlan; dataset: DatasetWithFiles | undefined }> {
  const { client, signal, rules, inspector } = task;
  const report = await inspectPaths(task.paths, task);
  const found = await client.find(task.name, { signal });
  const dataset = found && (await client.status(found.id, { signal }));
  const stored = [...(dataset?.files ?? []), ...(dataset?.checking ?? [])].map(({ filename }) => filename);
  const withProblems = (dataset?.error?.problems ?? []).flatMap(({ filename }) => filename ?? []);
  const unfinished = [...withProblems, ...(dataset?.awaited ?? []).map(({ filename }) => filename)];
  return { plan: planOf(report, { stored, unfinished, rules, inspector }), dataset };
}

/** Creates the dataset if it is new, sends missing files, removes files as planned, and waits for the status. */
export async function runPush(task: PushTask, plan: PushPlan): Promise<PushReport> {
  const { client, signal, display, name, concurrency } = task;
  let counts: FileCounts = { totalFiles: plan.files.length, finishedFiles: 0, failedFiles: 0 };
  try {
    const dataset = await findOrCreate(task);
    let start: { ms: number; bytes: number } | undefined;
    const onProgress = (progress: PushProgress) => {
      counts = progress;
      const now = { ms: Date.now(), bytes: progress.acknowledgedBytes };
      if (progress.inFlight.length > 0) start ??= now;
      display.update(() => pushLines(progress, start ?? now));
    };
    const options = { onProgress, signal, send: sendCounted, ...(concurrency !== undefined && { concurrency }) };
    const result = await client.push(dataset, plan.files, options);
    const isComplete = result.failed.length === 0;
    const removed = isComplete ? await removeFiles(task, dataset, plan.toRemove) : [];
    display.clear();
    const ended = task.waits && isComplete ? await waitFor(task, dataset) : await client.status(dataset.id, { signal });
    return { dataset: ended, result, removed };
  } catch (error) {
    throw withAdvice(error, counts, name);
  } finally {
    display.clear();
  }
}

/** Adds to a temporary failure the number of files sent, and the advice to run the same command again. */
function withAdvice(error: unknown, { totalFiles, finishedFiles, failedFiles }: FileCounts, name: string): unknown {
  const { code, message } = endingOf(error);
  if (code !== EXIT.interrupted && code !== EXIT.unavailable && code !== EXIT.temporaryFailure) return error;
  if (error instanceof CommandError) return error;
  const sent = finishedFiles - failedFiles;
  const advice =
    sent > 0 && sent === totalFiles
      ? `All files are in "${name}". Run the same command again to wait for READY.`
      : `${sent.toLocaleString('en')} of ${counted(totalFiles, 'file')} ${sent === 1 ? 'is' : 'are'} in "${name}". Run the same command again to send the rest.`;
  return new CommandError(code, `${message.replace(/\.?$/, '.')} ${advice}`, { cause: error });
}

async function findOrCreate({ client, name, signal }: PushTask): Promise<Dataset> {
  const found = await client.find(name, { signal });
  if (found !== undefined) return found;
  return client.create(name, { signal }).catch(async (error) => {
    // Another client may have created it after `find`.
    const isTaken = error instanceof TrainyardError && error.status === 409;
    const created = isTaken ? await client.find(name, { signal }) : undefined;
    if (created === undefined) throw error;
    return created;
  });
}

/** Removes media before captions, so that no image lacks its caption in between. */
async function removeFiles(task: PushTask, { id }: Dataset, filenames: readonly string[]): Promise<string[]> {
  const isCaption = (filename: string) => Number(filename.toLowerCase().endsWith('.txt'));
  const ordered = filenames.toSorted((a, b) => isCaption(a) - isCaption(b));
  for (const filename of ordered) {
    await task.client.removeFile(id, filename, { signal: task.signal }).catch((error) => {
      if (!(error instanceof TrainyardError) || error.status !== 404) throw error;
      const message = `${printable(filename)} can't be removed: this service does not remove single files.`;
      throw new CommandError(EXIT.unavailable, message, { cause: error });
    });
  }
  return ordered;
}

async function waitFor({ client, display, signal }: PushTask, { id }: Dataset): Promise<DatasetWithFiles> {
  const onStatus = ({ status, counts }: DatasetWithFiles) => {
    // Only trainyard reports counts; other services of this API do not.
    const { pending = 0, checking = 0 } = counts ?? {};
    const uploads = pending === 0 ? '' : `; ${counted(pending, 'upload')} pending`;
    const checks = checking === 0 ? '' : `; ${counted(checking, 'file')} being checked`;
    display.update(() => [`${status}, waiting for READY${uploads}${checks}`]);
  };
  return client.waitUntilReady(id, { signal, onStatus });
}

/**
 * Returns a bar for the acknowledged bytes, and a line for each file in flight.
 *
 * @param start the time when sending began, in milliseconds since 1970, and the bytes acknowledged until then
 */
function pushLines(progress: PushProgress, start: { ms: number; bytes: number }): string[] {
  const { acknowledgedBytes: doneBytes, totalBytes, finishedFiles: doneFiles, totalFiles, inFlight } = progress;
  const seconds = (Date.now() - start.ms) / 1000;
  const rate = seconds > 1 ? `, ${formatBytes((doneBytes - start.bytes) / seconds)}/s` : '';
  const files = inFlight.slice(0, MAX_FILES_SHOWN).map(({ name, sentBytes, totalBytes: size }) => {
    const state =
      sentBytes >= size ? 'sent, being checked' : `${percent(sentBytes, size)} of ${formatBytes(size)} sent`;
    return `  ${printable(name)}  ${state}`;
  });
  const more = inFlight.length - files.length;
  const line = `${transferLine({ doneBytes, totalBytes, doneFiles, totalFiles })}${rate}`;
  return [line, ...files, ...(more > 0 ? [`  … and ${more} more`] : [])];
}

/** Sends a body and counts the bytes sent, which `fetch` does not report. */
const sendCounted: SendBody = async (link, body, { signal, onSent }) => {
  const { upload_url, method, headers } = link;
  const request = { method, redirect: 'error', ...(signal && { signal }) } as const;
  if (body.size < MIN_COUNTED_BYTES) return fetch(upload_url, { ...request, headers, body });
  let sentBytes = 0;
  const counter = new TransformStream<Uint8Array, Uint8Array>({
    transform(chunk, controller) {
      sentBytes += chunk.byteLength;
      onSent(sentBytes);
      controller.enqueue(chunk);
    },
  });
  return fetch(upload_url, {
    ...request,
    // The service requires a length. Node does not know the length of a stream, but sends this header as it is.
    headers: { ...headers, 'content-length': String(body.size) },
    body: body.stream().pipeThrough(counter),
    duplex: 'half',
  });
};
