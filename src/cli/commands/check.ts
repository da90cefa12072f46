import type { Command } from 'commander';
import { FileInspector, type FolderReport, inspectPaths } from '../folder/inspect-files.js';
import { errorCount, problemLines, reportDocument, totalsOf, trainerLines } from '../folder/report.js';
import { EXIT, interruptible } from '../terminal/exit-codes.js';
import { painterOf, print, printJson } from '../terminal/print.js';
import { openProgressDisplay } from '../terminal/progress.js';
import { counted } from '../terminal/text.js';

const EXAMPLES = `
Examples:
  $ trainyard check photos                  every file of the folder
  $ trainyard check photos/*.jpg            some of them
  $ trainyard check photos --json | jq '.errors[].message'

Needs no service. Exit codes: 0 the files are fit to train on, 1 they are not, 66 no files found, 74 a file can't be read.`;

/** `trainyard check` */
export function addCheckCommand(program: Command): void {
  program
    .command('check')
    .description('Inspect files as the service does, and list what makes them unfit to train on.')
    .argument('<paths...>', 'a folder, or files')
    .option('--follow', 'follow links that lead out of the folder')
    .option('--json', 'print JSON for scripts')
    .addHelpText('after', EXAMPLES)
    .action((paths, options) => interruptible((signal) => check(paths, options, signal)));
}

async function check(paths: string[], options: { follow?: true; json?: true }, signal: AbortSignal): Promise<void> {
  const inspector = new FileInspector();
  const display = openProgressDisplay({ isQuiet: options.json === true });
  try {
    const report = await inspectPaths(paths, { follow: options.follow === true, inspector, display, signal });
    process.exitCode = checkExitCode(report);
    if (options.json) printJson({ fit: process.exitCode === 0, ...reportDocument(report) });
    else printReport(report);
  } finally {
    display.clear();
  }
}

function checkExitCode(report: FolderReport): number {
  if (errorCount(report) > 0) return EXIT.notFit;
  return report.unreadable.length > 0 ? EXIT.ioError : 0;
}

function printReport(report: FolderReport): void {
  const paint = painterOf(process.stdout);
  print(totalsOf(report.inspected.map(({ file }) => file)));
  for (const line of problemLines(report, paint)) print(line);
  for (const line of trainerLines(report)) print(line);
  const errors = errorCount(report);
  const unreadable = report.unreadable.length;
  if (errors > 0) print(paint('red', `Not fit to train on: ${counted(errors, 'error')}.`));
  else if (unreadable > 0) {
    print(paint('red', `${counted(unreadable, 'file')} can't be read; the others are fit to train on.`));
  } else print(paint('green', 'Fit to train on.'));
}
