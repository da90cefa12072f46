import { lstat, mkdir, rename, rm, rmdir } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import type { Command } from 'commander';
import { hasErrno } from '../../dataset/errors.js';
import { parseFilename } from '../../dataset/names.js';
import { forEachConcurrent } from '../../for-each-concurrent.js';
import {
  type HttpSource,
  type MountFile,
  type MountManifest,
  SourceChanged,
} from '../../service/mount/mount-source.js';
import { sha256Of } from '../../service/mount/mounted-folder.js';
import { receiveFile } from '../../service/mount/receive-file.js';
import { httpSource } from '../mount/mount-sources.js';
import { addRemoteOptions, clientFrom, mustFind, type RemoteOptions, remoteFrom } from '../remote.js';
import { CommandError, EXIT } from '../terminal/exit-codes.js';
import { ProgressLine } from '../terminal/progress-line.js';
import { counted, formatBytes, interruptible, printJson, shown } from '../terminal/terminal.js';

interface Options extends RemoteOptions {
  readonly replace?: boolean;
}

interface Pulled {
  readonly name: string;
  readonly folder: string;
  readonly pulled: string[];
  /** Were there already, with the same bytes. */
  readonly unchanged: string[];
  /** Are there with other bytes, and were left alone. */
  readonly different: string[];
  bytes: number;
}

const CONNECTIONS = 8;
const MAX_ATTEMPTS = 4;

/** Where files are until they are whole; gone once all of them are. */
const PARTIAL_FOLDER = '.trainyard-pull';

const HELP = `
Files keep the names that they have in the dataset, and are checked against their SHA-256. Those that are there already are
skipped, so that an interrupted pull goes on where it ended. A file of yours with other bytes is left alone.

Examples:
  $ trainyard pull railway photos
  $ trainyard pull railway photos --replace   take the dataset's bytes wherever they differ`;

/** `trainyard pull` */
export function addPullCommand(program: Command): void {
  const command = program
    .command('pull')
    .description('Download the files of a dataset, whatever its status.')
    .argument('<name>', 'name or id of a dataset')
    .argument('<folder>', 'where to; made where it is missing')
    .option('--replace', 'overwrite files that are there with other bytes')
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
  else process.stdout.write(`${sentenceFor(result)}\n`);
  if (result.different.length === 0) return;
  const names = result.different.map((name) => shown(JSON.stringify(name))).join(', ');
  if (!options.json) {
    process.stderr.write(`trainyard: left alone, since other bytes are there: ${names}. --replace overwrites them.\n`);
  }
  process.exitCode = EXIT.cannotCreate;
}

async function pullAll(
  source: HttpSource,
  folder: string,
  { options, signal }: { options: Options; signal: AbortSignal },
): Promise<Pulled> {
  const line = new ProgressLine({ isQuiet: options.json === true });
  try {
    for (let attempt = 1; ; attempt++) {
      const manifest = await source.manifest(signal);
      try {
        return await pullOnce(source, manifest, { folder, signal, isForced: options.replace === true, line });
      } catch (error) {
        if (!(error instanceof SourceChanged) || attempt === MAX_ATTEMPTS) throw error;
      }
    }
  } catch (error) {
    if (!(error instanceof SourceChanged)) throw error;
    const message = `the dataset kept changing while it was downloaded (${error.message}). Try again later.`;
    throw new CommandError(EXIT.temporaryFailure, message);
  } finally {
    line.clear();
  }
}

async function pullOnce(
  { read }: HttpSource,
  { name, files }: MountManifest,
  options: { folder: string; signal: AbortSignal; isForced: boolean; line: ProgressLine },
): Promise<Pulled> {
  const { folder, signal, isForced, line } = options;
  const partial = join(folder, PARTIAL_FOLDER);
  const made = await mkdir(partial, { recursive: true });
  const result: Pulled = { name, folder, pulled: [], unchanged: [], different: [], bytes: 0 };
  const totalBytes = files.reduce((sum, file) => sum + file.sizeBytes, 0);
  let [doneBytes, doneFiles] = [0, 0];
  const count = (bytes: number) => {
    doneBytes += bytes;
    line.show(name, { totalFiles: files.length, doneFiles, totalBytes, doneBytes });
  };
  await forEachConcurrent(files, CONNECTIONS, async (file) => {
    signal.throwIfAborted();
    const path = join(folder, safeName(file));
    const there = await whatIsAt(path, file);
    if (there === 'same' || (there === 'different' && !isForced) || there === 'other') {
      result[there === 'same' ? 'unchanged' : 'different'].push(file.filename);
      count(file.sizeBytes);
    } else {
      const arriving = join(partial, file.filename);
      await receiveFile(read, file, { path: arriving, signal, onBytes: count });
      await rename(arriving, path);
      result.pulled.push(file.filename);
      result.bytes += file.sizeBytes;
    }
    doneFiles++;
  });
  await rm(partial, { recursive: true, force: true });
  // A folder that was made for nothing is taken away again.
  if (made !== undefined && made !== partial) await rmdir(folder).catch(() => {});
  for (const names of [result.pulled, result.unchanged, result.different]) names.sort();
  return result;
}

/** @throws CommandError where the service names a file so that it would not stay in the folder */
function safeName({ filename }: MountFile): string {
  if (parseFilename(filename) === filename) return filename;
  throw new CommandError(EXIT.dataError, `the service has a file with the unusable name ${JSON.stringify(filename)}.`);
}

async function whatIsAt(path: string, file: MountFile): Promise<'nothing' | 'same' | 'different' | 'other'> {
  try {
    const stats = await lstat(path);
    if (!stats.isFile()) return 'other';
    return stats.size === file.sizeBytes && (await sha256Of(path)) === file.sha256 ? 'same' : 'different';
  } catch (error) {
    if (hasErrno(error, 'ENOENT')) return 'nothing';
    throw error;
  }
}

function sentenceFor({ name, folder, pulled, unchanged, bytes }: Pulled): string {
  const there = unchanged.length > 0 ? `, ${counted(unchanged.length, 'file')} already there` : '';
  return `pulled ${counted(pulled.length, 'file')} (${formatBytes(bytes)}) of ${shown(name)} into ${shown(folder)}${there}`;
}
