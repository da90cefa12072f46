import { createHash, randomUUID } from 'node:crypto';
import { existsSync, mkdirSync } from 'node:fs';
import { access, constants, type FileHandle, link, mkdir, open, rm, unlink } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { type Readable, Transform, Writable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { hasErrno, ServiceError } from '../dataset/errors.js';
import type { BlobStore, StagedBlob } from './blobs.js';

/** Chunks from a socket are gathered to writes of up to this many bytes. */
const WRITE_BYTES = 512 * 1024;

/** A picture is mostly read in one go. */
const READ_BYTES = 256 * 1024;

/**
 * A long upload is written to the platters while it still arrives, whenever this many bytes are new; otherwise the whole
 * file would wait in the page cache for the fsync at its end.
 */
const WRITEBACK_BYTES = 32 * 1024 * 1024;

/** Blobs are spread over 256 folders by the first two characters of their keys, lower-case hexadecimal. */
const SHARDS = Array.from({ length: 256 }, (_, i) => i.toString(16).padStart(2, '0'));

/**
 * Blobs as files of one folder: a temporary name until all bytes are durable, then a link into place, so that a crash at
 * any moment leaves either the whole blob or none. Only one process may hold the folder.
 */
export class DiskBlobs implements BlobStore {
  readonly #root: string;
  readonly #staging: string;
  readonly #shards = new Map<string, Promise<FileHandle>>();

  private constructor(root: string) {
    this.#root = root;
    this.#staging = join(root, 'staging');
  }

  /** Opens the folder, and makes it where it is missing. What an earlier process was still receiving is thrown away. */
  static async open(root: string): Promise<DiskBlobs> {
    const blobs = new DiskBlobs(root);
    if (!existsSync(join(root, SHARDS.at(-1)!))) {
      for (const shard of SHARDS) mkdirSync(join(root, shard), { recursive: true });
      await syncFolder(root);
    }
    await rm(blobs.#staging, { recursive: true, force: true });
    await mkdir(blobs.#staging);
    return blobs;
  }

  async stage(
    body: Readable,
    options: { limit: { bytes: number; message: string }; signal: AbortSignal },
  ): Promise<StagedBlob> {
    const path = join(this.#staging, randomUUID());
    const handle = await open(path, 'wx');
    try {
      const meter = new Meter(options.limit, writebackOf(handle));
      await pipeline(body, meter, sinkOf(handle), { signal: options.signal });
      // Not awaited: the bytes reach the disk while somebody looks at them.
      const durable = handle.datasync().finally(() => handle.close());
      durable.catch(() => {});
      return this.#stagedBlob({ path, durable, sizeBytes: meter.bytes, sha256: meter.digest() });
    } catch (error) {
      await handle.close();
      await unlink(path);
      options.signal.throwIfAborted();
      throw storeError(error);
    }
  }

  #stagedBlob(staged: { path: string; durable: Promise<void>; sizeBytes: number; sha256: string }): StagedBlob {
    const { path, durable, sizeBytes, sha256 } = staged;
    const discard = async () => {
      await durable.catch(() => {});
      await rm(path, { force: true });
    };
    const commit = async (key: string) => {
      try {
        await durable;
        await link(path, this.localPath(key));
        await (await this.#shard(key)).sync();
      } catch (error) {
        if (!hasErrno(error, 'EEXIST')) throw storeError(error);
        throw new ServiceError('upload_settled', 'This upload has already been completed by another request.');
      } finally {
        await discard();
      }
    };
    return { sizeBytes, sha256, path, commit, discard };
  }

  async read(key: string, range?: { start: number; end: number }): Promise<Readable | undefined> {
    try {
      const handle = await open(this.localPath(key));
      const whole = { highWaterMark: READ_BYTES };
      return handle.createReadStream(
        range === undefined ? whole : { ...whole, start: range.start, end: range.end - 1 },
      );
    } catch (error) {
      if (hasErrno(error, 'ENOENT')) return undefined;
      throw error;
    }
  }

  async delete(keys: readonly string[]): Promise<void> {
    for (const key of keys) await rm(this.localPath(key), { force: true });
  }

  localPath(key: string): string {
    return blobPathOf(this.#root, key);
  }

  async ping(): Promise<void> {
    await access(this.#staging, constants.W_OK);
  }

  async close(): Promise<void> {
    for (const shard of this.#shards.values()) await (await shard).close();
    this.#shards.clear();
  }

  /** The folder a key lies in, kept open: its fsync makes the new name durable. */
  #shard(key: string): Promise<FileHandle> {
    const name = basename(key).slice(0, 2);
    let shard = this.#shards.get(name);
    if (shard === undefined) {
      shard = open(join(this.#root, name));
      this.#shards.set(name, shard);
      // A failure such as too many open files may pass; the next commit tries again.
      shard.catch(() => this.#shards.delete(name));
    }
    return shard;
  }
}

/** The file of a blob in a store's folder, for those who read beside the process that holds it. */
export function blobPathOf(root: string, key: string): string {
  const name = basename(key);
  return join(root, name.slice(0, 2), name);
}

/** Counts and hashes what flows through, and stops the flow past the limit. */
class Meter extends Transform {
  bytes = 0;
  readonly #hash = createHash('sha256');
  readonly #limit: { bytes: number; message: string };
  readonly #onProgress: (bytes: number) => void;

  constructor(limit: { bytes: number; message: string }, onProgress: (bytes: number) => void) {
    super();
    this.#limit = limit;
    this.#onProgress = onProgress;
  }

  override _transform(chunk: Buffer, _encoding: string, done: (error: Error | null, chunk?: Buffer) => void): void {
    this.bytes += chunk.length;
    if (this.bytes > this.#limit.bytes) {
      done(new ServiceError('too_large', this.#limit.message));
      return;
    }
    this.#hash.update(chunk);
    this.#onProgress(this.bytes);
    done(null, chunk);
  }

  digest(): string {
    return this.#hash.digest('hex');
  }
}

/** Writes to a file that somebody else closes. */
function sinkOf(handle: FileHandle): Writable {
  return new Writable({
    highWaterMark: WRITE_BYTES,
    write: (chunk, _encoding, done) => {
      writeAll(handle, [chunk]).then(() => done(), done);
    },
    writev: (chunks, done) => {
      const buffers = chunks.map(({ chunk }) => chunk);
      writeAll(handle, buffers).then(() => done(), done);
    },
  });
}

/** A disk that runs full takes a part first; only the attempt to write the rest says why. */
async function writeAll(handle: FileHandle, buffers: readonly Buffer[]): Promise<void> {
  let { bytesWritten } = await handle.writev(buffers);
  for (const buffer of buffers) {
    const missing = buffer.subarray(Math.min(bytesWritten, buffer.length));
    bytesWritten -= buffer.length - missing.length;
    if (missing.length > 0) await handle.writeFile(missing);
  }
}

/** Called with the number of bytes so far, has them written back one stretch after the other, in the background. */
function writebackOf(handle: FileHandle): (bytes: number) => void {
  let nextAt = WRITEBACK_BYTES;
  let isRunning = false;
  return (bytes) => {
    if (bytes < nextAt || isRunning) return;
    nextAt = bytes + WRITEBACK_BYTES;
    isRunning = true;
    const finished = () => {
      isRunning = false;
    };
    // A failure here shows again in the fsync that decides.
    handle.datasync().then(finished, finished);
  };
}

function storeError(error: unknown): unknown {
  if (hasErrno(error, 'ENOSPC', 'EDQUOT')) {
    return new ServiceError('no_space', 'The server has no space left to store this file. Free some and try again.', {
      cause: error,
    });
  }
  if (hasErrno(error, 'ECONNRESET', 'ERR_STREAM_PREMATURE_CLOSE')) {
    return new ServiceError('upload_cut_short', 'The connection ended before the whole file had arrived. Try again.', {
      cause: error,
    });
  }
  return error;
}

async function syncFolder(path: string): Promise<void> {
  const handle = await open(path);
  await handle.sync();
  await handle.close();
}
