import { basename } from 'node:path';
import { type Command, InvalidArgumentError } from 'commander';
import type { DatasetWithFiles } from '../../client/client.js';
import { ServiceError } from '../../dataset/errors.js';
import { parseDatasetName } from '../../dataset/names.js';
import { FileInspector } from '../folder/inspect-files.js';
import { folderOf, isFolder } from '../folder/read-folder.js';
import { totalsOf } from '../folder/report.js';
import { exitCodeOf, namesOf, planLines, printPushReport, pushDocument } from '../push/output.js';
import type { PushPlan } from '../push/plan.js';
import { type PushTask, preparePush, runPush } from '../push/run.js';
import { watchAndPush } from '../push/watch-folder.js';
import { addRemoteOptions, clientFrom, type RemoteOptions } from '../remote.js';
import { CommandError, EXIT } from '../terminal/exit-codes.js';
import { openProgressDisplay } from '../terminal/progress.js';
import { counted, formatBytes, interruptible, painterOf, print, printJson } from '../terminal/terminal.js';

const EXAMPLES = `
Examples:
  $ trainyard push photos                          the folder becomes the dataset "photos"
  $ trainyard push photos --name "Red wagons"      the same under another name
  $ trainyard push photos --dry-run                says what would be sent, and sends nothing
  $ trainyard push photos/*_new.* --name wagons    adds files to a dataset
  $ trainyard push photos --replace                also removes what is no longer in the folder
  $ trainyard push photos --trigger wgn1           "wgn1" is the caption of every image that has none
  $ trainyard push photos --watch                  keeps the dataset like the folder, until ctrl-C

Run again after ctrl-C or a lost connection, the same command sends only what is missing.

Captions are made up only for media without one in the folder or, without --replace, in the dataset; those that are
there stay as they are. With both --trigger and --caption-all, a made-up caption is "WORD, TEXT".

Ends with 0 when the dataset is READY, 1 when it is FAILED, 65 when the files are not fit and nothing was sent, 66 when
there are none, 69 or 75 when the service is away, 74 when a file could not be read or sent, 130 after ctrl-C.`;

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
    .description('Check files, bring them into a dataset, and wait until it is READY.')
    .argument('<paths...>', 'a folder, or files')
    .option('--name <name>', "the dataset's name, or its id; without it, the folder's name")
    .option('--replace', 'also remove from the dataset what is not in the folder: files, refused ones, open promises')
    .option('--dry-run', 'say what would be done, and do nothing')
    .option('--watch', 'go on until ctrl-C, and bring every change of the folder into the dataset; implies --replace')
    .option('--follow', 'take links that lead out of the folder, too')
    .option('--skip-bad', 'leave out files that would be refused, and media without a caption')
    .option('--allow-uncaptioned', 'send media without a caption, to be captioned later')
    .option('--trigger <word>', 'the caption of media that have none', notBlank)
    .option('--caption-all <text>', 'the same, for a whole sentence', notBlank)
    .option('--concurrency <number>', 'files sent at once, 1 to 64 (default: 4)', parseConcurrency)
    .option('--no-wait', 'do not wait for READY after the last file');
  addRemoteOptions(command)
    .addHelpText('after', EXAMPLES)
    .action((paths, options) => interruptible((signal) => push(paths, options, signal)));
}

function parseConcurrency(text: string): number {
  const number = /^\d+$/.test(text) ? Number(text) : 0;
  if (number < 1 || number > 64) throw new InvalidArgumentError('It must be a whole number from 1 to 64.');
  return number;
}

function notBlank(text: string): string {
  if (text.trim() === '') throw new InvalidArgumentError('It must not be blank.');
  return text.trim();
}

async function push(paths: string[], options: PushCommandOptions, signal: AbortSignal): Promise<void> {
  const client = clientFrom(options);
  const name = await datasetNameFor(paths, options.name);
  const { trigger, captionAll } = options;
  const captionText = trigger === undefined && captionAll === undefined ? undefined : joined(trigger, captionAll);
  if (options.watch) await mustBeWatchable(paths, options);
  const examiner = new FileInspector();
  const sync: PushTask = {
    client,
    examiner,
    ticker: openProgressDisplay({ isQuiet: options.json === true }),
    signal,
    paths,
    name,
    follow: options.follow === true,
    rules: {
      captionText,
      allowsUncaptioned: options.allowUncaptioned === true,
      skipsBad: options.skipBad === true,
      replaces: options.replace === true || options.watch === true,
    },
    concurrency: options.concurrency,
    waits: options.wait,
  };
  try {
    if (options.watch) await watchAndPush(sync, { isJson: options.json === true });
    else await pushOnce(sync, options);
  } finally {
    sync.ticker.clear();
  }
}

async function pushOnce(sync: PushTask, { json, dryRun }: PushCommandOptions): Promise<void> {
  const { plan, dataset } = await preparePush(sync);
  if (!json) printPlan(plan);
  if (plan.obstacles.length > 0) throw stopped(plan);
  if (dryRun) return printDryRun(sync, plan, dataset, json === true);
  const outcome = await runPush(sync, plan);
  process.exitCode = exitCodeOf(plan, outcome);
  if (json) printJson(pushDocument(plan, outcome));
  else printPushReport(plan, outcome);
}

/** The name that was given or, failing that, that of the folder. @throws CommandError with 65 for one no dataset can have */
async function datasetNameFor(paths: readonly string[], given: string | undefined): Promise<string> {
  const folder = await folderOf(paths);
  if (given === undefined && folder === undefined) {
    throw new CommandError(EXIT.usage, 'the files are in several folders; give the dataset a name with --name.');
  }
  const raw = given ?? basename(folder ?? '');
  try {
    return parseDatasetName(raw);
  } catch (error) {
    if (!(error instanceof ServiceError) || given !== undefined) throw error;
    const allowed = raw.replace(/[^\p{L}\p{M}\p{Nd} ._-]/gu, '_').replace(/^[. ]+/, '') || 'my dataset';
    const message = `The folder's name is no name for a dataset. ${error.message} Give it one with --name, such as --name ${JSON.stringify(allowed)}.`;
    throw new CommandError(EXIT.dataError, message, { cause: error });
  }
}

async function mustBeWatchable(paths: readonly string[], options: PushCommandOptions): Promise<void> {
  if (options.dryRun) throw new CommandError(EXIT.usage, '--watch and --dry-run do not go together.');
  if (paths.length !== 1 || !(await isFolder(paths[0] ?? ''))) {
    throw new CommandError(EXIT.usage, '--watch takes one folder, and no files.');
  }
}

function joined(...texts: (string | undefined)[]): string {
  return texts.filter((text) => text !== undefined).join(', ');
}

/** Why nothing is sent, and what may be done about it. */
function stopped(plan: PushPlan): CommandError {
  const bare = plan.obstacles.filter(({ code }) => code === 'MISSING_CAPTION').length;
  const captions = `Give all of them one with --trigger WORD or --caption-all TEXT, or send them without with --allow-uncaptioned.`;
  const lines = [
    `nothing was sent: ${counted(plan.obstacles.length, 'thing')} would keep the dataset from READY.`,
    ...(bare > 0 ? [`${counted(bare, 'file has', 'files have')} no caption. ${captions}`] : []),
    'With --skip-bad, the files named above are left out and the others are sent.',
  ];
  return new CommandError(EXIT.dataError, lines.join('\n'), { details: { problems: plan.obstacles } });
}

function printPlan(plan: PushPlan): void {
  print(totalsOf(plan.report.examined.map(({ file }) => file)));
  for (const line of planLines(plan, painterOf(process.stdout))) print(line);
}

async function printDryRun(
  { client, name, signal }: PushTask,
  { files, toRemove }: PushPlan,
  dataset: DatasetWithFiles | undefined,
  isJson: boolean,
): Promise<void> {
  const missing = dataset === undefined ? [...files] : await client.missing(dataset, files, { signal });
  const bytes = missing.reduce((sum, { size }) => sum + size, 0);
  const names = missing.map((file) => file.name);
  if (isJson) {
    const document = { dry_run: true, name, exists: dataset !== undefined, send: names, send_bytes: bytes };
    return printJson({ ...document, unchanged: files.length - names.length, remove: toRemove });
  }
  const where = dataset === undefined ? `a new dataset "${name}"` : `"${name}"`;
  const rest = files.length - missing.length;
  const there = rest === 0 ? '' : `; ${counted(rest, 'file')} would stay as ${rest === 1 ? 'it is' : 'they are'}`;
  print(`Would send ${counted(missing.length, 'file')}, ${formatBytes(bytes)}, to ${where}${there}.`);
  if (toRemove.length > 0) print(`Would remove ${counted(toRemove.length, 'file')}: ${namesOf(toRemove)}.`);
}
