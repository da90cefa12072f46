import type { Command } from 'commander';
import { mediaTypeOf } from '../../dataset/media.js';
import { ffmpegSentence, findFfmpeg } from '../../service/inspection/clip/ffmpeg.js';
import { FileInspector, type FolderReport, inspectPaths } from '../folder/inspect-files.js';
import { errorCount, problemLines, reportDocument, totalsOf, trainerLines } from '../folder/report.js';
import { addSettings, ffmpegFrom } from '../settings.js';
import { EXIT, interruptible } from '../terminal/exit-codes.js';
import { painterOf, print, printJson } from '../terminal/print.js';
import { openProgressDisplay } from '../terminal/progress.js';
import { counted } from '../terminal/text.js';

const EXAMPLES = `
Examples:
  $ trainyard check photos                  every file of the folder
  $ trainyard check photos/*.jpg            some of them
  $ trainyard check photos --json | jq '.errors[].message'

Needs no service. Exit codes: 0 the files are fit to train on, 1 they are not, 66 no files found, 74 a file can't be read,
78 the ffmpeg that --ffmpeg names can't be used.`;

/** `trainyard check` */
export function addCheckCommand(program: Command): void {
  const command = program
    .command('check')
    .description('Inspect files as the service does, and list what makes them unfit to train on.')
    .argument('<paths...>', 'a folder, or files')
    .option('--follow', 'follow links that lead out of the folder')
    .option('--json', 'print JSON for scripts')
    .addHelpText('after', EXAMPLES)
    .action((paths, options) => interruptible((signal) => check(paths, options, signal)));
  addSettings(command, ['ffmpeg']);
}

interface CheckOptions {
  readonly follow?: true;
  readonly json?: true;
  readonly ffmpeg?: string;
}

async function check(paths: string[], options: CheckOptions, signal: AbortSignal): Promise<void> {
  const choice = ffmpegFrom(options);
  const ffmpeg = await findFfmpeg(choice);
  const inspector = new FileInspector({ ffmpeg });
  const display = openProgressDisplay({ isQuiet: options.json === true });
  try {
    const report = await inspectPaths(paths, { follow: options.follow === true, inspector, display, signal });
    process.exitCode = checkExitCode(report);
    if (options.json) printJson({ fit: process.exitCode === 0, ffmpeg: ffmpeg ?? null, ...reportDocument(report) });
    else printReport(report, ffmpegSentence(ffmpeg, choice));
  } finally {
    display.clear();
  }
}

function checkExitCode(report: FolderReport): number {
  if (errorCount(report) > 0) return EXIT.notFit;
  return report.unreadable.length > 0 ? EXIT.ioError : 0;
}

function printReport(report: FolderReport, decoding: string): void {
  const paint = painterOf(process.stdout);
  print(totalsOf(report.inspected.map(({ file }) => file)));
  const hasClips = report.inspected.some(({ file }) => mediaTypeOf(file.filename)?.kind === 'video');
  if (hasClips) print(`${decoding.replace(/^every/, 'Every').replace(/^no /, 'No ')}.`);
  for (const line of problemLines(report, paint)) print(line);
  for (const line of trainerLines(report)) print(line);
  const errors = errorCount(report);
  const unreadable = report.unreadable.length;
  if (errors > 0) print(paint('red', `Not fit to train on: ${counted(errors, 'error')}.`));
  else if (unreadable > 0) {
    print(paint('red', `${counted(unreadable, 'file')} can't be read; the others are fit to train on.`));
  } else print(paint('green', 'Fit to train on.'));
}
