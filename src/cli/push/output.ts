import type { DatasetWithFiles, PushResult } from '../../client/client.js';
import { firstLines, kindsOf, problemLines, problemsBeside, reportDocument } from '../folder/report.js';
import { EXIT, endingOf, errorDocument } from '../terminal/exit-codes.js';
import { withOwnCommand } from '../terminal/own-command.js';
import { type Painter, painterOf, print } from '../terminal/print.js';
import { counted, printable } from '../terminal/text.js';
import { type Conflict, conflictDocument, readConflicts } from '../sync/conflicts.js';
import { keptDocument, keptLines, namesOf, type SyncDirection } from '../sync/report.js';
import type { PushPlan } from './plan.js';
import type { PreparedPush, PushTask } from './prepare.js';
import type { PushReport } from './push-report.js';

/** The codes of the warnings that only the service can give. */
const PRINTED_WARNINGS = ['NOT_FULLY_CHECKED', 'REPLACEMENT_REJECTED'];

/** Lists problems, files left out, and generated captions. */
export function planLines({ report, leftOut, generated }: PushPlan, paint: Painter): string[] {
  const left = leftOut.map(({ message }) => paint('yellow', `- Left out: ${printable(message)}`));
  const captions = `${counted(generated.length, 'caption')} generated: ${namesOf(generated)}.`;
  return [
    ...problemLines(report, paint),
    ...firstLines(left, 'file left out', 'files left out'),
    ...(generated.length > 0 ? [captions] : []),
  ];
}

/** Prints which files stay in the dataset as they are, and why. */
export function printKept({ sync }: PushPlan, direction: SyncDirection): void {
  const paint = painterOf(process.stdout);
  for (const line of keptLines(sync.kept, direction)) print(paint('yellow', line));
}

/** Prints the result of a push and the dataset's status. */
export function printPushReport({ report }: PushPlan, { dataset, result, removed }: PushReport): void {
  const paint = painterOf(process.stdout);
  const sent = result.stored.length === 0 ? 'Sent nothing' : `Sent ${kindsOf(result.stored)}`;
  const unchanged = result.unchanged.length === 0 ? '' : `, ${counted(result.unchanged.length, 'file')} unchanged`;
  const gone = removed.length === 0 ? '' : `, ${counted(removed.length, 'file')} removed`;
  print(`${sent} to "${printable(dataset.name)}"${unchanged}${gone}.`);
  for (const line of failureLines(result, paint)) print(line);
  const unreadable = report.unreadable.length;
  if (unreadable > 0) print(paint('red', `${counted(unreadable, 'file')} could not be read.`));
  const failed = new Set(result.failed.map(({ name }) => name));
  const warnings = (dataset.warnings ?? [])
    .filter(({ code, filename = '' }) => PRINTED_WARNINGS.includes(code) && !failed.has(filename))
    .map(({ message }) => paint('yellow', `! ${printable(message)}`));
  for (const line of firstLines(warnings, 'warning')) print(line);
  for (const line of statusLines(dataset, paint)) print(line);
}

/** Lists the files that were not sent, and those that the service rejected after its answer. */
export function failureLines({ failed }: PushResult, paint: Painter): string[] {
  const lines = failed.map(({ name, error }) => paint('red', `✗ ${failureOf(name, error)}`));
  return firstLines(lines, 'file not sent', 'files not sent');
}

/** `READY` with its digest, or `FAILED` with each problem: with a single one in the same line. */
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

function failureOf(name: string, error: Error): string {
  const { message } = endingOf(error);
  const line = (message.split('\n')[0] ?? '').replace(/^Error: /, '');
  return line.startsWith(printable(name)) ? line : `${printable(name)}: ${line}`;
}

/** Both versions of files in conflict. @param dataset the dataset as it is now */
export function conflictsOf(
  { client, signal }: PushTask,
  { local, dataset }: Pick<PreparedPush, 'local' | 'dataset'>,
  names: readonly string[],
): Promise<Conflict[]> {
  const files = new Map(
    (dataset?.files ?? []).map(({ filename, size_bytes }) => [filename, { sizeBytes: size_bytes }]),
  );
  return readConflicts(names, { folder: local, dataset: files, client, datasetId: dataset?.id ?? '', signal });
}

/**
 * 73 after conflicts; otherwise 1 if the dataset is FAILED; otherwise the code of the first file that could not be sent or read;
 * otherwise 65 if all files were left out, and the dataset has none; otherwise 0.
 */
export function pushExitCode({ report }: PushPlan, { dataset, result, conflicts }: PushReport): number {
  if (conflicts.length > 0) return EXIT.cannotCreate;
  if (dataset.status === 'FAILED') return EXIT.notFit;
  const [first] = result.failed;
  if (first !== undefined) {
    const { code } = endingOf(first.error);
    return code === EXIT.software ? EXIT.ioError : code;
  }
  if (report.unreadable.length > 0) return EXIT.ioError;
  return dataset.status === 'DRAFT' ? EXIT.dataError : 0;
}

/** The result of a push for `--json`. */
export function pushDocument(
  plan: PushPlan,
  { dataset, result, removed, conflicts }: PushReport,
  direction: SyncDirection,
): Record<string, unknown> {
  const { files: _, ...summary } = dataset;
  const { warnings, skipped, unreadable } = reportDocument(plan.report);
  return {
    dataset: summary,
    // They were stored in any order.
    sent: [...result.stored].sort(),
    unchanged: result.unchanged,
    removed,
    kept: keptDocument(plan.sync.kept, direction),
    conflicts: conflicts.map((name) => conflictDocument(name, plan.sides)),
    failed: result.failed.map(({ name, error }) => ({
      filename: name,
      ...errorDocument(error),
      message: failureOf(name, error),
    })),
    made_up: plan.generated,
    left_out: plan.leftOut,
    warnings,
    skipped,
    unreadable,
  };
}
