import type { Command } from 'commander';
import { FileInspector, findingsIn } from '../folder/inspect-files.js';
import { readPaths } from '../folder/read-folder.js';
import {
  errorCount,
  type FolderReport,
  problemLines,
  reportDocument,
  totalsOf,
  trainerLines,
} from '../folder/report.js';
import { CommandError, EXIT } from '../terminal/exit-codes.js';
import { bar, openProgressDisplay, type ProgressDisplay } from '../terminal/progress.js';
import { counted, interruptible, painterOf, print, printJson } from '../terminal/terminal.js';

const EXAMPLES = `
Examples:
  $ trainyard check photos                  every file of the folder
  $ trainyard check photos/*.jpg            some of them
  $ trainyard check photos --json | jq '.errors[].message'

Ends with 0 where the files would be a dataset that is READY, with 1 where not, with 66 where there is nothing to look at,
and with 74 where a file can't be read. No service is needed.`;

/** `trainyard check` */
export function addCheckCommand(program: Command): void {
  program
    .command('check')
    .description('Look at files as the service would, and say what would keep them from being trained on.')
    .argument('<paths...>', 'a folder, or files')
    .option('--follow', 'take links that lead out of the folder, too')
    .option('--json', 'print JSON for scripts')
    .addHelpText('after', EXAMPLES)
    .action((paths, options) => interruptible((signal) => check(paths, options, signal)));
}

async function check(paths: string[], options: { follow?: true; json?: true }, signal: AbortSignal): Promise<void> {
  const examiner = new FileInspector();
  const ticker = openProgressDisplay({ isQuiet: options.json === true });
  try {
    const report = await inspectPaths(paths, { follow: options.follow === true, examiner, ticker, signal });
    ticker.clear();
    process.exitCode = exitCodeOf(report);
    if (options.json) printJson({ fit: process.exitCode === 0, ...reportDocument(report) });
    else printReport(report);
  } finally {
    ticker.clear();
  }
}

/**
 * Reads and looks at files, and finds what is wrong with them.
 *
 * @throws CommandError with 66 where there is no file for a dataset at all
 */
export async function inspectPaths(
  paths: readonly string[],
  options: { follow: boolean; examiner: FileInspector; ticker: ProgressDisplay; signal: AbortSignal },
): Promise<FolderReport> {
  const { examiner, ticker, signal } = options;
  const reading = await readPaths(paths, { follow: options.follow });
  const { files, skipped, faults } = reading;
  if (files.length + faults.length + reading.unreadable.length === 0) {
    const left = skipped.length === 0 ? '' : ` Left out: ${skipped.map(({ filename }) => filename).join(', ')}.`;
    throw new CommandError(EXIT.noInput, `${paths.join(' ')}: no image, video or caption is there.${left}`);
  }
  const onExamined = (done: number) => {
    ticker.update(() => [`${bar(done, files.length)} checked ${done} of ${counted(files.length, 'file')}`]);
  };
  const { examined, unreadable } = await examiner.examine(files, { signal, onExamined });
  return {
    examined,
    findings: findingsIn(examined),
    skipped,
    faults,
    unreadable: [...reading.unreadable, ...unreadable],
  };
}

function exitCodeOf(report: FolderReport): number {
  if (errorCount(report) > 0) return EXIT.notFit;
  return report.unreadable.length > 0 ? EXIT.ioError : 0;
}

function printReport(report: FolderReport): void {
  const paint = painterOf(process.stdout);
  print(totalsOf(report.examined.map(({ file }) => file)));
  for (const line of problemLines(report, paint)) print(line);
  for (const line of trainerLines(report)) print(line);
  const errors = errorCount(report);
  const lost = report.unreadable.length;
  if (errors > 0) print(paint('red', `Not fit to train on: ${counted(errors, 'error')}.`));
  else if (lost > 0) print(paint('red', `${counted(lost, 'file')} can't be read; the others are fit to train on.`));
  else print(paint('green', 'Fit to train on.'));
}
