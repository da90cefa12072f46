import { basename } from 'node:path';
import { type Command, InvalidArgumentError } from 'commander';
import type { DatasetWithFiles } from '../../client/client.js';
import { ServiceError } from '../../dataset/errors.js';
import { parseDatasetName } from '../../dataset/names.js';
import { FileInspector } from '../folder/inspect-files.js';
import { folderOf, isFolder } from '../folder/read-folder.js';
import { totalsOf } from '../folder/report.js';
import { namesOf, planLines, printPushReport, pushDocument, pushExitCode } from '../push/output.js';
import type { PushPlan } from '../push/plan.js';
import { type PushTask, preparePush, runPush } from '../push/run.js';
import { jsonView, linesView, watchAndPush } from '../push/watch-folder.js';
import { addRemoteOptions, clientFrom, concurrencyOption, type RemoteOptions } from '../remote.js';
import { CommandError, EXIT, interruptible } from '../terminal/exit-codes.js';
import { painterOf, print, printJson } from '../terminal/print.js';
import { openProgressDisplay } from '../terminal/progress.js';
import { counted, formatBytes } from '../terminal/text.js';

const EXAMPLES = `
Examples:
  $ trainyard push photos                          the folder becomes the dataset "photos"
  $ trainyard push photos --name "Red wagons"      the same under another name
  $ trainyard push photos --dry-run                prints what would be sent, and sends nothing
  $ trainyard push photos/*_new.* --name wagons    adds files to a dataset
  $ trainyard push photos --replace                also removes files that are no longer in the folder
  $ trainyard push photos --trigger wgn1           uses "wgn1" as the caption of images without one
  $ trainyard push photos --watch                  pushes every change of the folder, until ctrl-C

Run again after ctrl-C or a lost connection, the same command sends only the missing files.

--trigger and --caption-all generate captions for media that have none in the folder or, without --replace, in the dataset.
Existing captions and the folder stay as they are. With both, a generated caption is "WORD, TEXT".

Exit codes: 0 the dataset is READY, 1 it is FAILED, 65 the files have errors and nothing was sent, 66 no files found, 69 or
75 the service is unavailable, 74 a file could not be read or sent, 130 interrupted by ctrl-C.`;

interface PushCommandOptions extends RemoteOptions {
  readonly name?: string;
  readonly replace?: true;
  readonly dryRun?: true;
  readonly watch?: true;
  readonly follow?: true;
  readonly skipBad?: true;
  readonly allowUncaptioned?: true;
  readonly concurrency?: number;
  readonly trigger?: string;
  readonly captionAll?: string;
  readonly wait: boolean;
}

/** `trainyard push` */
export function addPushCommand(program: Command): void {
  const command = program
    .command('push')
    .description('Check files, upload them to a dataset, and wait until it is READY.')
    .argument('<paths...>', 'a folder, or files')
    .option('--name <name>', 'name or ID of the dataset (default: the name of the folder)')
    .option('--replace', 'also remove from the dataset files, rejected and pending uploads that are not in the folder')
    .option('--dry-run', 'print what would be done, and change nothing')
    .option('--watch', 'push every change of the folder until ctrl-C; implies --replace and --skip-bad')
    .option('--follow', 'follow links that lead out of the folder')
    .option('--skip-bad', 'leave out files with errors, and media without a caption')
    .option('--allow-uncaptioned', 'send media without a caption, to caption them later')
    .option('--trigger <word>', 'use this word as the caption of media that have none', notBlank)
    .option('--caption-all <text>', 'use this text as the caption of media that have none', notBlank)
    .addOption(concurrencyOption('files sent at a time, 1 to 64 (default: 4)'))
    .option('--no-wait', 'do not wait for READY after the last file');
  addRemoteOptions(command)
    .addHelpText('after', EXAMPLES)
    .action((paths, options) => interruptible((signal) => push(paths, options, signal)));
}

function notBlank(text: string): string {
  if (text.trim() === '') throw new InvalidArgumentError('It must not be blank.');
  return text.trim();
}

async function push(paths: string[], options: PushCommandOptions, signal: AbortSignal): Promise<void> {
  const client = clientFrom(options);
  const name = await datasetNameFor(paths, options.name);
  const captionTexts = [options.trigger, options.captionAll].filter((text) => text !== undefined);
  if (options.watch) await mustBeWatchable(paths, options);
  const task: PushTask = {
    client,
    inspector: new FileInspector(),
    display: openProgressDisplay({ isQuiet: options.json === true }),
    signal,
    paths,
    name,
    follow: options.follow === true,
    rules: {
      captionText: captionTexts.length === 0 ? undefined : captionTexts.join(', '),
      allowsUncaptioned: options.allowUncaptioned === true,
      skipsBad: options.skipBad === true,
      replaces: options.replace === true || options.watch === true,
    },
    concurrency: options.concurrency,
    waits: options.wait,
  };
  try {
    if (options.watch) await watchAndPush(task, options.json ? jsonView : linesView());
    else await pushOnce(task, options);
  } finally {
    task.display.clear();
  }
}

async function pushOnce(task: PushTask, { json, dryRun }: PushCommandOptions): Promise<void> {
  const { plan, dataset } = await preparePush(task);
  if (!json) printPlan(plan);
  if (plan.blockers.length > 0) throw blockedError(plan);
  if (dryRun) return printDryRun(task, plan, { dataset, isJson: json === true });
  const report = await runPush(task, plan);
  process.exitCode = pushExitCode(plan, report);
  if (json) printJson(pushDocument(plan, report));
  else printPushReport(plan, report);
}

/** Returns the given name, or else the folder's. @throws CommandError with 65 if the folder's name is invalid for a dataset */
async function datasetNameFor(paths: readonly string[], given: string | undefined): Promise<string> {
  const folder = await folderOf(paths);
  if (given === undefined && folder === undefined) {
    throw new CommandError(EXIT.usage, 'the files are in several folders. Name the dataset with --name.');
  }
  const raw = given ?? basename(folder ?? '');
  try {
    return parseDatasetName(raw);
  } catch (error) {
    if (!(error instanceof ServiceError) || given !== undefined) throw error;
    const allowed = raw.replace(/[^\p{L}\p{M}\p{Nd} ._-]/gu, '_').replace(/^[. ]+/, '') || 'my dataset';
    const message = `The folder's name can't name a dataset. ${error.message} Choose a name with --name, such as --name ${JSON.stringify(allowed)}.`;
    throw new CommandError(EXIT.dataError, message, { cause: error });
  }
}

async function mustBeWatchable(paths: readonly string[], options: PushCommandOptions): Promise<void> {
  if (options.dryRun) throw new CommandError(EXIT.usage, '--watch and --dry-run exclude each other.');
  if (paths.length !== 1 || !(await isFolder(paths[0] ?? ''))) {
    throw new CommandError(EXIT.usage, '--watch takes one folder, and no files.');
  }
}

/** The error that says why nothing was sent, and names the options that help. */
function blockedError(plan: PushPlan): CommandError {
  const uncaptioned = plan.blockers.filter(({ code }) => code === 'MISSING_CAPTION').length;
  const advice =
    'Generate captions with --trigger WORD or --caption-all TEXT, or send them without captions with --allow-uncaptioned.';
  const lines = [
    `nothing was sent: ${counted(plan.blockers.length, 'error')} would keep the dataset from being READY.`,
    ...(uncaptioned > 0 ? [`${counted(uncaptioned, 'file has', 'files have')} no caption. ${advice}`] : []),
    ...(plan.blockers.some(({ filename }) => filename !== undefined)
      ? ['To leave out the files named above and send the others, add --skip-bad.']
      : []),
  ];
  return new CommandError(EXIT.dataError, lines.join('\n'), { details: { problems: plan.blockers } });
}

function printPlan(plan: PushPlan): void {
  print(totalsOf(plan.report.inspected.map(({ file }) => file)));
  for (const line of planLines(plan, painterOf(process.stdout))) print(line);
}

async function printDryRun(
  { client, name, signal }: PushTask,
  { files, toRemove }: PushPlan,
  { dataset, isJson }: { dataset: DatasetWithFiles | undefined; isJson: boolean },
): Promise<void> {
  const missing = dataset === undefined ? [...files] : await client.missing(dataset, files, { signal });
  const bytes = missing.reduce((sum, { size }) => sum + size, 0);
  const names = missing.map((file) => file.name);
  const unchanged = files.length - missing.length;
  if (isJson) {
    const document = { dry_run: true, name, exists: dataset !== undefined, send: names, send_bytes: bytes };
    return printJson({ ...document, unchanged, remove: toRemove });
  }
  const target = dataset === undefined ? `a new dataset "${name}"` : `"${name}"`;
  const rest = unchanged === 0 ? '' : `; ${counted(unchanged, 'file is', 'files are')} unchanged`;
  print(`Would send ${counted(missing.length, 'file')}, ${formatBytes(bytes)}, to ${target}${rest}.`);
  if (toRemove.length > 0) print(`Would remove ${counted(toRemove.length, 'file')}: ${namesOf(toRemove)}.`);
}
