import { createHash } from 'node:crypto';
import { closeSync, lstatSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { chmod, constants, copyFile, type FileHandle, link, open, statfs } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { withAnySignal } from '../../abort-signals.js';
import { hasErrno } from '../../dataset/errors.js';
import { mediaTypeOf } from '../../dataset/media.js';
import { forEachConcurrent } from '../../for-each-concurrent.js';
import {
  DatasetChanged,
  type LocalSource,
  MountError,
  type MountSource,
  type PlacedFile,
  type RemoteSource,
} from './mount-source.js';

/** Small files are requested together, so that they don't cost a round trip each. */
const MAX_SMALL_BYTES = 4 * 1024 * 1024;
const MAX_TOGETHER = 256;
const MAX_TOGETHER_BYTES = 16 * 1024 * 1024;

/** To hash fewer bytes takes less time than to pass them to another thread. */
const MIN_BYTES_FOR_THREAD = 16 * 1024;

/** Consecutive connections that break without new bytes. */
const MAX_EMPTY_READS = 5;

/** Before the next connection; it doubles after each without new bytes. */
const FIRST_PAUSE_MS = 100;

export interface BringOptions {
  readonly source: MountSource;
  readonly concurrency: number;
  /** Hard links of local images and videos; captions are always copied. */
  readonly isHardLinked?: boolean;
  readonly signal: AbortSignal;
  /** Negative if bytes are discarded. */
  readonly onBytes: (bytes: number) => void;
  readonly onFile: (file: PlacedFile) => void;
}

/** Compares what folders lack with the free space of the disk of `root`. @throws MountError `no_space` */
export async function requireSpace(
  root: string,
  folders: readonly { folder: string; files: readonly PlacedFile[] }[],
): Promise<void> {
  let missing = 0;
  for (const { folder, files } of folders) {
    for (const { mountedName, upload } of files) {
      missing += Math.max(0, upload.sizeBytes - (sizeOf(join(folder, mountedName)) ?? 0));
    }
  }
  const { bavail, bsize } = await statfs(root);
  const free = bavail * bsize;
  if (missing <= free) return;
  const [needed, available] = [missing, free].map((bytes) => `${Math.ceil(bytes / 1e6).toLocaleString('en')} MB`);
  const message = `The dataset does not fit on the disk of ${root}: it needs ${needed} more, and ${available} are free. Free some space and try again.`;
  throw new MountError('no_space', message);
}

/**
 * Brings files into a folder, and checks the SHA-256. Over HTTP it completes files of an earlier attempt; for local files the
 * folder must be empty. The first failure aborts all others.
 *
 * @throws MountError `damaged`, `cannot_link`, `cannot_write`; DatasetChanged; the errors of the source; the signal's reason
 */
export async function bringFiles(folder: string, files: readonly PlacedFile[], options: BringOptions): Promise<void> {
  const { source, concurrency, onFile } = options;
  const failed = new AbortController();
  const isTogether = ({ mountedName, upload }: PlacedFile) =>
    source.kind === 'remote' && upload.sizeBytes <= MAX_SMALL_BYTES && sizeOf(join(folder, mountedName)) === undefined;
  const bringGroup = async (group: readonly PlacedFile[], signal: AbortSignal) => {
    signal.throwIfAborted();
    const missing = new Set(group);
    if (source.kind === 'remote' && group.length > 1) {
      await receiveTogether(folder, group, {
        ...{ ...options, source, signal },
        onFile: (file) => {
          missing.delete(file);
          onFile(file);
        },
      });
    }
    for (const file of missing) {
      const path = join(folder, file.mountedName);
      await (source.kind === 'local'
        ? copyLocal(path, file, { ...options, source, signal })
        : receiveFile(path, file, { ...options, source, signal }));
      onFile(file);
    }
  };
  await forEachConcurrent(groupsOf(files, isTogether), concurrency, (group) =>
    withAnySignal([options.signal, failed.signal], (signal) => bringGroup(group, signal)).catch((error) => {
      failed.abort(error);
      throw error;
    }),
  );
}

function* groupsOf(files: readonly PlacedFile[], isTogether: (file: PlacedFile) => boolean): Generator<PlacedFile[]> {
  let group: PlacedFile[] = [];
  let bytes = 0;
  for (const file of files) {
    if (!isTogether(file)) {
      yield [file];
      continue;
    }
    if (group.length === MAX_TOGETHER || bytes + file.upload.sizeBytes > MAX_TOGETHER_BYTES) {
      yield group;
      [group, bytes] = [[], 0];
    }
    group.push(file);
    bytes += file.upload.sizeBytes;
  }
  if (group.length > 0) yield group;
}

async function copyLocal(
  path: string,
  file: PlacedFile,
  { source, isHardLinked, signal, onBytes }: BringOptions & { source: LocalSource },
): Promise<void> {
  const { filename, upload } = file;
  const from = source.pathOf(file);
  // The trainer's UI rewrites captions in place (ai-toolkit `api/img/caption`), which would change the stored file.
  const isLink = isHardLinked && mediaTypeOf(filename)?.kind !== 'caption';
  try {
    if (isLink) await link(from, path);
    const isComplete = isLink || (await copyAtOnce(from, path, file));
    const copyTo = isComplete ? undefined : await open(path, 'wx');
    const read = sha256Of(isComplete ? path : from, { signal, onBytes, copyTo });
    if ((await read.finally(() => copyTo?.close())) !== upload.sha256) throw damaged(file);
  } catch (error) {
    // Only the stored file can be missing, since this mount has created the folder.
    if (hasErrno(error, 'ENOENT')) throw await source.missing(file);
    if (hasErrno(error, 'EIO', 'EISDIR')) throw damaged(file, error);
    // The folder had no files before this mount.
    if (hasErrno(error, 'EEXIST')) throw caseConflict(`${JSON.stringify(filename)} and another name`, dirname(path));
    if (isLink && hasErrno(error, 'EXDEV', 'EPERM')) {
      const message = `${JSON.stringify(filename)} can't be hard-linked, which needs the data and the mounted folder on one file system: ${(error as Error).message}`;
      throw new MountError('cannot_link', message, { cause: error });
    }
    throw error;
  }
}

/** Reflinks a file, or copies a small one. @returns false if that fails */
async function copyAtOnce(from: string, path: string, { upload }: PlacedFile): Promise<boolean> {
  const clone = upload.sizeBytes > MAX_SMALL_BYTES ? constants.COPYFILE_FICLONE_FORCE : constants.COPYFILE_FICLONE;
  try {
    await copyFile(from, path, clone | constants.COPYFILE_EXCL);
    // The mode of the stored file may deny others to read.
    await chmod(path, 0o666 & ~process.umask());
    return true;
  } catch (error) {
    if (hasErrno(error, 'EEXIST')) throw error;
    // Some file systems have no reflinks or no modes.
    rmSync(path, { force: true });
    return false;
  }
}

export function caseConflict(names: string, folder: string): MountError {
  const message = `${names} differ in their case alone, which the file system of ${folder} ignores. Rename one of the files in the dataset, or use another file system.`;
  return new MountError('cannot_write', message);
}

function damaged({ filename }: PlacedFile, cause?: unknown): MountError {
  const message = `The bytes of ${JSON.stringify(filename)} in the store are damaged. Upload the file again.`;
  return new MountError('damaged', message, { cause });
}

/** Receives the files that the answer delivers intact. */
async function receiveTogether(
  folder: string,
  files: readonly PlacedFile[],
  { source, signal, onBytes, onFile }: BringOptions & { source: RemoteSource },
): Promise<void> {
  for await (const { file, bytes } of source.readTogether(files, signal)) {
    if ((await sha256OfBytes(bytes)) !== file.upload.sha256) continue;
    // Synchronous: Node's thread pool takes longer than the calls.
    writeFileSync(join(folder, file.mountedName), bytes);
    onBytes(bytes.length);
    onFile(file);
  }
}

type ReceiveOptions = BringOptions & { readonly source: RemoteSource };

/** Downloads the missing bytes, and checks the SHA-256. Received bytes are kept. @throws MountError `damaged`; as `receiveOnce` */
async function receiveFile(path: string, file: PlacedFile, options: ReceiveOptions): Promise<void> {
  const earlier = lstatSync(path, { throwIfNoEntry: false });
  // A hard link is a stored or a pulled file too, which must not be appended to.
  const isUsable = earlier?.isFile() && earlier.nlink === 1 && earlier.size <= file.upload.sizeBytes;
  if (!isUsable) rmSync(path, { recursive: true, force: true });
  writeFileSync(path, '', { flag: 'a' });
  await receiveRest(path, file, options);
  if ((await sha256Of(path, { signal: options.signal })) === file.upload.sha256) return;
  rmSync(path);
  options.onBytes(-file.upload.sizeBytes);
  // The earlier attempt received another file of that name.
  if (isUsable) return receiveFile(path, file, options);
  const damage = `${file.filename} was received with another SHA-256 than the manifest says.`;
  throw new MountError('damaged', `${damage} Try again, or upload the file again.`);
}

/** Reads until the file is complete, over new connections if one breaks. */
async function receiveRest(path: string, file: PlacedFile, options: ReceiveOptions): Promise<void> {
  const { signal, onBytes } = options;
  // A source without ranges sends all bytes again.
  let mostBytes = sizeOf(path) ?? 0;
  onBytes(mostBytes);
  for (let emptyReads = 0; sizeOf(path) !== file.upload.sizeBytes; ) {
    try {
      await receiveOnce(path, file, options);
    } catch (error) {
      signal.throwIfAborted();
      // A broken body is a TypeError of fetch. After "fetch failed", `read` has retried already.
      if (!(error instanceof TypeError) || error.message === 'fetch failed') throw error;
      const received = sizeOf(path) ?? 0;
      emptyReads = received > mostBytes ? 0 : emptyReads + 1;
      if (emptyReads === MAX_EMPTY_READS) throw error;
      mostBytes = Math.max(mostBytes, received);
      await wait(FIRST_PAUSE_MS * 2 ** emptyReads, undefined, { signal }).catch(() => signal.throwIfAborted());
    }
  }
}

/** @throws TypeError if the connection breaks; DatasetChanged; the errors of `read` */
async function receiveOnce(path: string, file: PlacedFile, { source, signal, onBytes }: ReceiveOptions): Promise<void> {
  const size = sizeOf(path) ?? 0;
  const { from, body } = await source.read(file, size, signal);
  if (from !== size && from !== 0) throw new DatasetChanged(`${file.filename} can't be read from byte ${size}`);
  onBytes(from - size);
  let end = from;
  const output = openSync(path, from === 0 ? 'w' : 'a');
  try {
    for await (const chunk of body) {
      end += chunk.length;
      if (end > file.upload.sizeBytes) throw new DatasetChanged(`${file.filename} has become longer`);
      writeFileSync(output, chunk);
      onBytes(chunk.length);
    }
  } finally {
    closeSync(output);
  }
  if (end < file.upload.sizeBytes) throw new TypeError('terminated');
}

type ReadOptions = Partial<Pick<BringOptions, 'signal' | 'onBytes'>> & { readonly copyTo?: FileHandle | undefined };

/** Lower-case hexadecimal. Copies the bytes on the way. @throws the system's errors; the signal's reason */
export async function sha256Of(path: string, { signal, onBytes, copyTo }: ReadOptions = {}): Promise<string> {
  const stats = lstatSync(path);
  if (copyTo === undefined && stats.isFile() && stats.size <= MAX_SMALL_BYTES) {
    onBytes?.(stats.size);
    return sha256OfBytes(readFileSync(path));
  }
  const hash = createHash('sha256');
  const handle = await open(path);
  // To hash a chunk takes about a millisecond of the event loop.
  for await (const chunk of handle.createReadStream({ highWaterMark: 1024 * 1024 })) {
    signal?.throwIfAborted();
    hash.update(chunk);
    await copyTo?.writeFile(chunk);
    onBytes?.(chunk.length);
  }
  return hash.digest('hex');
}

/** Web Crypto hashes in Node's thread pool, on all cores. */
async function sha256OfBytes(bytes: Buffer): Promise<string> {
  if (bytes.length < MIN_BYTES_FOR_THREAD) return createHash('sha256').update(bytes).digest('hex');
  return Buffer.from(await crypto.subtle.digest('SHA-256', bytes)).toString('hex');
}

function sizeOf(path: string): number | undefined {
  return lstatSync(path, { throwIfNoEntry: false })?.size;
}
