import { randomUUID } from 'node:crypto';
import { basename } from 'node:path';
import { type Command, Option } from 'commander';
import { FIX_HELP, fixFiles, requireFix } from '../fix/fix-files.js';
import { FileInspector } from '../folder/inspect-files.js';
import { folderOf, isFolder } from '../folder/read-folder.js';
import { pushPairsOnce } from '../pairs/push-pairs.js';
import { concurrencyOption, notBlank, roleOption } from '../arguments.js';
import { pushOnce } from '../push/push.js';
import { datasetNameFor, type PushFlags, pushTaskFrom } from '../push/plan.js';
import { watchAndPush } from '../push/watch.js';
import { addRemoteOptions, clientFrom } from '../remote.js';
import { CommandError, EXIT, interruptible } from '../terminal/exit-codes.js';
import { openProgressDisplay } from '../terminal/progress.js';

const EXAMPLES = `
Examples:
  $ trainyard push photos                          the folder becomes the dataset "photos"
  $ trainyard push photos --name "Red wagons"      the same under another name
  $ trainyard push photos --dry-run                prints what would be done, and changes nothing
  $ trainyard push photos/*_new.* --name wagons    adds files to a dataset
  $ trainyard push photos --replace                also removes files that were removed from the folder
  $ trainyard push photos --ours                   in conflicts, replaces the dataset's version
  $ trainyard push photos --trigger wgn1           uses "wgn1" as the caption of images without one
  $ trainyard push photos --fix                    fixes files first; with --dry-run it only lists what it would change
  $ trainyard push photos --watch                  pushes every change of the folder, until ctrl-C
  $ trainyard push depth --role control            control images for an edit model, which need no captions
  $ trainyard push edits --pairs                   target/, control/ and mask/ become linked datasets

Run again after ctrl-C or a lost connection, the same command sends only the missing files.

A file that was changed only in the folder is sent, and one that was changed only in the dataset stays. A file that was changed
in both is a conflict: a terminal asks which version to keep, and otherwise nothing of it is sent. "Changed" means since the
last push or pull between this folder and this dataset, or its mount. Without one, each file that differs is a conflict.

--ours also sends files that were removed from the dataset. With --replace --ours, the dataset becomes exactly what the folder
is, also where only the dataset was changed.

--trigger and --caption-all generate captions for media that have none in the folder or in the dataset. Existing captions and
the folder stay as they are. With both, a generated caption is "WORD, TEXT".

--pairs takes a folder with target/ (the images to train on and their captions), and control/ (or control_1/ to control_3/) or
mask/ or both, with images of the same names. They become the datasets NAME, NAME-control (or NAME-control-1 …) and NAME-mask,
or those that NAME is linked to already, and are linked. Targets without a pair are listed before anything is sent.

${FIX_HELP}

Exit codes: 0 the dataset is READY, 1 it is FAILED, 65 the files have errors and nothing was sent, or the service rejected a file,
66 no files found, 69 or 75 the service is unavailable, 73 there are conflicts, 74 a file could not be read or sent,
130 interrupted by ctrl-C.`;

/** `trainyard push` */
export function addPushCommand(program: Command): void {
  const command = program
    .command('push')
    .description('Check files, upload them to a dataset, and wait until it is READY.')
    .argument('<paths...>', 'a folder, or files')
    .option('--name <name>', 'name or ID of the dataset (default: the name of the folder)')
    .addOption(roleOption('the role of the dataset: training (default), control or mask; these two need no captions'))
    .option('--pairs', 'push the folders target/, control/ and mask/ in this folder, and link their datasets')
    .option('--replace', 'also remove from the dataset unchanged files, and uploads, that are no longer in the folder')
    .addOption(new Option('--ours', "in conflicts, replace the dataset's version").conflicts('theirs'))
    .addOption(new Option('--theirs', "in conflicts, keep the dataset's version"))
    .option('--dry-run', 'print what would be done, and change nothing')
    .option('--watch', 'push every change of the folder until ctrl-C; implies --replace and --skip-bad')
    .option('--follow', 'follow links that lead out of the folder')
    .option('--skip-bad', 'leave out files with errors, and media without a caption')
    .option('--allow-uncaptioned', 'send media without a caption, to caption them later')
    .option('--allow-unpaired', 'with --pairs: send targets without a control or mask, to add them later')
    .option('--fix', 'fix files first where that needs no guessing')
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

async function push(given: string[], options: PushFlags, signal: AbortSignal): Promise<void> {
  const flags: PushFlags = options.watch ? { ...options, replace: true, skipBad: true } : options;
  requireFix(flags, ['inPlace', 'yes']);
  // All changes of one push are one revision of the dataset.
  const newClient = () => clientFrom(flags, { change: { how: 'push', id: randomUUID() } });
  const client = newClient();
  const name = await pushedNameFor(given, flags.name);
  requireFitting(given, flags);
  if (flags.replace && !(await Promise.all(given.map(isFolder))).every(Boolean)) {
    const message = '--replace takes folders: of named files it is not known which others are gone.';
    throw new CommandError(EXIT.usage, flags.watch ? ONE_FOLDER : message);
  }
  const display = openProgressDisplay({ isQuiet: flags.json === true });
  const tools = { client, inspector: new FileInspector(), display, signal };
  try {
    if (flags.pairs) return await pushPairsOnce(given[0] ?? '', flags, { name, tools });
    const { paths, fixed } = await fixFiles(given, flags, { ...tools, endsIfDeclined: true });
    const task = await pushTaskFrom(flags, { paths, name, role: flags.role, tools });
    if (flags.watch) await watchAndPush(task, newClient);
    else await pushOnce(task, { document: () => ({ ...fixed }) });
  } finally {
    display.clear();
  }
}

/** The folder's name unless another is given. @throws CommandError with 65 if a dataset can't have it */
async function pushedNameFor(paths: readonly string[], given: string | undefined): Promise<string> {
  const folder = await folderOf(paths);
  if (given === undefined && folder === undefined) {
    throw new CommandError(EXIT.usage, 'the files are in several folders. Name the dataset with --name.');
  }
  return datasetNameFor(given, basename(folder ?? ''), '--name ');
}

const ONE_FOLDER = '--watch takes one folder, and no files.';

function requireFitting(paths: readonly string[], flags: PushFlags): void {
  const { pairs, role, watch } = flags;
  const ofCaptions = {
    '--trigger': flags.trigger,
    '--caption-all': flags.captionAll,
    '--allow-uncaptioned': flags.allowUncaptioned,
  };
  const unused = Object.entries(ofCaptions).find(([, value]) => value !== undefined)?.[0];
  const watchEach = 'run: trainyard push FOLDER/control --name NAME-control --watch';
  const faults: [boolean | undefined, string][] = [
    [flags.allowUnpaired && !pairs, '--allow-unpaired is an option of --pairs. Add --pairs.'],
    [pairs && role !== undefined, '--pairs and --role exclude each other: the names of the folders say the roles.'],
    [
      pairs && watch,
      `--pairs and --watch exclude each other. Watch each folder with a command of its own. For controls, ${watchEach}`,
    ],
    [pairs && paths.length > 1, '--pairs takes one folder.'],
    [
      role !== undefined && role !== 'training' && unused !== undefined,
      `${unused} is of no use for a ${role} dataset, which needs no captions.`,
    ],
    [watch && flags.dryRun, '--watch and --dry-run exclude each other.'],
    [watch && flags.fix, '--watch and --fix exclude each other. Run check --fix first.'],
    [watch && paths.length > 1, ONE_FOLDER],
  ];
  const fault = faults.find(([isGiven]) => isGiven);
  if (fault !== undefined) throw new CommandError(EXIT.usage, fault[1]);
}
