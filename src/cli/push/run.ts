import {
  type Dataset,
  type DatasetWithFiles,
  type PushProgress,
  type PushResult,
  type SendBody,
  TrainyardError,
} from '../../client/client.js';
import type { PushListeners } from '../../client/push-progress.js';
import { requireStillThere } from '../folder/read-folder.js';
import { CommonState } from '../sync/common-state.js';
import { commonChanges, storedSince } from '../sync/compare.js';
import { withLockedFolders } from '../sync/lock-folders.js';
import { CommandError, EXIT, endingOf } from '../terminal/exit-codes.js';
import { percent, transferLine } from '../terminal/progress.js';
import { counted, formatBytes, printable } from '../terminal/text.js';
import type { PushPlan } from './plan.js';
import { etagsOf, isConditional, type PushTask, storedHashes, wrongRole } from './prepare.js';
import { laterReport, type PushReport, rememberStored } from './push-report.js';

/** Smaller bodies are sent whole, which is faster; their progress is not counted. */
const MIN_COUNTED_BYTES = 1024 * 1024;

const MAX_FILES_SHOWN = 8;

type FileCounts = Pick<PushProgress, 'totalFiles' | 'finishedFiles' | 'failedFiles'>;

/** Creates the dataset if it is new, sends missing files, and removes files as planned. */
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
    const ifMatch = isConditional(dataset) ? etagsOf(plan.files, plan.sides) : undefined;
    return await rememberingCommon(task, { dataset, plan }, async (onFileFinished) => {
      const options = { onProgress, onFileFinished, ifMatch, signal, send: sendCounted };
      const { awaited, checking } = plan.sides;
      const superseded = plan.toSend.filter((file) => checking.has(file));
      // Once it is stored, the condition of the newer version would not be met.
      if (superseded.length > 0) await client.bulk.withdraw(dataset.id, superseded, { signal });
      const pushed = await client.push(
        dataset,
        plan.files.filter((file) => !awaited.has(file.name)),
        { ...options, ...(concurrency !== undefined && { concurrency }) },
      );
      const { result, changed } = withoutConflicts(pushed);
      const isComplete = result.failed.length === 0;
      if (!isComplete) await requireStillThere(task.paths);
      const removal = isComplete ? await removeFiles(task, dataset, plan) : { removed: [], changed: [] };
      display.clear();
      const ended = await client.status(dataset.id, { signal });
      const conflicts = [...new Set([...plan.sync.conflicts, ...changed, ...removal.changed])].sort();
      const unchanged = [...result.unchanged, ...awaited];
      return { dataset: ended, result: { ...result, unchanged }, removed: removal.removed, conflicts };
    });
  } catch (error) {
    throw withAdvice(error, counts, name);
  } finally {
    display.clear();
  }
}

/**
 * The report with the dataset once it is READY or FAILED. Unless the task waits for it and all files were sent, it is as it was;
 * so is a dataset without files, which would stay DRAFT.
 */
export async function waitForEnd(task: PushTask, plan: PushPlan, report: PushReport): Promise<PushReport> {
  const isUploading = report.dataset.status === 'UPLOADING';
  if (!task.waits || !isUploading || report.result.failed.length > 0) return report;
  const { stored, unchanged } = report.result;
  const counts = {
    totalFiles: plan.files.length,
    finishedFiles: stored.length + unchanged.length,
    failedFiles: 0,
  };
  try {
    return await endedReport(task, plan, { report, dataset: await waitFor(task, report.dataset) });
  } catch (error) {
    throw withAdvice(error, counts, task.name);
  } finally {
    task.display.clear();
  }
}

/** The report once the wait for the dataset has ended. Remembers which pending files are stored. */
export async function endedReport(
  task: PushTask,
  plan: PushPlan,
  { report, dataset }: { report: PushReport; dataset: DatasetWithFiles },
): Promise<PushReport> {
  if (report.pending.size > 0) {
    await withLockedFolders(task.pair.folders, task, () => rememberStored(task, dataset)).catch((error) => {
      // Nothing is remembered of a folder that was removed during the wait.
      if (!(error instanceof CommandError) || error.exitCode !== EXIT.noInput) throw error;
    });
  }
  return laterReport(plan, report, dataset);
}

/** Separates the files that another client has changed since the dataset was read. */
function withoutConflicts({ failed, ...result }: PushResult): { result: PushResult; changed: string[] } {
  const isConflict = ({ error }: { error: Error }) => error instanceof TrainyardError && error.status === 412;
  return {
    result: { ...result, failed: failed.filter((file) => !isConflict(file)) },
    changed: failed.filter(isConflict).map(({ name }) => name),
  };
}

/**
 * Remembers what folder and dataset have in common after the push, and which files it has sent that the dataset has not stored
 * yet; if it is interrupted, of the files sent until then.
 */
async function rememberingCommon(
  { pair }: PushTask,
  { dataset, plan }: { dataset: Dataset; plan: PushPlan },
  push: (onFileFinished: NonNullable<PushListeners['onFileFinished']>) => Promise<Omit<PushReport, 'pending'>>,
): Promise<PushReport> {
  if (!isConditional(dataset)) return { ...(await push(() => {})), pending: new Map() };
  const { folder, unusable, isWholeFolder } = plan.sides;
  const state = await CommonState.open({ ...pair, datasetId: dataset.id });
  const changes = new Map<string, string | undefined>();
  const sent = new Map<string, string>();
  try {
    const report = await push(({ name }, outcome, storedSha256) => {
      const sha256 = folder.get(name);
      // A generated caption is not in the folder.
      if (outcome !== 'stored' || !sha256) return;
      if (storedSha256 === undefined) sent.set(name, sha256);
      // A file that was stored in another version was changed while it was sent.
      if (storedSha256 === sha256) changes.set(name, sha256);
    });
    const stored = storedHashes(report.dataset);
    const since = storedSince(new Map([...state.sent, ...sent]), stored);
    for (const [name, sha256] of [...commonChanges(state.files, folder, stored), ...since]) {
      const isKnown = sha256 !== undefined || (isWholeFolder && !unusable.has(name));
      if (isKnown && !changes.has(name)) changes.set(name, sha256);
    }
    const sentBefore = report.result.unchanged.filter((name) => folder.get(name) !== plan.sides.stored.get(name));
    const accepted = [...sentBefore.map((name) => [name, folder.get(name) ?? ''] as const), ...sent];
    const pending = new Map(accepted.filter(([name, sha256]) => stored.get(name) !== sha256));
    return laterReport(plan, { ...report, pending }, report.dataset);
  } finally {
    await state.change(changes, sent);
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

/** @throws CommandError with 65 if the dataset has another role than that of the task */
export async function findOrCreate({ client, name, role = 'training', signal }: PushTask): Promise<Dataset> {
  const found = await client.find(name, { signal });
  if (found !== undefined) return found;
  const options = role === 'training' ? { signal } : { signal, role };
  const created = await client.create(name, options).catch(async (error) => {
    // Another client may have created it after `find`.
    const isTaken = error instanceof TrainyardError && error.status === 409;
    const other = isTaken ? await client.find(name, { signal }) : undefined;
    if (other === undefined) throw error;
    return other;
  });
  if ((created.role ?? 'training') !== role) throw wrongRole(created, role);
  return created;
}

/**
 * Removes files that the dataset still has as the plan says, media before captions so that no image lacks its caption in
 * between; then withdraws uploads.
 *
 * @returns the names of removed files and withdrawn uploads, and of files that another client has changed
 */
async function removeFiles(
  { client, signal }: PushTask,
  dataset: Dataset,
  { toRemove, toWithdraw, sides }: PushPlan,
): Promise<{ removed: string[]; changed: string[] }> {
  const isCaption = (filename: string) => Number(filename.toLowerCase().endsWith('.txt'));
  const ordered = toRemove.toSorted((a, b) => isCaption(a) - isCaption(b));
  const tags = Object.fromEntries(ordered.map((name) => [name, `"${sides.dataset.get(name)}"`]));
  const conditions = isConditional(dataset) ? { ifMatch: tags } : {};
  try {
    const files =
      ordered.length === 0 ? [] : await client.bulk.removeFiles(dataset.id, ordered, { ...conditions, signal });
    const uploads = toWithdraw.length === 0 ? [] : await client.bulk.withdraw(dataset.id, toWithdraw, { signal });
    return {
      removed: [...files.filter(({ deleted }) => deleted), ...uploads.filter(({ withdrawn }) => withdrawn)].map(
        ({ filename }) => filename,
      ),
      changed: files.filter(({ deleted, current }) => !deleted && current).map(({ filename }) => filename),
    };
  } catch (error) {
    if (!(error instanceof TrainyardError) || error.status !== 404) throw error;
    const [first = ''] = [...ordered, ...toWithdraw];
    const message = `${printable(first)} can't be removed: this service does not remove single files.`;
    throw new CommandError(EXIT.unavailable, message, { cause: error });
  }
}

/** Waits for READY or FAILED, and shows what it waits for. */
export async function waitFor({ client, display, signal }: PushTask, { id }: Dataset): Promise<DatasetWithFiles> {
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
  const request = { method, redirect: 'manual', ...(signal && { signal }) } as const;
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
