import type { DatasetWithFiles, PushResult } from '../../client/client.js';
import { firstLines, kindsOf, problemLines, problemsBeside, reportDocument } from '../folder/report.js';
import {
  askAboutConflicts,
  type Conflict,
  conflictDocument,
  printConflicts,
  readConflicts,
} from '../sync/conflicts.js';
import type { Decisions } from '../sync/compare.js';
import { keptDocument, keptLines, namesOf } from '../sync/report.js';
import { CommandError, EXIT, endingOf, errorDocument } from '../terminal/exit-codes.js';
import { withOwnCommand } from '../terminal/own-command.js';
import { type Painter, painterOf, print } from '../terminal/print.js';
import { canAsk } from '../terminal/prompts.js';
import { counted, formatBytes, printable } from '../terminal/text.js';
import type { PushPlan } from './plan.js';
import type { PushReport } from './run.js';

/** The codes of the warnings that only the service can give. */
const PRINTED_WARNINGS = ['NOT_FULLY_CHECKED', 'REPLACEMENT_REJECTED'];

export function planLines({ report, leftOut, generated }: PushPlan, paint: Painter): string[] {
  const left = leftOut.map(({ message }) => paint('yellow', `- Left out: ${printable(message)}`));
  const captions = `${counted(generated.length, 'caption')} generated: ${namesOf(generated)}.`;
  return [
    ...problemLines(report, paint),
    ...firstLines(left, 'file left out', 'files left out'),
    ...(generated.length > 0 ? [captions] : []),
  ];
}

/** @throws CommandError with 65, which says why nothing is sent and which options help */
export function unblocked(plan: PushPlan): PushPlan {
  const { blockers } = plan;
  if (blockers.length === 0) return plan;
  const uncaptioned = blockers.filter(({ code }) => code === 'MISSING_CAPTION').length;
  const advice =
    'Generate captions with --trigger WORD or --caption-all TEXT, or send them without captions with --allow-uncaptioned.';
  const lines = [
    `nothing was sent: ${counted(blockers.length, 'error')} would keep the dataset from being READY.`,
    ...(uncaptioned > 0 ? [`${counted(uncaptioned, 'file has', 'files have')} no caption. ${advice}`] : []),
    ...(blockers.some(({ filename }) => filename !== undefined)
      ? ['To leave out the files named above and send the others, add --skip-bad.']
      : []),
  ];
  throw new CommandError(EXIT.dataError, lines.join('\n'), { details: { problems: blockers } });
}

/** The winners that a person chooses for conflicts; none without a terminal, or with `--json`. */
export async function askedDecisions(plan: PushPlan): Promise<Decisions> {
  if (plan.task.flags.json || !canAsk()) return new Map();
  const decisions = await askAboutConflicts(await conflictsOf(plan), plan.task.signal);
  return new Map([...decisions].map(([name, side]) => [name, side === 'ours' ? 'source' : 'target']));
}

/** Both versions of the files in conflict. @param dataset its present state */
export function conflictsOf(
  { task: { client, signal }, report, sync, dataset: before }: PushPlan,
  names: readonly string[] = sync.conflicts,
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
    kept: keptDocument(sync.kept, task.directionTo(dataset ?? { id: '', name: task.name })),
    conflicts: sync.conflicts.map((filename) => conflictDocument(filename, sides)),
  };
}

export function dryRunExitCode({ sync }: PushPlan): number {
  return sync.conflicts.length > 0 ? EXIT.cannotCreate : 0;
}

export async function printEnded(report: PushReport): Promise<void> {
  printPushReport(report);
  await printLeftAlone(report.plan, report);
}

async function printLeftAlone(plan: PushPlan, report?: PushReport): Promise<void> {
  const { task, dataset = report?.dataset } = plan;
  const paint = painterOf(process.stdout);
  const direction = task.directionTo(dataset ?? { id: '', name: task.name });
  for (const line of keptLines(plan.sync.kept, direction)) print(paint('yellow', line));
  printConflicts(await conflictsOf(plan, report?.conflicts, report?.dataset));
}

export function printPushReport({ plan, dataset, result, removed }: PushReport): void {
  const paint = painterOf(process.stdout);
  const sent = result.stored.length === 0 ? 'Sent nothing' : `Sent ${kindsOf(result.stored)}`;
  const unchanged = result.unchanged.length === 0 ? '' : `, ${counted(result.unchanged.length, 'file')} unchanged`;
  const gone = removed.length === 0 ? '' : `, ${counted(removed.length, 'file')} removed`;
  print(`${sent} to "${printable(dataset.name)}"${unchanged}${gone}.`);
  const failures = result.failed.map((failure) => paint('red', `✗ ${failureText(failure)}`));
  for (const line of firstLines(failures, 'file not sent', 'files not sent')) print(line);
  const unreadable = plan.report.unreadable.length;
  if (unreadable > 0) print(paint('red', `${counted(unreadable, 'file')} could not be read.`));
  const failed = new Set(result.failed.map(({ name }) => name));
  const warnings = (dataset.warnings ?? [])
    .filter(({ code, filename = '' }) => PRINTED_WARNINGS.includes(code) && !failed.has(filename))
    .map(({ message }) => paint('yellow', `! ${printable(message)}`));
  for (const line of firstLines(warnings, 'warning')) print(line);
  for (const line of statusLines(dataset, paint)) print(line);
}

/** `READY` with its digest, or `FAILED` with each problem; a single one is in the same line. */
export function statusLines(dataset: DatasetWithFiles, paint: Painter): string[] {
  const { status, digest, error } = dataset;
  if (status === 'READY') return [`${paint('green', 'READY')}${digest === undefined ? '' : `  digest ${digest}`}`];
  if (status !== 'FAILED') return [paint('yellow', status)];
  const { message: sentence = '', problems = [] } = error ?? {};
  const lines = problemsBeside(sentence, problems).map(({ message }) =>
    paint('red', `✗ ${printable(withOwnCommand(message))}`),
  );
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
    kept: keptDocument(plan.sync.kept, plan.task.directionTo(dataset)),
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
