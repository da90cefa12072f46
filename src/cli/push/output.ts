import type { DatasetWithFiles } from '../../client/client.js';
import { few, kindsOf, problemLines, reportDocument } from '../folder/report.js';
import { EXIT, endingOf, errorDocument } from '../terminal/exit-codes.js';
import { counted, painterOf, print, shown } from '../terminal/terminal.js';
import type { PushPlan } from './plan.js';
import type { PushReport } from './run.js';

/** What was found before anything is sent, what is left out because of it, and what is made up. */
export function planLines(
  { report, leftOut, generated: madeUp }: PushPlan,
  paint: ReturnType<typeof painterOf>,
): string[] {
  const left = leftOut.map(({ message }) => paint('yellow', `- Left out: ${shown(message)}`));
  const captions = `${counted(madeUp.length, 'caption')} made up: ${namesOf(madeUp)}.`;
  return [
    ...problemLines(report, paint),
    ...few(left, 'file left out', 'files left out'),
    ...(madeUp.length > 0 ? [captions] : []),
  ];
}

/** Says what was done, and how the dataset is now. */
export function printPushReport({ report }: PushPlan, { dataset, result, removed }: PushReport): void {
  const paint = painterOf(process.stdout);
  const rest = result.unchanged.length === 0 ? '' : `, ${counted(result.unchanged.length, 'file')} already there`;
  const gone = removed.length === 0 ? '' : `, ${counted(removed.length, 'file')} removed`;
  const sent = result.stored.length === 0 ? 'Sent nothing' : `Sent ${kindsOf(result.stored)}`;
  print(`${sent} to "${dataset.name}"${rest}${gone}.`);
  const failed = result.failed.map(({ name, error }) => paint('red', `✗ ${failureOf(name, error)}`));
  for (const line of few(failed, 'file not sent', 'files not sent')) print(line);
  if (report.unreadable.length > 0)
    print(paint('red', `${counted(report.unreadable.length, 'file')} could not be read.`));
  for (const line of statusLines(dataset, paint)) print(line);
}

/** `READY` with its digest, or `FAILED` with each problem. */
export function statusLines(dataset: DatasetWithFiles, paint: ReturnType<typeof painterOf>): string[] {
  const { status, digest, error } = dataset;
  if (status === 'READY') return [`${paint('green', 'READY')}${digest === undefined ? '' : `  digest ${digest}`}`];
  if (status !== 'FAILED') return [paint('yellow', status)];
  const problems = (error?.problems ?? []).map(({ message }) => paint('red', `✗ ${shown(message)}`));
  return [`${paint('red', 'FAILED')}  ${shown(error?.message ?? '')}`, ...few(problems, 'problem')];
}

function failureOf(name: string, error: Error): string {
  const { message } = endingOf(error);
  const line = (message.split('\n')[0] ?? '').replace(/^Error: /, '');
  return line.startsWith(shown(name)) ? line : `${shown(name)}: ${line}`;
}

/** 1 for FAILED; else what the first file that could not be sent says. */
export function exitCodeOf({ report }: PushPlan, { dataset, result }: PushReport): number {
  if (dataset.status === 'FAILED') return EXIT.notFit;
  const [first] = result.failed;
  if (first !== undefined) {
    const { code } = endingOf(first.error);
    return code === EXIT.software ? EXIT.ioError : code;
  }
  return report.unreadable.length > 0 ? EXIT.ioError : 0;
}

/** An outcome as `--json` tells it. */
export function pushDocument(plan: PushPlan, { dataset, result, removed }: PushReport): Record<string, unknown> {
  const { files: _, ...summary } = dataset;
  const { warnings, skipped, unreadable } = reportDocument(plan.report);
  return {
    dataset: summary,
    sent: result.stored,
    unchanged: result.unchanged,
    removed,
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

/** Some of the names, and how many more there are. */
export function namesOf(filenames: readonly string[]): string {
  const some = filenames.slice(0, 5).map(shown).join(', ');
  return filenames.length <= 5 ? some : `${some} and ${(filenames.length - 5).toLocaleString('en')} more`;
}
