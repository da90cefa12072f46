import { resolve } from 'node:path';
import { type Command, Option } from 'commander';
import { DatasetChanged } from '../../service/mount/mount-source.js';
import { FileInspector } from '../folder/inspect-files.js';
import { httpSource } from '../mount/http-source.js';
import {
  printLeftAlone,
  printPullPlan,
  printPullReport,
  pullConflicts,
  pullDocument,
  pullPlanDocument,
} from '../pull/output.js';
import { intoLockedFolder, type PreparedPull, type PullTask, preparePull, runPull } from '../pull/run.js';
import { addRemoteOptions, clientFrom, mustFind, type RemoteOptions, remoteFrom } from '../remote.js';
import type { SyncPlan } from '../sync/compare.js';
import { askAboutConflicts } from '../sync/conflicts.js';
import { pullDirection } from '../sync/report.js';
import { CommandError, EXIT, interruptible } from '../terminal/exit-codes.js';
import { printJson } from '../terminal/print.js';
import { openProgressDisplay } from '../terminal/progress.js';
import { canAsk } from '../terminal/prompts.js';

interface Options extends RemoteOptions {
  readonly replace?: true;
  readonly ours?: true;
  readonly theirs?: true;
  readonly dryRun?: true;
}

const MAX_ATTEMPTS = 4;

const HELP = `
Files keep their names, and are checked against their SHA-256. Run again after ctrl-C or a lost connection, the same command
fetches only the missing files.

A file that was changed only in the dataset is fetched, and one that was changed only in the folder stays. A file that was
changed in both is a conflict: a terminal asks which version to keep, and otherwise nothing of it is written. "Changed" means
since the last push or pull between this folder and this dataset. Without one, each file that differs is a conflict.

Examples:
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
    .argument('<folder>', 'the folder to download into; created if it is missing')
    .option('--replace', 'also remove from the folder unchanged files that were removed from the dataset')
    .addOption(new Option('--ours', "in conflicts, keep the folder's version").conflicts('theirs'))
    .addOption(new Option('--theirs', "in conflicts, overwrite the folder's version"))
    .option('--dry-run', 'print what would be done, and change nothing')
    .addHelpText('after', HELP)
    .action((name: string, folder: string, options: Options) =>
      interruptible((signal) => pull(name, folder, { options, signal })),
    );
  addRemoteOptions(command);
}

async function pull(
  nameOrId: string,
  folder: string,
  { options, signal }: { options: Options; signal: AbortSignal },
): Promise<void> {
  const client = clientFrom(options);
  const { url } = remoteFrom(options);
  const { id, name } = await mustFind(client, nameOrId, signal);
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
    inspector: new FileInspector(),
    display: openProgressDisplay({ isQuiet: options.json === true }),
    signal,
    direction: pullDirection({ id, name }, { folder, url: options.url, replaces: options.replace === true }),
  };
  try {
    await (options.dryRun
      ? pullUntilStable(task, options)
      : intoLockedFolder(task, () => pullUntilStable(task, options)));
  } finally {
    task.display.clear();
  }
}

async function pullUntilStable(task: PullTask, options: Options): Promise<void> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await pullOnce(task, options);
    } catch (error) {
      if (!(error instanceof DatasetChanged)) throw error;
      if (attempt < MAX_ATTEMPTS) continue;
      const message = `the dataset kept changing while it was downloaded (${error.message}). Try again later.`;
      throw new CommandError(EXIT.temporaryFailure, message);
    }
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
  if (json) {
    printJson(report ? pullDocument(prepared, plan, { report, task }) : pullPlanDocument(prepared, task));
    return;
  }
  if (report) printPullReport(prepared, plan, { report, task });
  else printPullPlan(prepared, task);
  await printLeftAlone(prepared, plan, { task, conflicts });
}

/** The plan once a person has decided about each conflict. */
async function askedPlan(task: PullTask, prepared: PreparedPull): Promise<SyncPlan> {
  const conflicts = await pullConflicts(task, prepared, prepared.plan.conflicts);
  const decisions = await askAboutConflicts(conflicts, task.signal);
  return prepared.decide(
    new Map([...decisions].map(([name, side]) => [name, side === 'theirs' ? 'source' : 'target'])),
  );
}
