import { spawn } from 'node:child_process';
import { constants } from 'node:os';
import { resolve } from 'node:path';
import { Command, InvalidArgumentError, Option } from 'commander';
import { withTimeout } from '../../abort-signals.js';
import { MAX_PIN_NOTE_LENGTH } from '../../api/limits.js';
import { notInPackage } from '../../command-line.js';
import { concurrencyOption, revisionArgument, secondsIn } from '../arguments.js';
import { httpSource } from '../mount/http-source.js';
import { type MountableDatasets, type ReadyWait, type WaitLimit, waitForReady } from '../mount/wait-for-ready.js';
import {
  type RemoteOptions,
  addRemoteOptions,
  clientFrom,
  explainMissingRoute,
  mustFind,
  remoteFrom,
} from '../remote.js';
import { CommandError, EXIT, endingOf, errorDocument, interruptible } from '../terminal/exit-codes.js';
import { print, printJson, printMessage } from '../terminal/print.js';
import { counted, errorMessage, formatBytes, printable } from '../terminal/text.js';
import { type ProgressDisplay, openProgressDisplay, transferLine } from '../terminal/progress.js';
import type { TrainyardClient } from '../../client/client.js';
import { hasErrno } from '../../dataset/errors.js';
import { bytesOf } from '../../service/manifest.js';
import { digestOf } from '../../dataset/digest.js';
import { slotText } from '../../dataset/pairs/roles.js';
import { MEDIA_CHOICES, type MediaChoice } from '../../dataset/train/training-dataset.js';
import { MountError } from '../../service/mount/mount-source.js';
import { type MountOptions, type MountedFolder, mountDataset } from '../../service/mount/mount.js';
import { MOUNT_LAYOUTS, type MountLayout } from '../../service/mount/mounted-folder.js';

interface Options extends RemoteOptions {
  readonly into: string;
  readonly data?: string;
  readonly digest?: string;
  readonly revision?: number;
  readonly wait?: boolean;
  readonly timeout?: { readonly text: string; readonly seconds: number };
  readonly pin?: boolean;
  readonly link?: boolean;
  readonly replace?: boolean;
  readonly only?: MediaChoice;
  readonly layout?: MountLayout;
  readonly concurrency: number;
  readonly openDataFolder: OpenDataFolder | undefined;
}

/** Enough connections to hide the latency of single requests. */
const CONNECTIONS = 8;

/** Timers of Node take up to 24.8 days. */
const MAX_DAYS = 24;

const HELP = `
Makes a flat, writable folder ROOT/NAME of each dataset. The folder appears once it is complete, and every file is checked
against its SHA-256. Mounted again, an unchanged dataset is left alone; a changed one is replaced as a whole, including the
trainer's caches in the folder. A folder with files that you changed or added is replaced only with --replace.

--wait waits while a dataset is DRAFT or UPLOADING, and says for what. A FAILED dataset ends it with 65 and its problems, since
a person has to fix it. --only mounts one kind of media with its captions; a later mount without it brings back the other.

Examples:
  $ trainyard mount railway --into /workspace/datasets
  $ trainyard mount railway --into /workspace/datasets --wait --timeout 2h --exec python run.py job.yaml
  $ trainyard mount railway railway-depth --into /app/ai-toolkit/datasets --exec python run.py job.yaml
  $ trainyard mount railway --into datasets --digest 3f9a…   exactly these files, even if the dataset has changed since
  $ trainyard mount railway --into datasets --revision 12 --pin   as "trainyard log railway" lists them; kept from now on`;

const DATA_HELP = `
  $ trainyard mount railway --into datasets --data ./data    from a local data folder, without a service`;

/** Opens the datasets of a data folder on this machine. */
export type OpenDataFolder = (folder: string) => Promise<MountableDatasets>;

/**
 * `trainyard mount`
 *
 * @param options.openDataFolder for `--data` and `--link`; absent in the package that a service serves
 */
export function addMountCommand(program: Command, { openDataFolder }: { openDataFolder?: OpenDataFolder }): void {
  // Makes options after a command's name belong to that command: --version behind --exec is for the trainer.
  program.enablePositionalOptions();
  const command = new MountCommand('mount').copyInheritedSettings(program);
  command
    .description('Mount datasets as folders for the trainer.')
    .argument('<names...>', 'names or IDs of datasets')
    .requiredOption('--into <root>', 'the folder to mount into; each dataset becomes a folder in it')
    .addOption(
      new Option('--digest <sha256>', 'mount exactly these files of one dataset, the latest or an earlier state')
        .argParser(digestArgument)
        .conflicts(['revision', 'wait']),
    )
    .addOption(
      new Option('--revision <number>', 'mount an earlier revision of one dataset')
        .argParser(revisionArgument)
        .conflicts('wait'),
    )
    .option('--pin', 'keep what was mounted in the history until it is unpinned; needs a token that may write')
    .addOption(
      new Option('--only <kind>', 'mount only images or only videos, with their captions').choices(MEDIA_CHOICES),
    )
    .addOption(
      new Option(
        '--layout <trainer>',
        'onetrainer: masks beside the images; kohya: folders 10_NAME of the groups',
      ).choices(MOUNT_LAYOUTS),
    )
    .addOption(new Option('--wait', 'wait until the datasets are READY').conflicts('data'))
    .addOption(
      new Option('--timeout <time>', 'the longest time to wait, such as 30m or 2h; needs --wait').argParser((text) => {
        return { text, seconds: secondsIn(text, { maxDays: MAX_DAYS }) };
      }),
    )
    .option('--replace', 'replace a folder even if files in it were changed or added')
    .addOption(concurrencyOption('files copied at a time, 1 to 64').default(CONNECTIONS))
    .addOption(
      new Option('--data <folder>', 'read this data folder, without a service; it may be in use by a server').hideHelp(
        openDataFolder === undefined,
      ),
    )
    .addOption(
      new Option(
        '--link',
        'hard-link images and videos instead of copying them; needs --data on the same file system',
      ).hideHelp(openDataFolder === undefined),
    )
    .option('--exec <command...>', 'then run the rest of the line as a command, and exit with its exit code')
    .addHelpText('after', openDataFolder === undefined ? HELP : HELP + DATA_HELP)
    .action((names: string[], options: Omit<Options, 'openDataFolder'>) => {
      return mount(names, { ...options, openDataFolder }, command.executed);
    });
  addRemoteOptions(command);
  program.addCommand(command);
}

/** Passes all arguments behind `--exec` to the trainer as they are. */
class MountCommand extends Command {
  executed: readonly string[] | undefined;

  override parseOptions(args: string[]): { operands: string[]; unknown: string[] } {
    const at = args.indexOf('--exec');
    if (at < 0) return super.parseOptions(args);
    this.executed = args.slice(at + 1);
    if (this.executed.length === 0) this.error("error: option '--exec <command...>' argument missing");
    return super.parseOptions(args.slice(0, at));
  }
}

async function mount(names: readonly string[], options: Options, executed: readonly string[] | undefined) {
  const fault = faultOf(names, options);
  if (fault !== undefined) throw new CommandError(EXIT.usage, fault);
  const { timeout } = options;
  const isForExec = executed !== undefined;
  const isAll = await interruptible((signal) => {
    if (timeout === undefined) return mountAll(names, options, { signal, isForExec });
    // One limit for all datasets together.
    return withTimeout(timeout.seconds * 1000, (over) =>
      mountAll(names, options, { signal, limit: { text: timeout.text, signal: over }, isForExec }),
    );
  });
  if (executed !== undefined && isAll) process.exitCode = await runInPlace(executed);
}

function digestArgument(text: string): string {
  if (/^[0-9a-f]{64}$/i.test(text)) return text.toLowerCase();
  throw new InvalidArgumentError('It must be a SHA-256 of 64 hexadecimal digits, as "trainyard show" prints it.');
}

function faultOf(names: readonly string[], { digest, revision, link, data, wait, timeout }: Options) {
  if (names.length > 1 && (digest ?? revision) !== undefined) {
    return '--digest and --revision are for one dataset. Mount the others with separate commands.';
  }
  if (link && data === undefined) return '--link needs --data: only local files can be hard-linked.';
  return timeout !== undefined && !wait ? '--timeout needs --wait.' : undefined;
}

interface MountRun {
  readonly signal: AbortSignal;
  readonly limit?: WaitLimit;
  readonly isForExec: boolean;
}

/** Mounts the datasets sequentially. After a failure it continues; the first failure decides the exit code. */
async function mountAll(names: readonly string[], options: Options, { signal, limit, isForExec }: MountRun) {
  const display = openProgressDisplay({ isQuiet: options.json === true });
  const datasets = await datasetsOf(options, signal);
  const mountOptions = mountOptionsOf(names, options, { signal, display });
  // With --exec, standard output is for the trainer alone.
  const out = isForExec ? process.stderr : process.stdout;
  const documents: object[] = [];
  const failures: unknown[] = [];
  const linked: MountedFolder[] = [];
  const mountOne = async (nameOrId: string) => {
    const name = nameOrId.normalize('NFC');
    // By itself, a control could be mounted in another state than the one with its target.
    let folders = linked.filter(({ plan: { dataset } }) => dataset.name === name || dataset.id === name);
    if (folders.length === 0) {
      const found = await datasets.find(nameOrId);
      // After a failure, nothing will be trained: the others are mounted only if they are READY.
      const isWaiting = options.wait === true && failures.length === 0;
      folders = await mountFound(found, mountOptions, isWaiting ? { signal, limit, display } : undefined);
      linked.push(...folders.slice(1));
      display.clear();
      if (options.pin) await pinMounted(folders, datasets.pin);
      if (!options.json) for (const line of mountedLines(folders)) print(line, out);
      for (const warning of new Set(folders.flatMap(({ warnings }) => warnings))) printMessage(printable(warning));
    }
    documents.push({ ...mountedDocument(folders), ...(options.pin && { pinned: true }) });
  };
  try {
    for (const name of names) {
      await mountOne(name).catch((error) => {
        display.clear();
        signal.throwIfAborted();
        failures.push(error);
        documents.push({ name, error: errorDocument(error) });
        if (!options.json) printMessage(endingOf(error).message);
      });
    }
  } finally {
    await datasets.close();
  }
  if (options.json && !isForExec) printJson({ mounts: documents });
  if (failures.length > 0) process.exitCode = endingOf(failures[0]).code;
  return failures.length === 0;
}

/** Mounts a dataset, with `wait` once it is READY; waits again if it is changed before the mount has read it. */
async function mountFound(
  found: Awaited<ReturnType<MountableDatasets['find']>>,
  options: MountOptions,
  wait: ReadyWait | undefined,
): Promise<MountedFolder[]> {
  for (;;) {
    if (wait !== undefined) await found.waitForReady?.(wait);
    try {
      return await mountDataset(found.source, options);
    } catch (error) {
      if (wait === undefined || !(error instanceof MountError) || error.code !== 'not_ready') throw error;
    }
  }
}

async function datasetsOf(options: Options, signal: AbortSignal): Promise<MountableDatasets> {
  const { data, openDataFolder } = options;
  if (data !== undefined) {
    if (openDataFolder !== undefined) return openDataFolder(data);
    throw new CommandError(EXIT.usage, notInPackage('mount --data'));
  }
  const client = clientFrom(options);
  const { url } = remoteFrom(options);
  if (options.pin) await requireWritingToken(client, signal);
  return {
    find: async (nameOrId) => {
      const { id, name, role } = await mustFind(client, nameOrId, signal);
      const source = httpSource(client, { id, name, role, url });
      return { source, waitForReady: (waitOptions) => waitForReady(client, { id, name }, waitOptions) };
    },
    pin: (datasetId, revision, note) => client.history.pin(datasetId, revision, { note, signal }),
    close: async () => {},
  };
}

/** @throws CommandError with 77 if the token only reads, before anything is mounted */
async function requireWritingToken(client: TrainyardClient, signal: AbortSignal): Promise<void> {
  const { token } = await client.account({ signal }).catch(explainMissingRoute);
  if (!token.read_only) return;
  const message = '--pin needs a token that may write, and this one only reads. Leave out --pin, or use another token.';
  throw new CommandError(EXIT.noPermission, message);
}

async function pinMounted([own]: readonly MountedFolder[], pin: MountableDatasets['pin']): Promise<void> {
  const { folder, plan } = own!;
  for (const { id, name, revision } of [plan.dataset, ...plan.dataset.links]) {
    if (revision === 0) {
      const message = `"${printable(name)}" was mounted, but not pinned: this service keeps no history of datasets.`;
      throw new CommandError(EXIT.unavailable, message);
    }
    // The service limits the length of notes.
    await pin(id, revision, `mounted in ${folder}`.slice(0, MAX_PIN_NOTE_LENGTH));
  }
}

function mountOptionsOf(
  names: readonly string[],
  { into, only, layout, concurrency, digest, revision, replace, link }: Options,
  { signal, display }: { signal: AbortSignal; display: ProgressDisplay },
): MountOptions {
  return {
    ...{ only, layout, concurrency, signal },
    root: resolve(into),
    wanted: { digest, revision },
    replaces: replace === true,
    isHardLinked: link === true,
    isNamed: (name) => names.some((each) => each.normalize('NFC') === name),
    onProgress: (progress) => display.update(() => [`${printable(progress.name)}  ${transferLine(progress)}`]),
    onWaiting: () => display.update(() => [`waiting for another process that mounts into ${into} …`]),
  };
}

function mountedLines(folders: readonly MountedFolder[]): string[] {
  const { name, links } = folders[0]!.plan.dataset;
  return folders.map((each, i) => {
    const slot = links[i - 1]?.slot;
    return slot === undefined ? sentenceFor(each) : `${sentenceFor(each)}, ${slotText(slot)} of ${printable(name)}`;
  });
}

function sentenceFor({ outcome, folder, plan: { dataset, only, files } }: MountedFolder): string {
  const [name, where] = [printable(dataset.name), printable(folder)];
  const part = only === undefined ? '' : `only ${only}, `;
  const content = `${part}${counted(files.length, 'file')}, ${formatBytes(bytesOf(files))}, digest ${dataset.digest.slice(0, 12)}`;
  return `${outcome === 'mounted' ? `mounted ${name}` : `${name} is unchanged`} in ${where}: ${content}`;
}

/** The linked datasets have no folders in some layouts. */
function mountedDocument([own, ...linkedFolders]: readonly MountedFolder[]) {
  const linked = own!.plan.dataset.links.map(({ slot, id, name, revision, digest }, i) => {
    const folder = linkedFolders[i];
    const unmounted = { name, dataset_id: id, digest, revision: revision || undefined };
    return { as: slot, ...(folder ? folderDocument(folder) : unmounted) };
  });
  return { ...folderDocument(own!), ...(linked.length > 0 && { linked }) };
}

function folderDocument({ outcome, folder, warnings, plan: { dataset, only, layout, files } }: MountedFolder) {
  const { name, id, digest, revision } = dataset;
  // The dataset's own files have their names in the dataset.
  const named = files.map(({ filename, mountedName, of, upload }) => {
    return { filename: of === undefined ? filename : mountedName, upload };
  });
  // Differs from `digest` for a part of the files, or with linked datasets.
  const folderDigest = digestOf(named);
  return {
    ...{ name, dataset_id: id, outcome, folder, digest },
    ...(only !== undefined && { only }),
    ...(layout !== undefined && { layout }),
    ...(folderDigest !== digest && { folder_digest: folderDigest }),
    revision: revision || undefined,
    ...{ files: files.length, bytes: bytesOf(files), warnings },
  };
}

/** The exit codes of shells: 126 for a command that can't be executed, 127 for one that is not found (POSIX, 2.8.2). */
const CANNOT_RUN = 126;
const NOT_FOUND = 127;

/** Signals that a supervisor sends to this process, but intends for the command. */
const FORWARDED: readonly NodeJS.Signals[] = ['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGQUIT', 'SIGUSR1', 'SIGUSR2'];

/** Runs a command with the standard streams of this process. @returns its exit code. @throws CommandError with 127 or 126 */
async function runInPlace([command = '', ...args]: readonly string[]): Promise<number> {
  const forward = (signal: NodeJS.Signals) => {
    // The terminal sends Ctrl-C to every process of the foreground group. Many programs abort at once on a second one.
    const isFromTerminal = process.stdin.isTTY && (signal === 'SIGINT' || signal === 'SIGQUIT');
    if (!isFromTerminal) child.kill(signal);
  };
  // Before the command starts: a signal that comes as soon as it runs would end this process alone.
  for (const signal of FORWARDED) process.on(signal, forward);
  const child = spawn(command, args, { stdio: 'inherit' });
  try {
    return await new Promise<number>((resolve, reject) => {
      child.once('error', reject);
      child.once('exit', (code, signal) => resolve(code ?? 128 + (signal === null ? 0 : constants.signals[signal])));
    });
  } catch (error) {
    const isMissing = hasErrno(error, 'ENOENT');
    const reason = isMissing ? 'command not found' : errorMessage(error);
    throw new CommandError(isMissing ? NOT_FOUND : CANNOT_RUN, `${command} can't be run: ${reason}`);
  } finally {
    for (const signal of FORWARDED) process.off(signal, forward);
  }
}
