import { resolve } from 'node:path';
import { type Command, Option } from 'commander';
import { parseDatasetName } from '../../dataset/names.js';
import { bytesOf } from '../../service/mount/bring-files.js';
import { DatasetChanged } from '../../service/mount/mount-source.js';
import { kindsOf } from '../folder/report.js';
import { httpSource } from '../mount/http-source.js';
import {
  hashesIn,
  intoLockedFolder,
  type PreparedPull,
  type PullReport,
  type PullTask,
  preparePull,
  runPull,
} from '../pull/run.js';
import { addRemoteOptions, clientFrom, mustFind, type RemoteOptions, remoteFrom } from '../remote.js';
import type { SyncPlan } from '../sync/compare.js';
import {
  askAboutConflicts,
  type Conflict,
  conflictDocument,
  printConflicts,
  readConflicts,
} from '../sync/conflicts.js';
import { keptDocument, keptLines, namesOf, pullDirection } from '../sync/report.js';
import { CommandError, EXIT, interruptible } from '../terminal/exit-codes.js';
import { painterOf, print, printJson, printMessage } from '../terminal/print.js';
import { openProgressDisplay } from '../terminal/progress.js';
import { canAsk } from '../terminal/prompts.js';
import { counted, formatBytes, printable } from '../terminal/text.js';

interface Options extends RemoteOptions {
  readonly replace?: true;
  readonly ours?: true;
  readonly theirs?: true;
  readonly dryRun?: true;
}

const HELP = `
Files keep their names, and are checked against their SHA-256. Run again after ctrl-C or a lost connection, the same command
fetches only the missing files.

A file that was changed only in the dataset is fetched, and one that was changed only in the folder stays. A file that was
changed in both is a conflict: a terminal asks which version to keep, and otherwise nothing of it is written. "Changed" means
since the last push or pull between this folder and this dataset. Without one, each file that differs is a conflict.

Examples:
  $ trainyard pull railway                    into the folder railway
  $ trainyard pull railway photos
  $ trainyard pull railway photos --dry-run   prints what would be done, and changes nothing
  $ trainyard pull railway photos --theirs    in conflicts, overwrites the local file
  $ trainyard pull railway photos --replace   also removes files that were removed from the dataset

--theirs also fetches files that were removed from the folder. With --replace --theirs, the folder's images, videos and
captions become exactly those of the dataset, also where only the folder was changed.

Exit codes: 0 success, 66 there is no such dataset, 69 or 75 the service is unavailable, 73 there are conflicts or the folder
can't be written, 130 interrupted by ctrl-C.`;

/** `trainyard pull` */
export function addPullCommand(program: Command): void {
  const command = program
    .command('pull')
    .description('Download what is new in a dataset, READY or not.')
    .argument('<name>', 'name or ID of a dataset')
    .argument('[folder]', 'the folder to download into; created if it is missing (default: ./NAME)')
    .option('--replace', 'also remove from the folder unchanged files that were removed from the dataset')
    .addOption(new Option('--ours', "in conflicts, keep the folder's version").conflicts('theirs'))
    .addOption(new Option('--theirs', "in conflicts, overwrite the folder's version"))
    .option('--dry-run', 'print what would be done, and change nothing')
    .addHelpText('after', HELP)
    .action((name: string, folder: string | undefined, options: Options) =>
      interruptible((signal) => pull(name, folder, { options, signal })),
    );
  addRemoteOptions(command);
}

async function pull(
  nameOrId: string,
  given: string | undefined,
  { options, signal }: { options: Options; signal: AbortSignal },
): Promise<void> {
  const client = clientFrom(options);
  const { url } = remoteFrom(options);
  const { id, name } = await mustFind(client, nameOrId, signal);
  const folder = given ?? parseDatasetName(name);
  const task: PullTask = {
    client,
    source: httpSource(client, { id, name, url }),
    url,
    folder: resolve(folder),
    rules: {
      winner: options.theirs ? 'source' : options.ours ? 'target' : undefined,
      replaces: options.replace === true,
      overrules: true,
    },
    display: openProgressDisplay({ isQuiet: options.json === true }),
    signal,
    direction: pullDirection({ id, name }, { folder, url: options.url, replaces: options.replace === true }),
  };
  try {
    await (options.dryRun ? pullOnce(task, options) : intoLockedFolder(task, () => pullOnce(task, options)));
  } catch (error) {
    if (!(error instanceof DatasetChanged)) throw error;
    const message = `the dataset was changed while it was downloaded (${error.message}). Run the same command again.`;
    throw new CommandError(EXIT.temporaryFailure, message);
  } finally {
    task.display.clear();
  }
}

async function pullOnce(task: PullTask, { json, dryRun }: Options): Promise<void> {
  const prepared = await preparePull(task);
  const isAsking = !json && !dryRun && canAsk();
  const plan = isAsking ? await askedPlan(task, prepared) : prepared.plan;
  const report = dryRun ? undefined : await runPull(task, prepared, plan);
  task.display.clear();
  const { conflicts } = report ?? plan;
  if (conflicts.length + prepared.notFiles.length > 0) process.exitCode = EXIT.cannotCreate;
  if (json) return printJson(pullDocument(task, prepared, { plan, report }));
  printSummary(task, prepared, { plan, report });
  await printLeftAlone(prepared, plan, { task, conflicts });
}

async function askedPlan(task: PullTask, prepared: PreparedPull): Promise<SyncPlan> {
  const conflicts = await conflictsIn(task, prepared, prepared.plan.conflicts);
  const decisions = await askAboutConflicts(conflicts, task.signal);
  return prepared.decide(
    new Map([...decisions].map(([name, side]) => [name, side === 'theirs' ? 'source' : 'target'])),
  );
}

function conflictsIn(
  { client, signal }: PullTask,
  { manifest, local }: PreparedPull,
  names: readonly string[],
): Promise<Conflict[]> {
  const dataset = new Map(manifest.files.map((file) => [file.filename, file]));
  return readConflicts(names, { folder: local, dataset, client, datasetId: manifest.datasetId, signal });
}

interface PullResult {
  readonly plan: SyncPlan;
  /** `undefined` for `--dry-run`. */
  readonly report: PullReport | undefined;
}

/** Prints what was fetched and removed, or would be. */
function printSummary({ folder }: PullTask, { manifest }: PreparedPull, { plan, report }: PullResult): void {
  const writes = new Set(report?.pulled ?? plan.write);
  const bytes = bytesOf(manifest.files.filter(({ filename }) => writes.has(filename)));
  const unchanged = plan.same.length > 0 ? `, ${counted(plan.same.length, 'file')} unchanged` : '';
  const gone = report && report.removed.length > 0 ? `, ${counted(report.removed.length, 'file')} removed` : '';
  const fetched = `${counted(writes.size, 'file')} (${formatBytes(bytes)})`;
  const target = `of ${printable(manifest.name)} into ${printable(folder)}`;
  print(`${report ? 'pulled' : 'would fetch'} ${fetched} ${target}${unchanged}${gone}`);
  if (report || plan.remove.length === 0) return;
  print(`Would remove ${counted(plan.remove.length, 'file')}: ${namesOf(plan.remove)}.`);
}

async function printLeftAlone(
  prepared: PreparedPull,
  plan: SyncPlan,
  { task, conflicts }: { task: PullTask; conflicts: readonly string[] },
): Promise<void> {
  const { notFiles, notStored } = prepared;
  const paint = painterOf(process.stdout);
  for (const line of keptLines(plan.kept, task.direction)) print(paint('yellow', line));
  if (notStored.length > 0) {
    const [are, them] = notStored.length === 1 ? ['is', 'it'] : ['are', 'them'];
    const why = `which still receives or checks ${them}, has rejected ${them} or found ${them} damaged`;
    const what = `${kindsOf(notStored)} ${are} not stored in the dataset`;
    print(paint('yellow', `${what}, ${why}: ${namesOf(notStored)}. The folder keeps ${them}.`));
  }
  printConflicts(await conflictsIn(task, prepared, conflicts));
  if (notFiles.length === 0) return;
  const names = notFiles.map((name) => printable(JSON.stringify(name))).join(', ');
  printMessage(`not overwritten, because they are no files: ${names}. Move them away, and pull again.`);
}

function pullDocument(
  { folder, direction }: PullTask,
  { manifest, local, state, notFiles, notStored }: PreparedPull,
  { plan, report }: PullResult,
) {
  const { same: unchanged } = plan;
  const hashes = new Map([...local].map(([name, { sha256 }]) => [name, sha256]));
  const sides = { folder: hashes, dataset: hashesIn(manifest), common: state.files };
  const done = report && { pulled: report.pulled, unchanged, removed: report.removed, bytes: report.bytes };
  return {
    ...(report === undefined && { dry_run: true }),
    ...{ name: manifest.name, folder },
    ...(done ?? { pull: plan.write, unchanged, remove: plan.remove }),
    kept: keptDocument(plan.kept, direction),
    conflicts: (report ?? plan).conflicts.map((name) => conflictDocument(name, sides)),
    not_files: notFiles,
    not_stored: notStored,
  };
}
