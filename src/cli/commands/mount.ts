import { resolve } from 'node:path';
import { Command } from 'commander';
import { COPY_THREADS } from '../../service/mount/copy-from-folder.js';
import { type Mounted, type MountOptions, mountDataset } from '../../service/mount/mount.js';
import type { MountSource } from '../../service/mount/mount-source.js';
import { runInPlace } from '../mount/exec.js';
import { httpSource, openLocal } from '../mount/mount-sources.js';
import {
  addRemoteOptions,
  clientFrom,
  concurrencyOption,
  mustFind,
  type RemoteOptions,
  remoteFrom,
} from '../remote.js';
import { configFrom } from '../settings.js';
import { CommandError, EXIT, endingOf, errorDocument, interruptible } from '../terminal/exit-codes.js';
import { printJson } from '../terminal/print.js';
import { openProgressDisplay, type ProgressDisplay, transferLine } from '../terminal/progress.js';
import { counted, formatBytes, printable } from '../terminal/text.js';

interface Options extends RemoteOptions {
  readonly into: string;
  readonly data?: string;
  readonly digest?: string;
  readonly link?: boolean;
  readonly replace?: boolean;
  readonly concurrency: number;
}

/** Enough connections to hide the latency of single requests. */
const CONNECTIONS = 8;

const HELP = `
Makes a flat, writable folder ROOT/NAME of each dataset. The folder appears once it is complete, and every file is checked
against its SHA-256. Mounted again, an unchanged dataset is left alone; a changed one is replaced as a whole, including the
trainer's caches in the folder. A folder with files that you changed or added is replaced only with --replace.

Examples:
  $ trainyard mount railway --into /workspace/datasets
  $ trainyard mount railway railway-depth --into /app/ai-toolkit/datasets --exec python run.py job.yaml
  $ trainyard mount railway --into datasets --digest 3f9a…   exactly this version of the dataset
  $ trainyard mount railway --into datasets --data ./data    from a local data folder, without a service`;

/** `trainyard mount` */
export function addMountCommand(program: Command): void {
  // Makes options after a command's name belong to that command: --version behind --exec is for the trainer.
  program.enablePositionalOptions();
  const command = new MountCommand('mount').copyInheritedSettings(program);
  command
    .description('Mount datasets as folders for the trainer.')
    .argument('<names...>', 'names or IDs of datasets')
    .requiredOption('--into <root>', 'the folder to mount into; each dataset becomes a folder in it')
    .option('--digest <sha256>', 'mount exactly this version of one dataset')
    .option('--data <folder>', 'read this data folder, without a service; it may be in use by a server')
    .option('--link', 'hard-link images and videos instead of copying them; needs --data on the same file system')
    .option('--replace', 'replace a folder even if files in it were changed or added')
    .addOption(concurrencyOption('files copied at a time, 1 to 64').default(CONNECTIONS))
    .option('--exec <command...>', 'then run the rest of the line as a command, and exit with its exit code')
    .addHelpText('after', HELP)
    .action((names: string[], options: Options) => mount(names, options, command.executed));
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
  if (options.digest !== undefined && names.length > 1) {
    throw new CommandError(EXIT.usage, '--digest is for one dataset. Mount the others with separate commands.');
  }
  if (options.digest !== undefined && !/^[0-9a-f]{64}$/i.test(options.digest)) {
    const message = '--digest must be a SHA-256 of 64 hexadecimal digits, as "trainyard show" prints it.';
    throw new CommandError(EXIT.usage, message);
  }
  if (options.link && options.data === undefined) {
    throw new CommandError(EXIT.usage, '--link needs --data: only local files can be hard-linked.');
  }
  const isAll = await interruptible((signal) =>
    mountAll(names, options, { signal, isForExec: executed !== undefined }),
  );
  if (executed === undefined || !isAll) return;
  process.exitCode = await runInPlace(executed);
}

/** Mounts the datasets sequentially. After a failure it continues; the first failure decides the exit code. */
async function mountAll(
  names: readonly string[],
  options: Options,
  { signal, isForExec }: { signal: AbortSignal; isForExec: boolean },
): Promise<boolean> {
  const display = openProgressDisplay({ isQuiet: options.json === true });
  const datasets = await datasetsOf(options);
  // With --exec, standard output is for the trainer alone.
  const out = isForExec ? process.stderr : process.stdout;
  const documents: unknown[] = [];
  let firstFailure: number | undefined;
  try {
    for (const name of names) {
      try {
        const source = await datasets.find(name, signal);
        const mounted = await mountDataset(source, optionsFor(name, options, { signal, display }));
        display.clear();
        documents.push(documentOf(mounted));
        if (!options.json) out.write(`${sentenceFor(mounted)}\n`);
        for (const warning of mounted.warnings) process.stderr.write(`trainyard: ${printable(warning)}\n`);
      } catch (error) {
        display.clear();
        signal.throwIfAborted();
        const { code, message } = endingOf(error);
        firstFailure ??= code;
        documents.push({ name, error: errorDocument(error) });
        if (!options.json) process.stderr.write(`trainyard: ${printable(message)}\n`);
      }
    }
  } finally {
    await datasets.close();
  }
  if (options.json && !isForExec) printJson({ mounts: documents });
  if (firstFailure !== undefined) process.exitCode = firstFailure;
  return firstFailure === undefined;
}

async function datasetsOf(options: Options) {
  if (options.data !== undefined) return openLocal(configFrom({ data: options.data }));
  const client = clientFrom(options);
  const { url } = remoteFrom(options);
  const find = async (name: string, signal: AbortSignal): Promise<MountSource> =>
    httpSource(client, { id: (await mustFind(client, name, signal)).id, url });
  return { find, close: async () => {} };
}

function optionsFor(
  name: string,
  options: Options,
  { signal, display }: { signal: AbortSignal; display: ProgressDisplay },
): MountOptions {
  return {
    root: resolve(options.into),
    digest: options.digest,
    replaces: options.replace === true,
    isHardLinked: options.link === true,
    connections: options.concurrency,
    threads: Math.min(COPY_THREADS, options.concurrency),
    copiesOnMainThread: true,
    signal,
    onProgress: (progress) => display.update(() => [`${printable(name)}  ${transferLine(progress)}`]),
    onWaiting: () => display.update(() => [`waiting for another process that mounts into ${options.into} …`]),
  };
}

function sentenceFor({ outcome, name, folder, digest, files, bytes }: Mounted): string {
  const content = `${counted(files, 'file')}, ${formatBytes(bytes)}, digest ${digest.slice(0, 12)}`;
  return outcome === 'mounted'
    ? `mounted ${printable(name)} in ${printable(folder)}: ${content}`
    : `${printable(name)} is unchanged in ${printable(folder)}: ${content}`;
}

function documentOf({ outcome, datasetId, name, digest, folder, files, bytes, warnings }: Mounted) {
  return { name, dataset_id: datasetId, outcome, folder, digest, files, bytes, warnings };
}
