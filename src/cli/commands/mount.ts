import { resolve } from 'node:path';
import { Command, Option } from 'commander';
import { MAX_PIN_NOTE_LENGTH } from '../../api/limits.js';
import type { TrainyardClient } from '../../client/client.js';
import { MEDIA_CHOICES, type MediaChoice } from '../../dataset/train/training-dataset.js';
import { type Mounted, type MountOptions, mountDataset } from '../../service/mount/mount.js';
import type { MountSource, WantedState } from '../../service/mount/mount-source.js';
import { MOUNT_LAYOUTS, type MountLayout } from '../../service/mount/mounted-folder.js';
import { runInPlace } from '../mount/exec.js';
import { httpSource } from '../mount/http-source.js';
import type { LocalDatasets } from '../mount/local-source.js';
import { folderDocument, mountedDocument, mountedLines, warningsOf } from '../mount/mounted-output.js';
import { MountedSets } from '../mount/mounted-sets.js';
import {
  addWaitOptions,
  type MountWaitOptions,
  mountAfter,
  requireWaitable,
  type WaitLimit,
  waitForReady,
  withLimit,
} from '../mount/wait-for-ready.js';
import { concurrencyOption, revisionArgument } from '../arguments.js';
import {
  addRemoteOptions,
  clientFrom,
  explainMissingRoute,
  mustFind,
  type RemoteOptions,
  remoteFrom,
} from '../remote.js';
import { CommandError, EXIT, endingOf, errorDocument, interruptible } from '../terminal/exit-codes.js';
import { print, printJson, printMessage } from '../terminal/print.js';
import { openProgressDisplay, type ProgressDisplay, transferLine } from '../terminal/progress.js';
import { printable } from '../terminal/text.js';

interface Options extends RemoteOptions, MountWaitOptions {
  readonly into: string;
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
export type OpenDataFolder = (folder: string) => Promise<LocalDatasets>;

/**
 * `trainyard mount`
 *
 * @param options.openDataFolder for `--data` and `--link`; absent where only a service can be read
 */
export function addMountCommand(program: Command, { openDataFolder }: { openDataFolder?: OpenDataFolder }): void {
  // Makes options after a command's name belong to that command: --version behind --exec is for the trainer.
  program.enablePositionalOptions();
  const command = new MountCommand('mount').copyInheritedSettings(program);
  command
    .description('Mount datasets as folders for the trainer.')
    .argument('<names...>', 'names or IDs of datasets')
    .requiredOption('--into <root>', 'the folder to mount into; each dataset becomes a folder in it')
    .option(
      '--digest <sha256>',
      'mount exactly these files of one dataset: the latest, or an earlier state that is kept',
    )
    .addOption(
      new Option('--revision <number>', 'mount an earlier revision of one dataset').argParser(revisionArgument),
    )
    .option('--pin', 'keep what was mounted in the history until it is unpinned; needs a token that may write')
    .addOption(
      new Option('--only <kind>', 'mount only images or only videos, with their captions').choices(MEDIA_CHOICES),
    )
    .addOption(
      new Option('--layout <trainer>', 'mount the masks beside the images, as this trainer reads them').choices(
        MOUNT_LAYOUTS,
      ),
    )
    .option('--replace', 'replace a folder even if files in it were changed or added')
    .addOption(concurrencyOption('files copied at a time, 1 to 64').default(CONNECTIONS))
    .option('--exec <command...>', 'then run the rest of the line as a command, and exit with its exit code')
    .addHelpText('after', openDataFolder === undefined ? HELP : HELP + DATA_HELP)
    .action((names: string[], options: Omit<Options, 'openDataFolder'>) => {
      return mount(names, { ...options, openDataFolder }, command.executed);
    });
  if (openDataFolder !== undefined) {
    command
      .option('--data <folder>', 'read this data folder, without a service; it may be in use by a server')
      .option('--link', 'hard-link images and videos instead of copying them; needs --data on the same file system');
  }
  addWaitOptions(addRemoteOptions(command));
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
  const { digest, revision } = options;
  const flag = digest !== undefined ? '--digest' : '--revision';
  if ((digest !== undefined || revision !== undefined) && names.length > 1) {
    throw new CommandError(EXIT.usage, `${flag} is for one dataset. Mount the others with separate commands.`);
  }
  if (digest !== undefined && revision !== undefined) {
    throw new CommandError(EXIT.usage, 'use either --digest or --revision: each names one state of the dataset.');
  }
  if (digest !== undefined && !/^[0-9a-f]{64}$/i.test(digest)) {
    const message = '--digest must be a SHA-256 of 64 hexadecimal digits, as "trainyard show" prints it.';
    throw new CommandError(EXIT.usage, message);
  }
  if (options.link && options.data === undefined) {
    throw new CommandError(EXIT.usage, '--link needs --data: only local files can be hard-linked.');
  }
  requireWaitable(options);
  const isForExec = executed !== undefined;
  const isAll = await interruptible((signal) =>
    withLimit(options, (limit) => mountAll(names, options, { signal, limit, isForExec })),
  );
  if (executed === undefined || !isAll) return;
  process.exitCode = await runInPlace(executed);
}

/** The rounds in which targets are mounted again that share a control, which changed between their mounts. */
const MAX_ROUNDS = 3;

/** Mounts the datasets sequentially. After a failure it continues; the first failure decides the exit code. */
async function mountAll(
  names: readonly string[],
  options: Options,
  { signal, limit, isForExec }: { signal: AbortSignal; limit: WaitLimit | undefined; isForExec: boolean },
): Promise<boolean> {
  const display = openProgressDisplay({ isQuiet: options.json === true });
  const datasets = await datasetsOf(options, signal);
  // With --exec, standard output is for the trainer alone.
  const out = isForExec ? process.stderr : process.stdout;
  const mounts = new MountedSets();
  const failures = new Map<string, unknown>();
  const mountOne = async (name: string) => {
    try {
      const { source, isNameUnconfirmed, pin, waitForReady } = await datasets.find(name, signal);
      const mountOptions = {
        ...optionsFor(options, { signal, display }),
        isNameUnconfirmed,
        confirmedNames: new Set(names),
      };
      const mount = () => mountDataset(source, mountOptions);
      // After a failure, nothing will be trained: the others are mounted only if they are READY.
      const wait = options.wait && failures.size === 0 ? waitForReady : undefined;
      const mounted =
        wait === undefined ? await mount() : await mountAfter(() => wait({ signal, limit, display }), mount);
      display.clear();
      if (options.pin) await pinMounted(mounted, pin);
      mounts.add(name, mounted);
      if (!options.json) for (const line of mountedLines(mounted)) print(line, out);
      for (const warning of warningsOf(mounted)) printMessage(printable(warning));
    } catch (error) {
      display.clear();
      signal.throwIfAborted();
      failures.set(name, error);
      if (!options.json) printMessage(endingOf(error).message);
    }
  };
  try {
    // A control that was mounted with its target would be of a later moment if it were mounted again.
    for (const name of names) if (mounts.linkedFolder(name) === undefined) await mountOne(name);
    for (let round = 1; round < MAX_ROUNDS; round++) for (const name of mounts.outdated()) await mountOne(name);
  } finally {
    await datasets.close();
  }
  if (options.json && !isForExec) printJson({ mounts: names.map((name) => documentOf(name)) });
  const [firstFailure] = failures.values();
  if (failures.size > 0) process.exitCode = endingOf(firstFailure).code;
  return failures.size === 0;

  function documentOf(name: string) {
    if (failures.has(name)) return { name, error: errorDocument(failures.get(name)) };
    const mounted = mounts.get(name);
    const document = mounted === undefined ? folderDocument(mounts.linkedFolder(name)!) : mountedDocument(mounted);
    return { ...document, ...(options.pin && { pinned: true }) };
  }
}

interface Datasets {
  readonly find: (nameOrId: string, signal: AbortSignal) => Promise<FoundDataset>;
  readonly close: () => Promise<unknown>;
}

interface FoundDataset {
  readonly source: MountSource;
  readonly isNameUnconfirmed: boolean;
  readonly pin: (datasetId: string, revision: number, note: string) => Promise<unknown>;
  /** Missing in a data folder. */
  readonly waitForReady?: (options: Parameters<typeof waitForReady>[2]) => Promise<void>;
}

async function datasetsOf(options: Options, signal: AbortSignal): Promise<Datasets> {
  const wanted = wantedState(options);
  if (options.data !== undefined && options.openDataFolder !== undefined) {
    const { find, close } = await options.openDataFolder(options.data);
    return { find: async (nameOrId) => ({ ...(await find(nameOrId, wanted)), isNameUnconfirmed: false }), close };
  }
  const client = clientFrom(options);
  const { url } = remoteFrom(options);
  if (options.pin) await requireWritingToken(client, signal);
  const find = async (nameOrId: string): Promise<FoundDataset> => {
    const { id, name, role } = await mustFind(client, nameOrId, signal);
    return {
      source: httpSource(client, { id, name, role, url }, wanted),
      // The service says which name an id has, and could name another folder of the root.
      isNameUnconfirmed: name !== nameOrId.normalize('NFC'),
      pin: (datasetId, revision, note) => client.history.pin(datasetId, revision, { note, signal }),
      waitForReady: (waitOptions) => waitForReady(client, { id, name }, waitOptions),
    };
  };
  return { find, close: async () => {} };
}

function wantedState({ digest, revision }: Options): WantedState {
  return { digest: digest?.toLowerCase(), revision };
}

/** @throws CommandError with 77 if the token only reads, before anything is mounted */
async function requireWritingToken(client: TrainyardClient, signal: AbortSignal): Promise<void> {
  const { token } = await client.account({ signal }).catch(explainMissingRoute);
  if (!token.read_only) return;
  const message = '--pin needs a token that may write, and this one only reads. Leave out --pin, or use another token.';
  throw new CommandError(EXIT.noPermission, message);
}

async function pinMounted({ links, ...mounted }: Mounted, pin: FoundDataset['pin']): Promise<void> {
  for (const { datasetId, name, revision } of [mounted, ...links]) {
    if (revision === undefined) {
      const message = `"${printable(name)}" was mounted, but not pinned: this service keeps no history of datasets.`;
      throw new CommandError(EXIT.unavailable, message);
    }
    // The service limits the length of notes.
    await pin(datasetId, revision, `mounted in ${mounted.folder}`.slice(0, MAX_PIN_NOTE_LENGTH));
  }
}

function optionsFor(
  options: Options,
  { signal, display }: { signal: AbortSignal; display: ProgressDisplay },
): MountOptions {
  return {
    root: resolve(options.into),
    wanted: wantedState(options),
    only: options.only,
    layout: options.layout,
    replaces: options.replace === true,
    isHardLinked: options.link === true,
    connections: options.concurrency,
    threads: options.concurrency,
    copiesOnMainThread: true,
    signal,
    onProgress: (progress) => display.update(() => [`${printable(progress.name)}  ${transferLine(progress)}`]),
    onWaiting: () => display.update(() => [`waiting for another process that mounts into ${options.into} …`]),
  };
}
