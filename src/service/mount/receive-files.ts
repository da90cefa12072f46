import { lstat, mkdir, readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { mountedNameOf } from '../../dataset/media.js';
import { forEachConcurrent } from '../../for-each-concurrent.js';
import type { HttpSource, MountFile } from './mount-source.js';
import { receiveFile } from './receive-file.js';

/** Small files are requested together, so that none of them costs a round trip of its own. */
const MAX_TOGETHER = 64;
const MAX_TOGETHER_BYTES = 16 * 1024 * 1024;

export interface ReceiveFilesOptions {
  /** Concurrent requests. */
  readonly connections: number;
  readonly signal: AbortSignal;
  /** Called with the number of bytes received; negative if bytes are discarded. */
  readonly onBytes: (bytes: number) => void;
  /** Called for each complete file with its modification time in milliseconds since 1970. */
  readonly onFile: (file: MountFile, mtimeMs: number) => void;
}

/**
 * Downloads exactly these files into `folder`. Files of an earlier attempt are kept and resumed if they match. The first
 * failure aborts all other requests.
 *
 * @throws MountError; DatasetChanged; the errors of the source; the signal's reason
 */
export async function receiveFiles(
  folder: string,
  files: readonly MountFile[],
  { read, readTogether }: HttpSource,
  { connections, signal, onBytes, onFile }: ReceiveFilesOptions,
): Promise<void> {
  const started = await keepOnly(folder, new Set(files.map((file) => mountedNameOf(file.filename))));
  const inFlight = new Set<AbortController>();
  const abortAll = (reason: unknown) => {
    for (const controller of inFlight) controller.abort(reason);
  };
  const onAbort = () => abortAll(signal.reason);
  signal.addEventListener('abort', onAbort);
  // Each request gets its own signal: fetch removes its listeners from a signal only at garbage collection.
  const withSignal = async (work: (signal: AbortSignal) => Promise<void>) => {
    signal.throwIfAborted();
    const own = new AbortController();
    inFlight.add(own);
    try {
      await work(own.signal);
    } catch (error) {
      abortAll(error);
      throw error;
    } finally {
      inFlight.delete(own);
    }
  };
  const receiveGroup = async (group: readonly MountFile[]) => {
    const missing = new Set(group);
    if (group.length > 1 && readTogether !== undefined) {
      const onReceived = (file: MountFile, mtimeMs: number) => {
        missing.delete(file);
        onFile(file, mtimeMs);
      };
      await withSignal(async (own) => {
        const body = await readTogether(group, own);
        if (body === undefined) return;
        const { receiveArchive } = await import('./receive-archive.js');
        await receiveArchive(body, group, { folder, onBytes, onFile: onReceived });
      });
    }
    for (const file of missing) {
      const path = join(folder, mountedNameOf(file.filename));
      await withSignal(async (own) => onFile(file, await receiveFile(read, file, { path, signal: own, onBytes })));
    }
  };
  try {
    await forEachConcurrent(groupsOf(files, started), connections, receiveGroup);
  } finally {
    signal.removeEventListener('abort', onAbort);
  }
}

/** Files to request together. A file that an earlier attempt started is requested separately, to resume it. */
function* groupsOf(files: readonly MountFile[], started: ReadonlySet<string>): Generator<MountFile[]> {
  let group: MountFile[] = [];
  let bytes = 0;
  for (const file of files) {
    if (file.sizeBytes > MAX_TOGETHER_BYTES || started.has(mountedNameOf(file.filename))) {
      yield [file];
      continue;
    }
    if (group.length === MAX_TOGETHER || bytes + file.sizeBytes > MAX_TOGETHER_BYTES) {
      yield group;
      [group, bytes] = [[], 0];
    }
    group.push(file);
    bytes += file.sizeBytes;
  }
  if (group.length > 0) yield group;
}

/** Creates the folder, or removes all but the files of these names. @returns the names of the files kept */
async function keepOnly(folder: string, names: ReadonlySet<string>): Promise<Set<string>> {
  const stats = await lstat(folder).catch(() => undefined);
  if (!stats?.isDirectory()) {
    await rm(folder, { force: true });
    await mkdir(folder);
    return new Set();
  }
  const kept = new Set<string>();
  for (const entry of await readdir(folder, { withFileTypes: true })) {
    if (entry.isFile() && names.has(entry.name)) kept.add(entry.name);
    else await rm(join(folder, entry.name), { recursive: true });
  }
  return kept;
}
