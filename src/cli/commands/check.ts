import { readFile } from 'node:fs/promises';
import type { Command } from 'commander';
import { MAX_CAPTION_TEXT_BYTES } from '../../api/limits.js';
import { type CaptionFinding, captionFindings, type CaptionText } from '../../dataset/caption-findings.js';
import type { Role } from '../../dataset/dataset.js';
import { isTextCaption, mediaTypeOf } from '../../dataset/media.js';
import { ffmpegSentence, findFfmpeg } from '../../service/inspection/clip/ffmpeg.js';
import { roleOption } from '../arguments.js';
import { countFixable, FIX_HELP, type FixFlags, fixFiles, requireFix } from '../fix/fix-files.js';
import { FileInspector, type FolderReport, inspectPaths } from '../folder/inspect-files.js';
import { errorCount, problemLines, reportDocument, totalsOf, trainerLines } from '../folder/report.js';
import { addSettings, ffmpegFrom } from '../settings.js';
import { EXIT, interruptible } from '../terminal/exit-codes.js';
import { painterOf, print, printJson, problemLine } from '../terminal/print.js';
import { counted } from '../terminal/text.js';
import { openProgressDisplay } from '../terminal/progress.js';

const EXAMPLES = `
Examples:
  $ trainyard check photos                  every file of the folder
  $ trainyard check photos/*_new.*          some of them
  $ trainyard check photos --json | jq '.errors[].message'
  $ trainyard check photos --fix --dry-run  lists what --fix would change
  $ trainyard check photos --fix            fixes files, and keeps the originals in photos.orig
  $ trainyard check depth --role control    control images, which need no captions

${FIX_HELP}

Needs no service. Exit codes: 0 the files are fit to train on, 1 they are not, 66 no files found, 74 a file can't be read,
78 the ffmpeg that --ffmpeg names can't be used.`;

/** `trainyard check` */
export function addCheckCommand(program: Command): void {
  const command = program
    .command('check')
    .description('Inspect files as the service does, and list what makes them unfit to train on.')
    .argument('<paths...>', 'a folder, or files')
    .addOption(roleOption('what the files are for: training (default), control or mask; these two need no captions'))
    .option('--all', 'list every problem, also many of one kind')
    .option('--follow', 'follow links that lead out of the folder')
    .option('--fix', 'fix files where that needs no guessing')
    .option('--dry-run', 'with --fix: list what would be changed, and change nothing')
    .option('--in-place', 'with --fix: keep no originals')
    .option('--yes', 'with --fix: do not ask on a terminal')
    .option('--json', 'print JSON for scripts')
    .addHelpText('after', EXAMPLES)
    .action((paths, options) => interruptible((signal) => check(paths, options, signal)));
  addSettings(command, ['ffmpeg']);
}

interface CheckOptions extends FixFlags {
  readonly role?: Role;
  readonly ffmpeg?: string;
  readonly all?: true;
}

async function check(paths: string[], options: CheckOptions, signal: AbortSignal): Promise<void> {
  requireFix(options, ['dryRun', 'inPlace', 'yes']);
  const choice = ffmpegFrom(options);
  const ffmpeg = await findFfmpeg(choice);
  const inspector = new FileInspector({ ffmpeg });
  const display = openProgressDisplay({ isQuiet: options.json === true });
  try {
    const task = { inspector, display, signal };
    const { role, follow } = options;
    const { paths: named, fixed } = await fixFiles(paths, options, task);
    const report = await inspectPaths(named, { ...task, follow, ...(role && { role }) });
    const captions = role === undefined || role === 'training' ? await findingsInCaptions(report) : [];
    process.exitCode = errorCount(report) > 0 ? EXIT.notFit : report.unreadable.length > 0 ? EXIT.ioError : 0;
    if (options.json) {
      const fit = process.exitCode === 0;
      return printJson({ fit, ffmpeg: ffmpeg ?? null, ...fixed, ...reportDocument(report), captions });
    }
    printReport(report, { ...options, captions, decoding: ffmpegSentence(ffmpeg, choice) });
    const fixable = options.fix ? 0 : await countFixable(report, signal);
    if (fixable > 0) print(`${counted(fixable, 'file')} can be fixed. To do so, run the same command with --fix.`);
  } finally {
    display.clear();
  }
}

/** What the page says of them under "Fit to train?". A file that has become unreadable is left out. */
async function findingsInCaptions({ inspected }: FolderReport): Promise<readonly CaptionFinding[]> {
  const texts: CaptionText[] = [];
  for (const { file, inspection } of inspected) {
    const { filename, path, sizeBytes } = file;
    if (!inspection.ok || !isTextCaption(filename) || sizeBytes > MAX_CAPTION_TEXT_BYTES) continue;
    const text = await readFile(path, 'utf8').catch(() => undefined);
    if (text !== undefined) texts.push({ filename, text });
  }
  return captionFindings(texts);
}

function printReport(
  report: FolderReport,
  { role, all, captions, decoding }: CheckOptions & { captions: readonly CaptionFinding[]; decoding: string },
): void {
  const paint = painterOf(process.stdout);
  print(totalsOf(report.inspected.map(({ file }) => file)));
  const hasClips = report.inspected.some(({ file }) => mediaTypeOf(file.filename)?.kind === 'video');
  if (hasClips) print(`${decoding.replace(/^every/, 'Every').replace(/^no /, 'No ')}.`);
  for (const line of problemLines(report, paint, { lists: all ? undefined : '--all' })) print(line);
  for (const { message } of captions) print(problemLine(paint, '!', message));
  for (const line of trainerLines(report, role)) print(line);
  const errors = errorCount(report);
  const unreadable = report.unreadable.length;
  if (errors > 0) print(paint('red', `Not fit to train on: ${counted(errors, 'error')}.`));
  else if (unreadable > 0) {
    print(paint('red', `${counted(unreadable, 'file')} can't be read; the others are fit to train on.`));
  } else print(paint('green', 'Fit to train on.'));
}
