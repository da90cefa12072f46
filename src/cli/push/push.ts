import {
  type Finding,
  firstLines,
  kindsOf,
  localAdvice,
  problemLines,
  problemsBeside,
  reportDocument,
  totalsOf,
} from '../folder/report.js';
import {
  type PushPlan,
  type PushTask,
  type PushTools,
  findOrCreate,
  isConditional,
  planOf,
  preparePush,
  storedHashes,
} from './plan.js';
import { explainMissingRoute } from '../remote.js';
import { type CommonState, changeState, readState } from '../sync/common-state.js';
import { type Hashes, commonChanges, settledBy, storedSince } from '../sync/compare.js';
import {
  type Conflict,
  askAboutConflicts,
  conflictDocument,
  keptDocument,
  keptLines,
  namesOf,
  printConflicts,
  readConflicts,
} from '../sync/report.js';
import { withLockedFolders } from '../sync/lock-folders.js';
import { CommandError, EXIT, endingOf, errorDocument } from '../terminal/exit-codes.js';
import { type Painter, painterOf, print, printJson, problemLine, withOwnCommand } from '../terminal/print.js';
import { counted, formatBytes, printable } from '../terminal/text.js';
import { percent, transferLine } from '../terminal/progress.js';
import { canAsk } from '../terminal/prompts.js';
import {
  type Dataset,
  type DatasetWithFiles,
  type PushProgress,
  type PushResult,
  type SendBody,
  TrainyardError,
} from '../../client/client.js';
import { mediaTypeOf } from '../../dataset/media.js';

/** What a command adds to a push. */
interface PushAdditions {
  /** Printed with the plan. */
  readonly lines?: readonly string[];
  /** Fields for `--json`. */
  readonly document: (plan: PushPlan) => Record<string, unknown>;
  /** Throws if the plan is not to be carried out. */
  readonly agree?: (plan: PushPlan) => Promise<void>;
  readonly finish?: (report: PushReport) => Promise<void>;
}

/** Shows the plan of a push, carries it out unless it is a dry run, and prints the result. @throws CommandError */
export async function pushOnce(task: PushTask, { lines = [], document, agree, finish }: PushAdditions): Promise<void> {
  const { json, dryRun } = task.flags;
  const planOnce = async () => {
    const plan = await preparePush(task);
    if (!json) {
      print(totalsOf(plan.inspection.inspected.map(({ file }) => file)));
      for (const line of [...lines, ...planLines(plan, painterOf(process.stdout))]) print(line);
    }
    requireNoBlockers(plan.blockers);
    return plan;
  };
  if (dryRun) {
    const plan = await planOnce();
    process.exitCode = dryRunExitCode(plan);
    return json ? printJson({ ...document(plan), ...dryRunDocument(plan) }) : printDryRun(plan);
  }
  const sent = await withLockedFolders(task.pair.folders, task, async () => {
    const plan = await planOnce();
    await agree?.(plan);
    const decided = await withDecisions(plan);
    requireNoBlockers(decided.blockers);
    const report = await runPush(decided);
    await finish?.(report);
    return report;
  });
  const { reports } = await waitForEnd([sent], { task, dataset: sent.dataset });
  const report = reports[0]!;
  process.exitCode = pushExitCode(report);
  if (json) printJson({ ...document(report.plan), ...pushDocument(report) });
  else await printEnded(report);
}

/** Smaller bodies are sent whole, which is faster; their progress is not counted. */
const MIN_COUNTED_BYTES = 1024 * 1024;

const MAX_FILES_SHOWN = 8;

export interface PushReport {
  readonly plan: PushPlan;
  readonly dataset: DatasetWithFiles;
  /** Without the files that are in conflict. */
  readonly result: PushResult;
  readonly removed: readonly string[];
  /** Left alone because both sides have changed them, some perhaps during the push. */
  readonly conflicts: readonly string[];
  /** Sent, now or earlier, and not yet accepted: the service still checks them, or has yet to find them in its bucket. */
  readonly pending: Hashes;
}

export async function runPush(plan: PushPlan): Promise<PushReport> {
  const { task } = plan;
  let progress: FileCounts = { totalFiles: plan.files.length, finishedFiles: 0, failedFiles: 0 };
  const accepted = { sent: new Map<string, string>(), stored: new Map<string, string>() };
  try {
    const dataset = await findOrCreate(task);
    const pair = { ...task.pair, datasetId: dataset.id };
    try {
      const report = await transfer(plan, dataset, accepted, (now) => {
        progress = now;
      });
      if (!isConditional(dataset)) return report;
      const { sent, stored } = accepted;
      const common = commonNow(report, await readState(pair), sent);
      const decided = settledBy(plan.sync, plan.sides.folder, plan.sides.dataset);
      await changeState(pair, new Map([...common, ...stored]), { sent, settled: decided });
      return settled(report, report.dataset);
    } catch (error) {
      // An interrupted push remembers what it has sent.
      if (isConditional(dataset)) await changeState(pair, accepted.stored, { sent: accepted.sent });
      throw error;
    }
  } catch (error) {
    throw withAdvice(error, progress, task.name);
  } finally {
    task.display.clear();
  }
}

type FileCounts = Pick<PushProgress, 'totalFiles' | 'finishedFiles' | 'failedFiles'>;

function commonNow({ plan: { sides, unusable, task }, dataset }: PushReport, state: CommonState, sent: Hashes) {
  const now = storedHashes(dataset);
  // For files that were not named or can't be read, a removal from the folder is unknown.
  const known = [...commonChanges(state.files, sides.folder, now)].filter(
    ([name, sha256]) => sha256 !== undefined || (task.isWholeFolder && !unusable.has(name)),
  );
  return new Map([...known, ...storedSince(new Map([...state.sent, ...sent]), now)]);
}

/** Fills `stored` with confirmed versions, and `sent` with those that may still be rejected. */
async function transfer(
  plan: PushPlan,
  dataset: Dataset,
  { sent, stored }: Record<'sent' | 'stored', Map<string, string>>,
  onProgress: (progress: PushProgress) => void,
): Promise<PushReport> {
  const { client, signal, display, flags } = plan.task;
  const superseded = supersededBy(plan);
  if (superseded.length > 0) await client.bulk.withdraw(dataset.id, superseded, { signal });
  const discards = new Map(plan.files.flatMap(({ name, discard }) => (discard ? [[name, discard] as const] : [])));
  let start: { ms: number; bytes: number } | undefined;
  const { failed, ...rest } = await client.push(dataset, plan.files, {
    onProgress: (progress) => {
      onProgress(progress);
      const now = { ms: Date.now(), bytes: progress.acknowledgedBytes };
      if (progress.inFlight.length > 0) start ??= now;
      display.update(() => pushLines(progress, start ?? now));
    },
    onFileFinished: ({ name }, outcome, storedSha256) => {
      void discards
        .get(name)?.()
        .catch(() => {});
      const sha256 = plan.sides.folder.get(name);
      if (outcome !== 'stored' || !sha256) return;
      if (storedSha256 === undefined) sent.set(name, sha256);
      // A different version was changed while it was sent.
      if (storedSha256 === sha256) stored.set(name, sha256);
    },
    ifMatch: isConditional(dataset) ? etagsFor(plan) : undefined,
    signal,
    send: sendCounted,
    ...(flags.concurrency !== undefined && { concurrency: flags.concurrency }),
  });
  // Another client has changed the file since the dataset was read.
  const isConflict = ({ error }: { error: Error }) => error instanceof TrainyardError && error.status === 412;
  const changed = failed.filter(isConflict).map(({ name }) => name);
  const result = { ...rest, failed: failed.filter((file) => !isConflict(file)) };
  const isComplete = result.failed.length === 0;
  const nothing = { removed: [], changed: [] };
  const removal = isComplete ? await removeFiles(plan, dataset).catch(explainMissingRoute) : nothing;
  display.clear();
  const conflicts = [...new Set([...plan.sync.conflict, ...changed, ...removal.changed])].sort();
  const before = storedHashes(plan.dataset);
  const unchanged = result.unchanged.map((name) => [name, plan.sides.folder.get(name) ?? ''] as const);
  // Also the files that an earlier push, or another client, has sent in the same version.
  const earlier = unchanged.filter(([name, sha256]) => sha256 && before.get(name) !== sha256);
  const pending = new Map(isConditional(dataset) ? [...earlier, ...sent] : []);
  const now = await client.status(dataset.id, { signal });
  return { plan, dataset: now, result, removed: removal.removed, conflicts, pending };
}

/** Unfinished versions of an earlier push, whose arrival would break the newer version's condition. */
function supersededBy({ dataset, sides, toSend }: PushPlan): string[] {
  const checking = new Map(dataset?.checking?.map(({ filename, sha256 }) => [filename, sha256]));
  return toSend.filter((name) => checking.has(name) && checking.get(name) === sides.common.get(name));
}

/** By name, the ETag that the dataset had for a file that is sent; null for a new one. */
function etagsFor({ files, dataset }: PushPlan): Record<string, string | null> {
  const stored = [...(dataset?.files ?? []), ...(dataset?.damaged ?? [])];
  const etags = new Map(stored.map(({ filename, sha256 }) => [filename, `"${sha256}"`]));
  return Object.fromEntries(files.map(({ name }) => [name, etags.get(name) ?? null]));
}

/** Removes media before their captions, so that no image lacks its caption in between; then withdraws uploads. */
async function removeFiles({ task, toRemove, toWithdraw, sides }: PushPlan, dataset: Dataset) {
  const { client, signal } = task;
  const isCaption = (filename: string) => Number(mediaTypeOf(filename)?.kind === 'caption');
  const ordered = toRemove.toSorted((a, b) => isCaption(a) - isCaption(b));
  const ifMatch = Object.fromEntries(ordered.map((name) => [name, `"${sides.dataset.get(name)}"`]));
  const options = isConditional(dataset) ? { ifMatch, signal } : { signal };
  const files = ordered.length === 0 ? [] : await client.bulk.removeFiles(dataset.id, ordered, options);
  const uploads = toWithdraw.length === 0 ? [] : await client.bulk.withdraw(dataset.id, toWithdraw, { signal });
  const gone = [...files.filter(({ deleted }) => deleted), ...uploads.filter(({ withdrawn }) => withdrawn)];
  return {
    removed: gone.map(({ filename }) => filename),
    changed: files.filter(({ deleted, current }) => !deleted && current).map(({ filename }) => filename),
  };
}

/** Waits until the dataset is READY or FAILED, if the command waits and all files were sent. Without files it would stay DRAFT. */
export async function waitForEnd(
  reports: readonly PushReport[],
  { task, dataset }: { task: PushTools & Pick<PushTask, 'flags'>; dataset: DatasetWithFiles },
): Promise<{ latest: DatasetWithFiles; reports: PushReport[] }> {
  const { client, signal } = task;
  const isComplete = reports.every(({ result }) => result.failed.length === 0);
  const waits = task.flags.wait && isComplete && dataset.status === 'UPLOADING';
  try {
    const latest = waits ? await waitFor(task, dataset) : dataset;
    const ended: PushReport[] = [];
    for (const report of reports) {
      const { id, status } = report.dataset;
      const refresh = () => (status === 'UPLOADING' ? client.status(id, { signal }) : report.dataset);
      ended.push(await endedReport(report, id === latest.id ? latest : await refresh()));
    }
    return { latest, reports: ended };
  } catch (error) {
    const countAll = (count: (report: PushReport) => number) => reports.reduce((sum, each) => sum + count(each), 0);
    const totalFiles = countAll(({ plan }) => plan.files.length);
    const finishedFiles = countAll(({ result }) => result.stored.length + result.unchanged.length);
    throw withAdvice(error, { totalFiles, finishedFiles, failedFiles: 0 }, dataset.name);
  } finally {
    task.display.clear();
  }
}

async function waitFor({ client, display, signal }: PushTools, { id }: Dataset): Promise<DatasetWithFiles> {
  const onStatus = ({ status, counts }: DatasetWithFiles) => {
    const { pending = 0, checking = 0 } = counts ?? {};
    const uploads = pending === 0 ? '' : `; ${counted(pending, 'upload')} pending`;
    const checks = checking === 0 ? '' : `; ${counted(checking, 'file')} being checked`;
    display.update(() => [`${status}, waiting for READY${uploads}${checks}`]);
  };
  return client.waitUntilReady(id, { signal, onStatus });
}

/** Updates the report after the wait, and remembers which pending files are stored. */
export async function endedReport(report: PushReport, dataset: DatasetWithFiles): Promise<PushReport> {
  if (dataset === report.dataset) return report;
  const { task } = report.plan;
  if (report.pending.size > 0) {
    await withLockedFolders(task.pair.folders, task, async () => {
      const pair = { ...task.pair, datasetId: dataset.id };
      await changeState(pair, storedSince((await readState(pair)).sent, storedHashes(dataset)));
    }).catch((error) => {
      // Nothing is remembered of a folder that was removed during the wait.
      if (!(error instanceof CommandError) || error.exitCode !== EXIT.noInput) throw error;
    });
  }
  return settled(report, dataset);
}

/** Decides pending files once the dataset has no uploads: stored, rejected or in conflict. */
function settled(report: PushReport, dataset: DatasetWithFiles): PushReport {
  const { plan, result } = report;
  const stored = storedHashes(dataset);
  const pending = new Map([...report.pending].filter(([name, sha256]) => stored.get(name) !== sha256));
  if (pending.size === 0 || dataset.status === 'UPLOADING') return { ...report, dataset, pending };
  const before = storedHashes(plan.dataset);
  const isChanged = (name: string) => stored.get(name) !== before.get(name);
  const lost = [...pending.keys()];
  const reasons = rejectionsIn(dataset);
  const rejected = lost
    .filter((name) => !isChanged(name))
    .map((name) => {
      const reason = reasons.get(name) ?? `${name} was sent, and the dataset does not have it.`;
      return { name, error: new CommandError(EXIT.dataError, printable(reason)) };
    });
  return {
    ...report,
    dataset,
    result: {
      stored: result.stored.filter((name) => !pending.has(name)),
      unchanged: result.unchanged.filter((name) => !pending.has(name)),
      failed: [...result.failed, ...rejected],
    },
    conflicts: [...new Set([...report.conflicts, ...lost.filter(isChanged)])].sort(),
    pending: new Map(),
  };
}

function rejectionsIn({ files, error }: DatasetWithFiles): Map<string | undefined, string> {
  const warnings = files.flatMap((file) => file.warnings ?? []).filter(({ code }) => code === 'REPLACEMENT_REJECTED');
  return new Map([...warnings, ...(error?.problems ?? [])].map(({ filename, message }) => [filename, message]));
}

/** Adds to a temporary failure what was sent, and the advice to run the same command again. */
function withAdvice(error: unknown, { totalFiles, finishedFiles, failedFiles }: FileCounts, name: string): unknown {
  const { code, message } = endingOf(error);
  const isTemporary = code === EXIT.interrupted || code === EXIT.unavailable || code === EXIT.temporaryFailure;
  if (!isTemporary || error instanceof CommandError) return error;
  const sent = finishedFiles - failedFiles;
  const advice =
    sent > 0 && sent === totalFiles
      ? `All files are in "${name}". Run the same command again to wait for READY.`
      : `${sent.toLocaleString('en')} of ${counted(totalFiles, 'file')} ${sent === 1 ? 'is' : 'are'} in "${name}". Run the same command again to send the rest.`;
  return new CommandError(code, `${message.replace(/\.?$/, '.')} ${advice}`, { cause: error });
}

/** A bar for the acknowledged bytes, and the files in flight. @param start when sending began, and the bytes until then */
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

/** Counts the bytes sent, which `fetch` does not report. */
const sendCounted: SendBody = async ({ upload_url, method, headers }, body, { signal, onSent }) => {
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
    // The service requires a length. Node does not know a stream's, but sends this header as it is.
    headers: { ...headers, 'content-length': String(body.size) },
    body: body.stream().pipeThrough(counter),
    duplex: 'half',
  });
};

/** The codes of the warnings that only the service can give. */
const PRINTED_WARNINGS = ['NOT_FULLY_CHECKED', 'REPLACEMENT_REJECTED'];

export function planLines({ report, leftOut, generated }: PushPlan, paint: Painter): string[] {
  const left = leftOut.map(({ message }) =>
    paint('yellow', `- Left out: ${printable(withOwnCommand(localAdvice(message)))}`),
  );
  const captions = `${counted(generated.length, 'caption')} generated: ${namesOf(generated)}.`;
  return [
    ...problemLines(report, paint),
    ...firstLines(left, 'file left out', 'files left out'),
    ...(generated.length > 0 ? [captions] : []),
  ];
}

/** @throws CommandError with 65, which says why nothing is sent and which options help */
export function requireNoBlockers(
  problems: readonly Finding[],
  { skipBad, unpaired = 0 }: { skipBad?: true | undefined; unpaired?: number } = {},
): void {
  if (problems.length === 0) return;
  const uncaptioned = problems.filter(({ code }) => code === 'MISSING_CAPTION').length;
  const advice =
    'Generate captions with --trigger WORD or --caption-all TEXT, or send them without captions with --allow-uncaptioned.';
  const others = unpaired > 0 ? ', and targets without an intact pair,' : '';
  const lines = [
    `nothing was sent: ${counted(problems.length, 'error')} would keep the dataset from being READY.`,
    uncaptioned > 0 && `${counted(uncaptioned, 'file has', 'files have')} no caption. ${advice}`,
    !skipBad &&
      (unpaired > 0 || problems.some(({ filename }) => filename !== undefined)) &&
      `To leave out the files named above${others} and send the others, add --skip-bad.`,
    unpaired > 0 && 'To send targets without their pairs, and add what is missing later, add --allow-unpaired.',
  ];
  throw new CommandError(EXIT.dataError, lines.filter(Boolean).join('\n'), { details: { problems } });
}

/** The plan with the winners that a person chooses for conflicts; none are chosen without a terminal, or with `--json`. */
export async function withDecisions(plan: PushPlan): Promise<PushPlan> {
  const { flags, signal } = plan.task;
  if (flags.json || !canAsk()) return plan;
  const decisions = await askAboutConflicts(await conflictsOf(plan), { source: 'folder' }, signal);
  return decisions.size === 0 ? plan : planOf({ ...plan, decisions });
}

/** Both versions of the files in conflict. @param dataset its present state */
export function conflictsOf(
  { task: { client, signal }, report, sync, dataset: before }: PushPlan,
  names: readonly string[] = sync.conflict,
  dataset: DatasetWithFiles | undefined = before,
): Promise<Conflict[]> {
  const folder = new Map(report.inspected.map(({ file }) => [file.filename, file]));
  const files = new Map(
    (dataset?.files ?? []).map(({ filename, size_bytes }) => [filename, { sizeBytes: size_bytes }]),
  );
  return readConflicts(names, { folder, dataset: files, client, datasetId: dataset?.id ?? '', signal });
}

export async function printDryRun(plan: PushPlan): Promise<void> {
  const { task, dataset, toSend } = plan;
  const { unchanged, send_bytes: bytes, remove } = dryRunDocument(plan);
  const target = dataset === undefined ? `a new dataset "${task.name}"` : `"${task.name}"`;
  const rest = unchanged === 0 ? '' : `; ${counted(unchanged, 'file is', 'files are')} unchanged`;
  print(`Would send ${counted(toSend.length, 'file')}, ${formatBytes(bytes)}, to ${target}${rest}.`);
  if (remove.length > 0) print(`Would remove ${counted(remove.length, 'file')}: ${namesOf(remove)}.`);
  await printLeftAlone(plan);
}

export function dryRunDocument({ task, dataset, files, sync, sides, toSend, toRemove, toWithdraw }: PushPlan) {
  const sent = new Set(toSend);
  return {
    dry_run: true,
    name: task.name,
    exists: dataset !== undefined,
    send: toSend,
    send_bytes: files.reduce((sum, { name, size }) => sum + (sent.has(name) ? size : 0), 0),
    unchanged: files.length - toSend.length,
    remove: [...toRemove, ...toWithdraw],
    kept: keptDocument(sync, task.directionTo(dataset ?? { id: '', name: task.name })),
    conflicts: sync.conflict.map((filename) => conflictDocument(filename, sides)),
  };
}

export function dryRunExitCode({ sync }: PushPlan): number {
  return sync.conflict.length > 0 ? EXIT.cannotCreate : 0;
}

export async function printEnded(report: PushReport): Promise<void> {
  printPushReport(report);
  await printLeftAlone(report.plan, report);
}

async function printLeftAlone(plan: PushPlan, report?: PushReport): Promise<void> {
  const { task, dataset = report?.dataset } = plan;
  const paint = painterOf(process.stdout);
  const direction = task.directionTo(dataset ?? { id: '', name: task.name });
  for (const line of keptLines(plan.sync, direction)) print(paint('yellow', line));
  printConflicts(await conflictsOf(plan, report?.conflicts, report?.dataset));
}

export function printPushReport({ plan, dataset, result, removed }: PushReport): void {
  const paint = painterOf(process.stdout);
  const sent = result.stored.length === 0 ? 'Sent nothing' : `Sent ${kindsOf(result.stored)}`;
  const unchanged = result.unchanged.length === 0 ? '' : `, ${counted(result.unchanged.length, 'file')} unchanged`;
  const gone = removed.length === 0 ? '' : `, ${counted(removed.length, 'file')} removed`;
  print(`${sent} to "${printable(dataset.name)}"${unchanged}${gone}.`);
  const failures = result.failed.map((failure) => problemLine(paint, '✗', localAdvice(failureText(failure))));
  for (const line of firstLines(failures, 'file not sent', 'files not sent')) print(line);
  const unreadable = plan.report.unreadable.length;
  if (unreadable > 0) print(paint('red', `${counted(unreadable, 'file')} could not be read.`));
  const failed = new Set(result.failed.map(({ name }) => name));
  const warnings = (dataset.warnings ?? [])
    .filter(({ code, filename = '' }) => PRINTED_WARNINGS.includes(code) && !failed.has(filename))
    .map(({ message }) => problemLine(paint, '!', localAdvice(message)));
  for (const line of firstLines(warnings, 'warning')) print(line);
  for (const line of statusLines(dataset, paint)) print(localAdvice(line));
}

/** `READY` with its digest, or `FAILED` with each problem; a single one is in the same line. */
export function statusLines(dataset: DatasetWithFiles, paint: Painter): string[] {
  const { status, digest, error } = dataset;
  if (status === 'READY') return [`${paint('green', 'READY')}${digest === undefined ? '' : `  digest ${digest}`}`];
  if (status !== 'FAILED') return [paint('yellow', status)];
  const { message: sentence = '', problems = [] } = error ?? {};
  const lines = problemsBeside(sentence, problems).map(({ message }) => problemLine(paint, '✗', message));
  return [`${paint('red', 'FAILED')}  ${printable(withOwnCommand(sentence))}`, ...firstLines(lines, 'problem')];
}

function failureText({ name, error }: PushResult['failed'][number]): string {
  const { message } = endingOf(error);
  const line = (message.split('\n')[0] ?? '').replace(/^Error: /, '');
  return line.startsWith(printable(name)) ? line : `${printable(name)}: ${line}`;
}

/** The most severe result decides: conflicts, FAILED, files that failed, and last a dataset that stays without files. */
export function pushExitCode({ plan, dataset, result, conflicts }: PushReport): number {
  if (conflicts.length > 0) return EXIT.cannotCreate;
  if (dataset.status === 'FAILED') return EXIT.notFit;
  const [first] = result.failed;
  if (first !== undefined) {
    const { code } = endingOf(first.error);
    return code === EXIT.software ? EXIT.ioError : code;
  }
  if (plan.report.unreadable.length > 0) return EXIT.ioError;
  return dataset.status === 'DRAFT' ? EXIT.dataError : 0;
}

export function pushDocument({ plan, dataset, result, removed, conflicts }: PushReport): Record<string, unknown> {
  const { files: _, ...summary } = dataset;
  const { warnings, skipped, unreadable } = reportDocument(plan.report);
  return {
    dataset: summary,
    sent: [...result.stored].sort(),
    unchanged: result.unchanged,
    removed,
    kept: keptDocument(plan.sync, plan.task.directionTo(dataset)),
    conflicts: conflicts.map((name) => conflictDocument(name, plan.sides)),
    failed: result.failed.map((failure) => ({
      filename: failure.name,
      ...errorDocument(failure.error),
      message: failureText(failure),
    })),
    made_up: plan.generated,
    left_out: plan.leftOut,
    warnings,
    skipped,
    unreadable,
  };
}
