import { randomUUID } from 'node:crypto';
import { basename, dirname, resolve } from 'node:path';
import { type Command, InvalidArgumentError, Option } from 'commander';
import { ServiceError } from '../../dataset/errors.js';
import { parseDatasetName } from '../../dataset/names.js';
import { FIX_HELP, type FixedFiles, type FixFlags, fixBeforePush, requireFix } from '../fix/fix-files.js';
import { FileInspector } from '../folder/inspect-files.js';
import { folderOf, isFolder } from '../folder/read-folder.js';
import { totalsOf } from '../folder/report.js';
import { httpSource } from '../mount/http-source.js';
import type { PullTask } from '../pull/run.js';
import { conflictsOf, planLines, printPushReport, pushDocument, pushExitCode } from '../push/output.js';
import type { PushPlan } from '../push/plan.js';
import { type PreparedPush, type PushTask, preparePush } from '../push/prepare.js';
import { runPush } from '../push/run.js';
import { watchAndPush } from '../push/watch-folder.js';
import { addRemoteOptions, clientFrom, concurrencyOption, type RemoteOptions, remoteFrom } from '../remote.js';
import { realFolders } from '../sync/common-state.js';
import { askAboutConflicts, conflictDocument, printConflicts } from '../sync/conflicts.js';
import {
  keptDocument,
  keptLines,
  type NamedDataset,
  namesOf,
  pushDirection,
  type SyncDirection,
} from '../sync/report.js';
import { CommandError, EXIT, interruptible } from '../terminal/exit-codes.js';
import { painterOf, print, printJson } from '../terminal/print.js';
import { openProgressDisplay } from '../terminal/progress.js';
import { canAsk } from '../terminal/prompts.js';
import { counted, formatBytes } from '../terminal/text.js';

const EXAMPLES = `
Examples:
  $ trainyard push photos                          the folder becomes the dataset "photos"
  $ trainyard push photos --name "Red wagons"      the same under another name
  $ trainyard push photos --dry-run                prints what would be done, and changes nothing
  $ trainyard push photos/*_new.* --name wagons    adds files to a dataset
  $ trainyard push photos --replace                also removes files that were removed from the folder
  $ trainyard push photos --ours                   in conflicts, replaces the dataset's version
  $ trainyard push photos --trigger wgn1           uses "wgn1" as the caption of images without one
  $ trainyard push photos --fix                    mends files first; with --dry-run it only lists what it would change
  $ trainyard push photos --watch                  pushes every change of the folder, until ctrl-C
  $ trainyard push photos --watch --both           also pulls every change of the dataset

Run again after ctrl-C or a lost connection, the same command sends only the missing files.

A file that was changed only in the folder is sent, and one that was changed only in the dataset stays. A file that was changed
in both is a conflict: a terminal asks which version to keep, and otherwise nothing of it is sent. "Changed" means since the
last push or pull between this folder and this dataset. Without one, each file that differs is a conflict.

--ours also sends files that were removed from the dataset. With --replace --ours, the dataset becomes exactly what the folder
is, also where only the dataset was changed.

--trigger and --caption-all generate captions for media that have none in the folder or in the dataset. Existing captions and
the folder stay as they are. With both, a generated caption is "WORD, TEXT".

${FIX_HELP}

Exit codes: 0 the dataset is READY, 1 it is FAILED, 65 the files have errors and nothing was sent, 66 no files found, 69 or
75 the service is unavailable, 73 there are conflicts, 74 a file could not be read or sent, 130 interrupted by ctrl-C.`;

interface PushCommandOptions extends RemoteOptions, FixFlags {
  readonly json?: boolean;
  readonly name?: string;
  readonly replace?: true;
  readonly watch?: true;
  readonly both?: true;
  readonly ours?: true;
  readonly theirs?: true;
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
    .option('--replace', 'also remove from the dataset unchanged files, and uploads, that are no longer in the folder')
    .addOption(new Option('--ours', "in conflicts, replace the dataset's version").conflicts('theirs'))
    .addOption(new Option('--theirs', "in conflicts, keep the dataset's version"))
    .option('--dry-run', 'print what would be done, and change nothing')
    .option('--watch', 'push every change of the folder until ctrl-C; implies --replace and --skip-bad')
    .option('--both', 'with --watch, also pull every change of the dataset into the folder')
    .option('--follow', 'follow links that lead out of the folder')
    .option('--skip-bad', 'leave out files with errors, and media without a caption')
    .option('--allow-uncaptioned', 'send media without a caption, to caption them later')
    .option('--fix', 'mend files first where that needs no guessing')
    .option('--in-place', 'with --fix: keep no originals')
    .option('--yes', 'with --fix: do not ask on a terminal')
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

async function push(given: string[], options: PushCommandOptions, signal: AbortSignal): Promise<void> {
  requireFix(options, ['inPlace', 'yes']);
  // All changes of one push are one revision of the dataset.
  const newClient = () => clientFrom(options, { change: { how: 'push', id: randomUUID() } });
  const client = newClient();
  const name = await datasetNameFor(given, options.name);
  const captionTexts = [options.trigger, options.captionAll].filter((text) => text !== undefined);
  await requireWatchable(given, options);
  const local = {
    inspector: new FileInspector(),
    display: openProgressDisplay({ isQuiet: options.json === true }),
    signal,
    follow: options.follow === true,
  };
  const { paths, fixed } = await fixBeforePush(given, options, local);
  const folder = paths.length === 1 && (await isFolder(paths[0] ?? '')) ? paths[0] : await folderOf(paths);
  const replaces = options.replace === true || options.watch === true;
  const winner = options.ours ? 'source' : options.theirs ? 'target' : undefined;
  const task: PushTask = {
    ...local,
    client,
    paths,
    name,
    rules: {
      captionText: captionTexts.length === 0 ? undefined : captionTexts.join(', '),
      allowsUncaptioned: options.allowUncaptioned === true,
      skipsBad: options.skipBad === true || options.watch === true,
      winner,
      replaces,
      overrules: options.watch !== true,
      // The pending uploads of other clients are what a pull will fetch.
      withdraws: options.both !== true,
    },
    concurrency: options.concurrency,
    pair: { ...(await foldersOf(paths)), url: remoteFrom(options).url },
    directionTo: (dataset) => pushDirection(dataset, { folder, url: options.url, replaces }),
    waits: options.wait,
  };
  try {
    if (options.watch) {
      const pullOf = options.both && ((dataset: NamedDataset) => pullTaskOf(task, dataset));
      await watchAndPush({ ...task, newClient, pullOf, isJson: options.json === true });
    } else await pushOnce(task, options, fixed);
  } finally {
    task.display.clear();
  }
}

async function foldersOf(paths: readonly string[]): Promise<{ folders: string[]; isWhole: boolean }> {
  const areFolders = await Promise.all(paths.map(isFolder));
  const folders = await realFolders(paths.map((path, i) => (areFolders[i] ? path : dirname(path))));
  return { folders, isWhole: areFolders.every(Boolean) };
}

/** The pull after a push of `--both`. */
function pullTaskOf({ rules, pair, directionTo, ...task }: PushTask, dataset: NamedDataset): PullTask {
  const { url } = pair;
  const winner = rules.winner && (rules.winner === 'source' ? 'target' : 'source');
  return {
    ...task,
    source: httpSource(task.client, { ...dataset, url }),
    url,
    folder: resolve(task.paths[0] ?? ''),
    rules: { winner, replaces: true, overrules: false },
    direction: directionTo(dataset),
  };
}

async function pushOnce(task: PushTask, { json, dryRun }: PushCommandOptions, fixed: FixedFiles): Promise<void> {
  const prepared = await preparePush(task);
  if (!json) printPlan(prepared.plan);
  if (prepared.plan.blockers.length > 0) throw blockedError(prepared.plan);
  if (dryRun) return printDryRun(task, prepared, { isJson: json === true, fixed });
  const plan = json || !canAsk() ? prepared.plan : await askedPlan(task, prepared);
  if (plan.blockers.length > 0) throw blockedError(plan);
  const report = await runPush(task, plan);
  process.exitCode = pushExitCode(plan, report);
  if (json) return printJson({ ...fixed, ...pushDocument(plan, report, task.directionTo(report.dataset)) });
  printPushReport(plan, report);
  printKept(plan, task.directionTo(report.dataset));
  printConflicts(await conflictsOf(task, { ...prepared, dataset: report.dataset }, report.conflicts));
}

/** The plan once a person has decided about each conflict. */
async function askedPlan(task: PushTask, prepared: PreparedPush): Promise<PushPlan> {
  const conflicts = await conflictsOf(task, prepared, prepared.plan.sync.conflicts);
  if (conflicts.length === 0) return prepared.plan;
  const decisions = await askAboutConflicts(conflicts, task.signal);
  return prepared.decide(new Map([...decisions].map(([name, side]) => [name, side === 'ours' ? 'source' : 'target'])));
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

async function requireWatchable(paths: readonly string[], options: PushCommandOptions): Promise<void> {
  if (options.both && !options.watch) throw new CommandError(EXIT.usage, '--both needs --watch.');
  if (!options.watch) return;
  if (options.dryRun) throw new CommandError(EXIT.usage, '--watch and --dry-run exclude each other.');
  if (options.fix) throw new CommandError(EXIT.usage, '--watch and --fix exclude each other. Run check --fix first.');
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

function printKept({ sync }: PushPlan, direction: SyncDirection): void {
  const paint = painterOf(process.stdout);
  for (const line of keptLines(sync.kept, direction)) print(paint('yellow', line));
}

async function printDryRun(
  task: PushTask,
  { plan, local, dataset }: PreparedPush,
  { isJson, fixed }: { isJson: boolean; fixed: FixedFiles },
): Promise<void> {
  const { name } = task;
  const { files, toSend, sync, sides } = plan;
  const sent = new Set(toSend);
  const bytes = files.reduce((sum, file) => sum + (sent.has(file.name) ? file.size : 0), 0);
  const unchanged = files.length - toSend.length;
  const remove = [...plan.toRemove, ...plan.toWithdraw];
  const direction = task.directionTo(dataset ?? { id: '', name });
  if (sync.conflicts.length > 0) process.exitCode = EXIT.cannotCreate;
  if (isJson) {
    const document = { dry_run: true, name, exists: dataset !== undefined, send: toSend, send_bytes: bytes };
    const conflicts = sync.conflicts.map((filename) => conflictDocument(filename, sides));
    return printJson({ ...fixed, ...document, unchanged, remove, kept: keptDocument(sync.kept, direction), conflicts });
  }
  const target = dataset === undefined ? `a new dataset "${name}"` : `"${name}"`;
  const rest = unchanged === 0 ? '' : `; ${counted(unchanged, 'file is', 'files are')} unchanged`;
  print(`Would send ${counted(toSend.length, 'file')}, ${formatBytes(bytes)}, to ${target}${rest}.`);
  if (remove.length > 0) print(`Would remove ${counted(remove.length, 'file')}: ${namesOf(remove)}.`);
  printKept(plan, direction);
  printConflicts(await conflictsOf(task, { local, dataset }, sync.conflicts));
}
