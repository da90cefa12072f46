import { lstat, mkdir, rename, rm, rmdir } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import type { Command } from 'commander';
import { hasErrno } from '../../dataset/errors.js';
import { parseFilename } from '../../dataset/names.js';
import { forEachConcurrent } from '../../for-each-concurrent.js';
import {
  DatasetChanged,
  type HttpSource,
  type MountFile,
  type MountManifest,
} from '../../service/mount/mount-source.js';
import { sha256Of } from '../../service/mount/mounted-folder.js';
import { receiveFile } from '../../service/mount/receive-file.js';
import { httpSource } from '../mount/mount-sources.js';
import { addRemoteOptions, clientFrom, mustFind, type RemoteOptions, remoteFrom } from '../remote.js';
import { CommandError, EXIT, interruptible } from '../terminal/exit-codes.js';
import { print, printJson } from '../terminal/print.js';
import { openProgressDisplay, type ProgressDisplay, transferLine } from '../terminal/progress.js';
import { counted, formatBytes, printable } from '../terminal/text.js';

interface Options extends RemoteOptions {
  readonly replace?: boolean;
}

interface Pulled {
  readonly name: string;
  readonly folder: string;
  readonly pulled: string[];
  /** Files that the folder already had. */
  readonly unchanged: string[];
  /** Local files with other bytes, which were not overwritten. */
  readonly different: string[];
  bytes: number;
}

const CONNECTIONS = 8;
const MAX_ATTEMPTS = 4;

/** The folder of incomplete files, removed at the end. */
const PARTIAL_FOLDER = '.trainyard-pull';

const HELP = `
Files keep their names, and are checked against their SHA-256. Files that the folder already has are skipped, so that the
same command continues an interrupted pull. A local file with other bytes is overwritten only with --replace.

Examples:
  $ trainyard pull railway photos
  $ trainyard pull railway photos --replace   overwrite local files that differ`;

/** `trainyard pull` */
export function addPullCommand(program: Command): void {
  const command = program
    .command('pull')
    .description('Download the files of a dataset, READY or not.')
    .argument('<name>', 'name or ID of a dataset')
    .argument('<folder>', 'the folder to download into; created if it is missing')
    .option('--replace', 'overwrite local files that differ')
    .addHelpText('after', HELP)
    .action((name: string, folder: string, options: Options) =>
      interruptible((signal) => pull(name, resolve(folder), { options, signal })),
    );
  addRemoteOptions(command);
}

async function pull(
  nameOrId: string,
  folder: string,
  { options, signal }: { options: Options; signal: AbortSignal },
): Promise<void> {
  const client = clientFrom(options);
  const { id } = await mustFind(client, nameOrId, signal);
  const source = httpSource(client, { id, url: remoteFrom(options).url });
  const result = await pullAll(source, folder, { options, signal });
  if (options.json) printJson(result);
  else print(sentenceFor(result));
  if (result.different.length === 0) return;
  process.exitCode = EXIT.cannotCreate;
  if (options.json) return;
  const names = result.different.map((name) => printable(JSON.stringify(name))).join(', ');
  process.stderr.write(
    `trainyard: not overwritten, because they differ: ${names}. To overwrite them, add --replace.\n`,
  );
}

async function pullAll(
  source: HttpSource,
  folder: string,
  { options, signal }: { options: Options; signal: AbortSignal },
): Promise<Pulled> {
  const display = openProgressDisplay({ isQuiet: options.json === true });
  try {
    for (let attempt = 1; ; attempt++) {
      const manifest = await source.manifest(signal);
      try {
        return await pullOnce(source, manifest, { folder, signal, isForced: options.replace === true, display });
      } catch (error) {
        if (!(error instanceof DatasetChanged)) throw error;
        if (attempt < MAX_ATTEMPTS) continue;
        const message = `the dataset kept changing while it was downloaded (${error.message}). Try again later.`;
        throw new CommandError(EXIT.temporaryFailure, message);
      }
    }
  } finally {
    display.clear();
  }
}

async function pullOnce(
  { read }: HttpSource,
  { name, files }: MountManifest,
  options: { folder: string; signal: AbortSignal; isForced: boolean; display: ProgressDisplay },
): Promise<Pulled> {
  const { folder, signal, isForced, display } = options;
  const partial = join(folder, PARTIAL_FOLDER);
  const created = await mkdir(partial, { recursive: true });
  const result: Pulled = { name, folder, pulled: [], unchanged: [], different: [], bytes: 0 };
  const totalBytes = files.reduce((sum, file) => sum + file.sizeBytes, 0);
  let [doneBytes, doneFiles] = [0, 0];
  const count = (bytes: number) => {
    doneBytes += bytes;
    const progress = { totalFiles: files.length, doneFiles, totalBytes, doneBytes };
    display.update(() => [`${printable(name)}  ${transferLine(progress)}`]);
  };
  await forEachConcurrent(files, CONNECTIONS, async (file) => {
    signal.throwIfAborted();
    const path = join(folder, safeName(file));
    const local = await compareLocal(path, file);
    if (local === 'same' || (local === 'different' && !isForced) || local === 'not-a-file') {
      result[local === 'same' ? 'unchanged' : 'different'].push(file.filename);
      count(file.sizeBytes);
    } else {
      const temporary = join(partial, file.filename);
      await receiveFile(read, file, { path: temporary, signal, onBytes: count });
      await rename(temporary, path);
      result.pulled.push(file.filename);
      result.bytes += file.sizeBytes;
    }
    doneFiles++;
  });
  await rm(partial, { recursive: true, force: true });
  // Removes a new folder that stayed empty; `rmdir` fails for one with files.
  if (created !== undefined && created !== partial) await rmdir(folder).catch(() => {});
  for (const names of [result.pulled, result.unchanged, result.different]) names.sort();
  return result;
}

/** @throws CommandError with 65 for a name that could lead out of the folder */
function safeName({ filename }: MountFile): string {
  if (parseFilename(filename) === filename) return filename;
  throw new CommandError(EXIT.dataError, `the service has a file with the unusable name ${JSON.stringify(filename)}.`);
}

async function compareLocal(path: string, file: MountFile): Promise<'missing' | 'same' | 'different' | 'not-a-file'> {
  try {
    const stats = await lstat(path);
    if (!stats.isFile()) return 'not-a-file';
    return stats.size === file.sizeBytes && (await sha256Of(path)) === file.sha256 ? 'same' : 'different';
  } catch (error) {
    if (hasErrno(error, 'ENOENT')) return 'missing';
    throw error;
  }
}

function sentenceFor({ name, folder, pulled, unchanged, bytes }: Pulled): string {
  const rest = unchanged.length > 0 ? `, ${counted(unchanged.length, 'file')} unchanged` : '';
  return `pulled ${counted(pulled.length, 'file')} (${formatBytes(bytes)}) of ${printable(name)} into ${printable(folder)}${rest}`;
}
