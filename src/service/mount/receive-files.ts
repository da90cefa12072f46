import { lstat, mkdir, readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { mountedNameOf } from '../../dataset/media.js';
import { forEachConcurrent } from '../../for-each-concurrent.js';
import type { HttpSource, MountFile } from './mount-source.js';
import { receiveFile } from './receive-file.js';

/** Larger files come by themselves; small ones together, so that none of them waits for an answer of its own. */
const MAX_TOGETHER = 64;
const MAX_TOGETHER_BYTES = 16 * 1024 * 1024;

export interface ReceiveFilesOptions {
  /** Requests under way at once. */
  readonly connections: number;
  readonly signal: AbortSignal;
  /** Told of bytes that count from now on; fewer than none where some count no more. */
  readonly onBytes: (bytes: number) => void;
  /** Told of each file that is there and right, with the time of its last write in milliseconds since 1970. */
  readonly onFile: (file: MountFile, mtimeMs: number) => void;
}

/**
 * Fills `folder` with these files over the network, and with nothing else; what an earlier attempt has left is taken up where
 * it still fits. The first failure ends the others, which would only go on in vain.
 *
 * @throws MountError; SourceChanged; what the source throws; the signal's reason
 */
export async function receiveFiles(
  folder: string,
  files: readonly MountFile[],
  { read, readTogether }: HttpSource,
  { connections, signal, onBytes, onFile }: ReceiveFilesOptions,
): Promise<void> {
  const begun = await keepOnly(folder, new Set(files.map((file) => mountedNameOf(file.filename))));
  const underWay = new Set<AbortController>();
  const abortAll = (reason: unknown) => {
    for (const each of underWay) each.abort(reason);
  };
  const onAbort = () => abortAll(signal.reason);
  signal.addEventListener('abort', onAbort);
  /** A signal for each request: fetch lets go of one only when memory is tidied up. */
  const withSignal = async (work: (signal: AbortSignal) => Promise<void>) => {
    signal.throwIfAborted();
    const own = new AbortController();
    underWay.add(own);
    try {
      await work(own.signal);
    } catch (error) {
      abortAll(error);
      throw error;
    } finally {
      underWay.delete(own);
    }
  };
  const receiveGroup = async (group: readonly MountFile[]) => {
    const missing = new Set(group);
    if (group.length > 1 && readTogether !== undefined) {
      const onArrived = (file: MountFile, mtimeMs: number) => {
        missing.delete(file);
        onFile(file, mtimeMs);
      };
      await withSignal(async (own) => {
        const body = await readTogether(group, own);
        if (body === undefined) return;
        const { receiveArchive } = await import('./receive-archive.js');
        await receiveArchive(body, group, { folder, onBytes, onFile: onArrived });
      });
    }
    for (const file of missing) {
      const path = join(folder, mountedNameOf(file.filename));
      await withSignal(async (own) => onFile(file, await receiveFile(read, file, { path, signal: own, onBytes })));
    }
  };
  try {
    await forEachConcurrent(groupsOf(files, begun), connections, receiveGroup);
  } finally {
    signal.removeEventListener('abort', onAbort);
  }
}

/** Files to ask for together; one that has begun to arrive goes on by itself. */
function* groupsOf(files: readonly MountFile[], begun: ReadonlySet<string>): Generator<MountFile[]> {
  let group: MountFile[] = [];
  let bytes = 0;
  for (const file of files) {
    if (file.sizeBytes > MAX_TOGETHER_BYTES || begun.has(mountedNameOf(file.filename))) {
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

/** Makes the folder, or leaves nothing in it but files of these names. @returns the names that are there */
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
