import { createHash } from 'node:crypto';
import { createWriteStream, fstatSync, closeSync, lstatSync, openSync, rmSync, writeSync, writevSync } from 'node:fs';
import { statfs } from 'node:fs/promises';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { setTimeout as wait } from 'node:timers/promises';
import { withAnySignal } from '../../abort-signals.js';
import { forEachConcurrent } from '../../for-each-concurrent.js';
import {
  type BringOptions,
  DatasetChanged,
  type HttpSource,
  MountError,
  nameTaken,
  type PlacedFile,
} from './mount-source.js';
import { sha256Of } from './mounted-folder.js';

/** Small files are requested together, so that none of them costs a round trip of its own. They are held in memory. */
const MAX_SMALL_BYTES = 4 * 1024 * 1024;
const MAX_TOGETHER = 256;
const MAX_TOGETHER_BYTES = 16 * 1024 * 1024;

/** A tar archive consists of 512-byte blocks. */
const BLOCK_BYTES = 512;
const SIZE_AT = 124;
const TYPE_AT = 156;
const LONG_NAME = 'L'.charCodeAt(0);
const MAX_LONG_NAME_BYTES = 16 * 1024;

/** Consecutive connections that break without delivering a byte beyond those of the earlier ones. */
const MAX_EMPTY_READS = 5;

/** Before the connection after one that delivered bytes; twice as long after each that did not. */
const FIRST_PAUSE_MS = 100;

/**
 * Compares the bytes that are missing in folders with the free space of the disk of `root`, before any of them is fetched.
 *
 * @throws MountError `no_space`
 */
export async function requireSpace(
  root: string,
  folders: readonly { folder: string; files: readonly PlacedFile[] }[],
): Promise<void> {
  let missing = 0;
  for (const { folder, files } of folders) {
    for (const { mountedName, sizeBytes } of files)
      missing += Math.max(0, sizeBytes - sizeOf(join(folder, mountedName)));
  }
  const { bavail, bsize } = await statfs(root);
  const free = bavail * bsize;
  if (missing <= free) return;
  const [needed, available] = [missing, free].map((bytes) => `${Math.ceil(bytes / 1e6).toLocaleString('en')} MB`);
  const message = `The dataset does not fit on the disk of ${root}: it needs ${needed} more, and ${available} are free. Free some space and try again.`;
  throw new MountError('no_space', message);
}

/**
 * Downloads files into a folder. Those of an earlier attempt are kept, or continued, if they match. The first failure aborts all
 * other requests.
 *
 * @throws MountError `damaged`, `cannot_write`; DatasetChanged; the errors of the source; the signal's reason
 */
export async function receiveFiles(
  folder: string,
  files: readonly PlacedFile[],
  { source, ...options }: Omit<BringOptions, 'isHardLinked'> & { readonly source: HttpSource },
): Promise<void> {
  const { started, concurrency, signal, onBytes, onFile } = options;
  const { read, readTogether } = source;
  const failed = new AbortController();
  const request = <T>(work: (own: AbortSignal) => Promise<T>) => withAnySignal([signal, failed.signal], work);
  const pathOf = (file: PlacedFile): string => {
    const path = join(folder, file.mountedName);
    const existing = lstatSync(path, { throwIfNoEntry: false });
    if (existing !== undefined && !started.has(file.mountedName)) throw nameTaken(file, files);
    // The other name of a hard link is a stored or a pulled file.
    if (existing !== undefined && existing.nlink > 1) rmSync(path);
    return path;
  };
  const receiveGroup = async (group: readonly PlacedFile[]) => {
    signal.throwIfAborted();
    const missing = new Set(group);
    if (group.length > 1 && readTogether !== undefined) {
      await request(async (own) => {
        const body = await readTogether(group, own);
        for await (const { file, chunks } of body === undefined ? [] : filesOfArchive(body, group)) {
          if (!isIntact(file, chunks)) continue;
          onFile(file, writeFile(pathOf(file), chunks));
          missing.delete(file);
          onBytes(file.sizeBytes);
        }
      });
    }
    for (const file of missing) {
      const path = pathOf(file);
      await request((own) => receiveFile(path, file, { read, signal: own, onBytes }));
      onFile(file, lstatSync(path).mtimeMs);
    }
  };
  const isTogether = ({ mountedName, sizeBytes }: PlacedFile) => {
    return !started.has(mountedName) && sizeBytes <= MAX_SMALL_BYTES;
  };
  await forEachConcurrent(groupsOf(files, isTogether), concurrency, (group) =>
    receiveGroup(group).catch((error) => {
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
    if (group.length === MAX_TOGETHER || bytes + file.sizeBytes > MAX_TOGETHER_BYTES) {
      yield group;
      [group, bytes] = [[], 0];
    }
    group.push(file);
    bytes += file.sizeBytes;
  }
  if (group.length > 0) yield group;
}

/**
 * Yields the files of a tar archive (POSIX.1-2017, pax, *ustar interchange format*), which are in the order of the request, with
 * their bytes unchecked. Ends at the first entry that is not the expected one, and where the connection breaks.
 */
async function* filesOfArchive(
  body: AsyncIterable<Uint8Array>,
  files: readonly PlacedFile[],
): AsyncGenerator<{ file: PlacedFile; chunks: readonly Uint8Array[] }> {
  const stream = body[Symbol.asyncIterator]();
  const take = readerOf(stream);
  try {
    for (const file of files) {
      let header = Buffer.concat(await take(BLOCK_BYTES));
      // A long name is an entry before that of the file (GNU tar manual, *Basic Tar Format*).
      if (header[TYPE_AT] === LONG_NAME && sizeIn(header) <= MAX_LONG_NAME_BYTES) {
        await take(paddedBytes(sizeIn(header)));
        header = Buffer.concat(await take(BLOCK_BYTES));
      }
      if (sizeIn(header) !== file.sizeBytes) break;
      yield { file, chunks: await take(file.sizeBytes) };
      await take(paddedBytes(file.sizeBytes) - file.sizeBytes);
    }
  } catch (error) {
    // The body of `fetch` fails with a TypeError.
    if (!(error instanceof TypeError)) throw error;
  } finally {
    await stream.return?.();
  }
}

function sizeIn(header: Buffer): number {
  return Number.parseInt(header.toString('latin1', SIZE_AT, SIZE_AT + 11), 8);
}

function paddedBytes(sizeBytes: number): number {
  return Math.ceil(sizeBytes / BLOCK_BYTES) * BLOCK_BYTES;
}

/** A function that reads the next bytes of a stream. It throws a TypeError, as `fetch` does, if the stream ends before. */
function readerOf(stream: AsyncIterator<Uint8Array>): (bytes: number) => Promise<Uint8Array[]> {
  let rest: Uint8Array = new Uint8Array();
  return async (bytes) => {
    const chunks: Uint8Array[] = [];
    for (let missing = bytes; missing > 0; ) {
      if (rest.length === 0) {
        const next = await stream.next();
        if (next.done) throw new TypeError('terminated');
        rest = next.value;
      }
      chunks.push(rest.subarray(0, missing));
      rest = rest.subarray(Math.min(missing, rest.length));
      missing -= chunks.at(-1)!.length;
    }
    return chunks;
  };
}

function isIntact({ sha256 }: PlacedFile, chunks: readonly Uint8Array[]): boolean {
  const hash = createHash('sha256');
  for (const chunk of chunks) hash.update(chunk);
  return hash.digest('hex') === sha256;
}

/**
 * Synchronous: to pass four calls a file to Node's thread pool takes longer than the calls.
 *
 * @returns the modification time in milliseconds since 1970
 */
function writeFile(path: string, chunks: readonly Uint8Array[]): number {
  const handle = openSync(path, 'wx');
  try {
    let written = chunks.length === 0 ? 0 : writevSync(handle, chunks);
    for (const chunk of chunks) {
      let done = Math.min(written, chunk.length);
      written -= done;
      // On a full disk the first write is short; only the next one throws ENOSPC.
      while (done < chunk.length) done += writeSync(handle, chunk, done);
    }
    return fstatSync(handle).mtimeMs;
  } finally {
    closeSync(handle);
  }
}

interface ReceiveFileOptions {
  readonly read: HttpSource['read'];
  readonly signal: AbortSignal;
  readonly onBytes: (bytes: number) => void;
}

/**
 * Downloads a file after the bytes of an earlier attempt, and checks its SHA-256.
 *
 * @throws MountError `damaged`; DatasetChanged; the errors of `read`; the signal's reason. Received bytes are kept.
 */
async function receiveFile(path: string, file: PlacedFile, options: ReceiveFileOptions): Promise<void> {
  const isResumed = sizeOf(path) > 0;
  await receiveRest(path, file, options);
  if ((await sha256Of(path)) === file.sha256) return;
  rmSync(path);
  options.onBytes(-file.sizeBytes);
  // The earlier attempt received another file of that name. Download all bytes again.
  if (isResumed) return receiveFile(path, file, options);
  const damage = `${file.filename} was received with another SHA-256 than the manifest says.`;
  throw new MountError('damaged', `${damage} Try again, or upload the file again.`);
}

/** Reads until the file has its full size, over new connections with pauses between them if one breaks. */
async function receiveRest(
  path: string,
  file: PlacedFile,
  { read, signal, onBytes }: ReceiveFileOptions,
): Promise<void> {
  if (sizeOf(path) > file.sizeBytes) rmSync(path);
  closeSync(openSync(path, 'a'));
  let reported = 0;
  const report = (bytes: number) => {
    onBytes(bytes - reported);
    reported = bytes;
  };
  // A source without ranges sends all bytes again.
  let mostBytes = sizeOf(path);
  for (let emptyReads = 0; ; ) {
    signal.throwIfAborted();
    const size = sizeOf(path);
    report(size);
    if (size === file.sizeBytes) return;
    try {
      const { from, body } = await read(file, size, signal);
      if (from !== size && from !== 0) throw new DatasetChanged(`${file.filename} can't be read from byte ${size}`);
      let end = from;
      const counted = async function* (chunks: AsyncIterable<Uint8Array>) {
        for await (const chunk of chunks) {
          end += chunk.length;
          if (end > file.sizeBytes) throw new DatasetChanged(`${file.filename} has become longer`);
          report(end);
          yield chunk;
        }
      };
      await pipeline(body, counted, createWriteStream(path, { flags: from === 0 ? 'w' : 'a' }));
      if (end < file.sizeBytes) throw new TypeError('terminated', { cause: new Error('too few bytes') });
    } catch (error) {
      signal.throwIfAborted();
      // A broken body is a TypeError of fetch. Without any answer ("fetch failed"), `read` has retried already.
      if (!(error instanceof TypeError) || error.message === 'fetch failed') throw error;
      const received = sizeOf(path);
      emptyReads = received > mostBytes ? 0 : emptyReads + 1;
      if (emptyReads >= MAX_EMPTY_READS) throw error;
      mostBytes = Math.max(mostBytes, received);
      // An abort ends the pause; the loop then throws its reason.
      await wait(FIRST_PAUSE_MS * 2 ** emptyReads, undefined, { signal }).catch(() => {});
    }
  }
}

/** 0 if there is no file. */
function sizeOf(path: string): number {
  return lstatSync(path, { throwIfNoEntry: false })?.size ?? 0;
}
