import { createHash, type Hash } from 'node:crypto';
import {
  closeSync,
  constants,
  fstatSync,
  ftruncateSync,
  lstatSync,
  openSync,
  read,
  unlinkSync,
  writeSync,
  writevSync,
} from 'node:fs';
import { statfs } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { promisify } from 'node:util';
import { withAnySignal } from '../../abort-signals.js';
import { hasErrno } from '../../dataset/errors.js';
import { forEachConcurrent } from '../../for-each-concurrent.js';
import { UnreadableFile } from '../../storage/regular-file.js';
import {
  type BringOptions,
  DatasetChanged,
  type HttpSource,
  MountError,
  nameTaken,
  type PlacedFile,
} from './mount-source.js';

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

/** Of a file that an earlier attempt received, hashed at a time. */
const RESUME_BYTES = 1024 * 1024;
const readAsync = promisify(read);

/** `statfs` types of file systems on which a copy takes no space: btrfs and XFS (`linux/magic.h`). */
const REFLINK_TYPES = [0x9123683e, 0x58465342];

type ReceiveOptions<F extends PlacedFile> = Omit<BringOptions<F>, 'isHardLinked'>;

/**
 * Compares files with the free space of the disk of `root`, before any of them is written.
 *
 * @param options.isCopied whether they are files of this machine: then a copy takes no space where the system has reflinks
 * @throws MountError `no_space`
 */
export async function requireSpace(
  root: string,
  {
    folders,
    isCopied = false,
  }: { folders: readonly { folder: string; files: readonly PlacedFile[] }[]; isCopied?: boolean },
): Promise<void> {
  const { bavail, bsize, type } = await statfs(root);
  if (isCopied && REFLINK_TYPES.includes(type)) return;
  let missing = 0;
  for (const { folder, files } of folders) {
    for (const { mountedName, sizeBytes } of files) {
      const existing = lstatSync(join(folder, mountedName), { throwIfNoEntry: false });
      missing += Math.max(0, sizeBytes - (existing?.size ?? 0));
    }
  }
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
export async function receiveFiles<F extends PlacedFile>(
  folder: string,
  files: readonly F[],
  { source: { read, readTogether }, ...options }: ReceiveOptions<F> & { readonly source: HttpSource },
): Promise<void> {
  const { started, concurrency, signal, onBytes, onFile } = options;
  const failed = new AbortController();
  const request = <T>(work: (own: AbortSignal) => Promise<T>) => withAnySignal([signal, failed.signal], work);
  const begun = new Set<F>();
  const openFile = (file: F): PartialFile => {
    const isNew = !started.has(file.mountedName) && !begun.has(file);
    begun.add(file);
    try {
      return new PartialFile(join(folder, file.mountedName), file, { isNew, onBytes });
    } catch (error) {
      throw isNew && hasErrno(error, 'EEXIST') ? nameTaken(file, files, error) : error;
    }
  };
  const receiveGroup = async (group: readonly F[]) => {
    signal.throwIfAborted();
    const missing = new Set(group);
    if (group.length > 1 && readTogether !== undefined) {
      await request(async (own) => {
        const body = await readTogether(group, own);
        for await (const { file, chunks } of body === undefined ? [] : filesOfArchive(body, group)) {
          const part = openFile(file);
          try {
            part.append(chunks);
            if (!part.isComplete()) continue;
            onFile(file, part.mtimeMs());
            missing.delete(file);
          } finally {
            part.close();
          }
        }
      });
    }
    for (const file of missing) {
      const part = openFile(file);
      try {
        await request((own) => receiveFile(read, part, own));
        onFile(file, part.mtimeMs());
      } finally {
        part.close();
      }
    }
  };
  const isTogether = ({ mountedName, sizeBytes }: F) => !started.has(mountedName) && sizeBytes <= MAX_SMALL_BYTES;
  await forEachConcurrent(groupsOf(files, isTogether), concurrency, (group) =>
    receiveGroup(group).catch((error) => {
      failed.abort(error);
      throw error;
    }),
  );
}

function* groupsOf<F extends PlacedFile>(files: readonly F[], isTogether: (file: F) => boolean): Generator<F[]> {
  let group: F[] = [];
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
async function* filesOfArchive<F extends PlacedFile>(
  body: AsyncIterable<Uint8Array>,
  files: readonly F[],
): AsyncGenerator<{ file: F; chunks: readonly Uint8Array[] }> {
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

/**
 * Downloads a file after the bytes of an earlier attempt, and checks size and SHA-256.
 *
 * @throws MountError `damaged`; DatasetChanged; the errors of `read`; the signal's reason. Received bytes are kept.
 */
async function receiveFile(read: HttpSource['read'], part: PartialFile, signal: AbortSignal): Promise<void> {
  await part.resume(signal);
  const isResumed = part.bytes > 0;
  await receiveRest(read, part, signal);
  if (part.isComplete()) return;
  part.restart();
  if (isResumed) {
    // The earlier attempt received another file of that name. Download all bytes again.
    await receiveRest(read, part, signal);
    if (part.isComplete()) return;
    part.restart();
  }
  const damage = `${part.file.filename} was received with another SHA-256 than the manifest says.`;
  throw new MountError('damaged', `${damage} Try again, or upload the file again.`);
}

/** Reads until the file has its full size, over new connections with pauses between them if one breaks. */
async function receiveRest(read: HttpSource['read'], part: PartialFile, signal: AbortSignal): Promise<void> {
  // A source without ranges sends all bytes again.
  let mostBytes = part.bytes;
  for (let emptyReads = 0; part.bytes < part.file.sizeBytes; ) {
    signal.throwIfAborted();
    const before = part.bytes;
    try {
      const { from, body } = await read(part.file, before, signal);
      if (from !== before) part.restart();
      if (from !== part.bytes) throw new DatasetChanged(`${part.file.filename} can't be read from byte ${before}`);
      for await (const chunk of body) part.append([chunk]);
      if (part.bytes < part.file.sizeBytes) throw new TypeError('terminated', { cause: new Error('too few bytes') });
    } catch (error) {
      signal.throwIfAborted();
      // A broken body is a TypeError of fetch. Without any answer ("fetch failed"), `read` has retried already.
      if (!(error instanceof TypeError) || error.message === 'fetch failed') throw error;
      emptyReads = part.bytes > mostBytes ? 0 : emptyReads + 1;
      if (emptyReads >= MAX_EMPTY_READS) throw error;
      mostBytes = Math.max(mostBytes, part.bytes);
      // An abort ends the pause; the loop then throws its reason.
      await wait(FIRST_PAUSE_MS * 2 ** emptyReads, undefined, { signal }).catch(() => {});
    }
  }
}

/**
 * A file received up to `bytes`, with the SHA-256 of these bytes. All calls but `resume` are synchronous: most files of a dataset
 * are small, and passing five calls a file to Node's thread pool takes longer than the calls.
 */
class PartialFile {
  readonly file: PlacedFile;
  bytes = 0;
  #hash: Hash = createHash('sha256');
  readonly #fd: number;
  readonly #onBytes: (bytes: number) => void;

  /** Opens the file at `path`, or creates it; in place of a hard link, whose other name is a stored or a pulled file. */
  constructor(
    path: string,
    file: PlacedFile,
    { isNew, onBytes }: { isNew: boolean; onBytes: (bytes: number) => void },
  ) {
    const { O_RDWR, O_CREAT, O_EXCL, O_NOFOLLOW, O_NONBLOCK } = constants;
    const existing = isNew ? undefined : lstatSync(path, { throwIfNoEntry: false });
    if (existing?.isFile() && existing.nlink > 1) unlinkSync(path);
    // A file system that ignores case may have the file under another name.
    this.#fd = openSync(path, O_RDWR | O_CREAT | O_NOFOLLOW | O_NONBLOCK | (isNew ? O_EXCL : 0), 0o666);
    if (!fstatSync(this.#fd).isFile()) {
      closeSync(this.#fd);
      throw new UnreadableFile(`${path} is not a file`);
    }
    this.file = file;
    this.#onBytes = onBytes;
  }

  /** Hashes the bytes that an earlier attempt received, to append after them. @throws the signal's reason; the system's errors */
  async resume(signal: AbortSignal): Promise<void> {
    const { size } = fstatSync(this.#fd);
    if (size > this.file.sizeBytes) return this.restart();
    const buffer = Buffer.allocUnsafe(Math.min(RESUME_BYTES, size));
    while (this.bytes < size) {
      const { bytesRead } = await readAsync(this.#fd, buffer, 0, buffer.length, this.bytes);
      signal.throwIfAborted();
      if (bytesRead === 0) return;
      this.#count(buffer.subarray(0, bytesRead));
    }
  }

  /** @throws DatasetChanged if the file gets longer than its manifest says; the system's errors */
  append(chunks: readonly Uint8Array[]): void {
    const length = chunks.reduce((sum, chunk) => sum + chunk.length, 0);
    if (this.bytes + length > this.file.sizeBytes) throw new DatasetChanged(`${this.file.filename} has become longer`);
    if (length === 0) return;
    let written = writevSync(this.#fd, chunks, this.bytes);
    for (const chunk of chunks) {
      let done = Math.min(written, chunk.length);
      written -= done;
      // On a full disk the first write is short; only the next one throws ENOSPC.
      while (done < chunk.length) {
        done += writeSync(this.#fd, chunk, done, chunk.length - done, this.bytes + done);
      }
      this.#count(chunk);
    }
  }

  #count(chunk: Uint8Array): void {
    this.#hash.update(chunk);
    this.bytes += chunk.length;
    this.#onBytes(chunk.length);
  }

  restart(): void {
    ftruncateSync(this.#fd, 0);
    this.#onBytes(-this.bytes);
    this.bytes = 0;
    this.#hash = createHash('sha256');
  }

  /** Whether the file is complete and has the expected SHA-256. */
  isComplete(): boolean {
    return this.#hash.copy().digest('hex') === this.file.sha256;
  }

  /** In milliseconds since 1970. */
  mtimeMs(): number {
    return fstatSync(this.#fd).mtimeMs;
  }

  close(): void {
    closeSync(this.#fd);
  }
}
