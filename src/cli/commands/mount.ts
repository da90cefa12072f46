import { resolve } from 'node:path';
import { Command, InvalidArgumentError } from 'commander';
import { COPY_THREADS } from '../../service/mount/copy-from-folder.js';
import { type Mounted, type MountOptions, mountDataset } from '../../service/mount/mount.js';
import type { MountSource } from '../../service/mount/mount-source.js';
import { runInPlace } from '../mount/exec.js';
import { httpSource, openLocal } from '../mount/mount-sources.js';
import { addRemoteOptions, clientFrom, mustFind, type RemoteOptions, remoteFrom } from '../remote.js';
import { configFrom } from '../settings.js';
import { CommandError, EXIT, endingOf, errorDocument } from '../terminal/exit-codes.js';
import { ProgressLine } from '../terminal/progress-line.js';
import { counted, formatBytes, interruptible, printJson, shown } from '../terminal/terminal.js';

interface Options extends RemoteOptions {
  readonly into: string;
  readonly data?: string;
  readonly digest?: string;
  readonly link?: boolean;
  readonly replace?: boolean;
  readonly concurrency: number;
}

/** Connections at once: enough to hide the time of one request behind those of others. */
const CONNECTIONS = 8;

const HELP = `
Each dataset becomes a folder of its own, ROOT/NAME: flat, writable, complete or not there at all. Every file is checked
against its SHA-256. Mounted again, a dataset that has not changed is left alone; one that has is replaced as a whole, with
what the trainer has cached in it. Files that somebody else has changed or added are never thrown away without --replace.

Examples:
  $ trainyard mount railway --into /workspace/datasets
  $ trainyard mount railway railway-depth --into /app/ai-toolkit/datasets --exec python run.py job.yaml
  $ trainyard mount railway --into datasets --digest 3f9a…   exactly this state of the dataset, or nothing
  $ trainyard mount railway --into datasets --data ./data    from this machine's data folder, without a service`;

/** `trainyard mount` */
export function addMountCommand(program: Command): void {
  // Options after a command's name belong to that command: --version behind --exec is the trainer's.
  program.enablePositionalOptions();
  const command = new MountCommand('mount').copyInheritedSettings(program);
  addRemoteOptions(command)
    .description('Make datasets folders that the trainer can use.')
    .argument('<names...>', 'names or ids of datasets')
    .requiredOption('--into <root>', 'the folder that the datasets become folders of')
    .option('--digest <sha256>', 'mount this state of the dataset only; of one dataset')
    .option('--data <folder>', 'take the datasets from this data folder, without a service; also while it is served')
    .option('--link', 'hard links in place of copies of images and videos; with --data, on one file system')
    .option('--replace', 'replace a folder also where somebody has changed or added files')
    .option('--concurrency <number>', 'files at once', positive, CONNECTIONS)
    .option('--exec <command...>', 'then run this, the rest of the line, and end as it ends')
    .addHelpText('after', HELP)
    .action((names: string[], options: Options) => mount(names, options, command.executed));
  program.addCommand(command);
}

/** Takes everything behind `--exec` as it is: options there are the trainer's. */
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

function positive(text: string): number {
  const number = /^\d+$/.test(text) ? Number(text) : Number.NaN;
  if (!(number >= 1 && number <= 64)) throw new InvalidArgumentError('It is a whole number from 1 to 64.');
  return number;
}

async function mount(names: readonly string[], options: Options, executed: readonly string[] | undefined) {
  if (options.digest !== undefined && names.length > 1) {
    throw new CommandError(EXIT.usage, '--digest is for one dataset. Mount the others with a command of their own.');
  }
  if (options.digest !== undefined && !/^[0-9a-f]{64}$/i.test(options.digest)) {
    throw new CommandError(
      EXIT.usage,
      '--digest is a SHA-256: 64 hexadecimal digits, as "trainyard show" prints them.',
    );
  }
  if (options.link && options.data === undefined) {
    throw new CommandError(EXIT.usage, '--link needs --data: only files of this machine can be linked to.');
  }
  const isAll = await interruptible((signal) =>
    mountAll(names, options, { signal, isForExec: executed !== undefined }),
  );
  if (executed === undefined || !isAll) return;
  process.exitCode = await runInPlace(executed);
}

/** Goes on after a dataset that can't be mounted; the exit code is that of the first. */
async function mountAll(
  names: readonly string[],
  options: Options,
  { signal, isForExec }: { signal: AbortSignal; isForExec: boolean },
): Promise<boolean> {
  const line = new ProgressLine({ isQuiet: options.json === true });
  const datasets = await datasetsOf(options);
  // What the trainer prints on standard output is the trainer's alone.
  const out = isForExec ? process.stderr : process.stdout;
  const documents: unknown[] = [];
  let firstFailure: number | undefined;
  try {
    for (const name of names) {
      try {
        const source = await datasets.find(name, signal);
        const mounted = await mountDataset(source, optionsFor(name, options, { signal, line }));
        line.clear();
        documents.push(documentOf(mounted));
        if (!options.json) out.write(`${sentenceFor(mounted)}\n`);
        for (const warning of mounted.warnings) process.stderr.write(`trainyard: ${shown(warning)}\n`);
      } catch (error) {
        line.clear();
        signal.throwIfAborted();
        const { code, message } = endingOf(error);
        firstFailure ??= code;
        documents.push({ name, error: errorDocument(error) });
        if (!options.json) process.stderr.write(`trainyard: ${shown(message)}\n`);
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
  { signal, line }: { signal: AbortSignal; line: ProgressLine },
): MountOptions {
  return {
    root: resolve(options.into),
    digest: options.digest,
    isForced: options.replace === true,
    isLinked: options.link === true,
    connections: options.concurrency,
    threads: Math.min(COPY_THREADS, options.concurrency),
    copiesHere: true,
    signal,
    onProgress: (progress) => line.show(name, progress),
    onWaiting: () => line.say(`waiting for another process that mounts into ${options.into} …`),
  };
}

function sentenceFor({ outcome, name, folder, digest, files, bytes }: Mounted): string {
  const what = `${counted(files, 'file')}, ${formatBytes(bytes)}, digest ${digest.slice(0, 12)}`;
  return outcome === 'mounted'
    ? `mounted ${shown(name)} in ${shown(folder)}: ${what}`
    : `${shown(name)} is unchanged in ${shown(folder)}: ${what}`;
}

function documentOf({ outcome, datasetId, name, digest, folder, files, bytes, warnings }: Mounted) {
  return { name, dataset_id: datasetId, outcome, folder, digest, files, bytes, warnings };
}
