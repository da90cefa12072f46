import { createHash } from 'node:crypto';
import type { FileHandle } from 'node:fs/promises';
import type { Readable } from 'node:stream';
import { hasErrno, ServiceError } from '../../dataset/errors.js';
import type { BlobReader, ByteLimit, FetchOptions, MeasuredBlob } from './blobs.js';

/** No further chunk is read while more bytes than this wait for a write. */
const WRITE_BYTES = 512 * 1024;

/** Counts and hashes the bytes of a stream. */
export class Meter {
  bytes = 0;
  readonly #hash = createHash('sha256');
  readonly #limit: ByteLimit;

  constructor(limit: ByteLimit) {
    this.#limit = limit;
  }

  /** @throws ServiceError `too_large` once the bytes exceed the limit */
  add(chunk: Buffer): void {
    this.bytes += chunk.length;
    if (this.bytes > this.#limit.bytes) throw new ServiceError('too_large', this.#limit.message);
    this.#hash.update(chunk);
  }

  /** The size and the SHA-256 in lower-case hexadecimal. Call it once, at the end. */
  facts(): { sizeBytes: number; sha256: string } {
    return { sizeBytes: this.bytes, sha256: this.#hash.digest('hex') };
  }
}

interface IngestOptions {
  readonly meter: Meter;
  readonly signal: AbortSignal;
}

/** Calls `use` with each chunk of a stream, which is destroyed when this rejects. @throws the signal's reason; ServiceError `too_large` */
async function forEachChunk(
  body: Readable,
  { meter, signal }: IngestOptions,
  use: (chunk: Buffer) => Promise<void> | undefined,
): Promise<void> {
  const onAbort = () => body.destroy(signal.reason);
  if (signal.aborted) onAbort();
  else signal.addEventListener('abort', onAbort, { once: true });
  try {
    for await (const chunk of body) {
      meter.add(chunk);
      await use(chunk);
    }
  } catch (error) {
    signal.throwIfAborted();
    throw error;
  } finally {
    signal.removeEventListener('abort', onAbort);
  }
}

/** Reads a whole blob and keeps none of it; `undefined` if there is none. @throws as `BlobStore.fetch` */
export async function measureBlob(
  blobs: Pick<BlobReader, 'read'>,
  key: string,
  options: FetchOptions,
): Promise<Omit<MeasuredBlob, 'content'> | undefined> {
  const body = await blobs.read(key, options);
  if (body === undefined) return undefined;
  const meter = new Meter(options.limit);
  await forEachChunk(body, { meter, signal: options.signal }, () => undefined);
  return { ...meter.facts(), discard: async () => {} };
}

/** Writes a stream to a file, and all that arrives during a write together. The caller closes the file. @throws as `forEachChunk` */
export async function writeStream(
  body: Readable,
  handle: FileHandle,
  { onProgress, ...options }: IngestOptions & { onProgress?: (bytes: number) => void },
): Promise<void> {
  let waiting: Buffer[] = [];
  let waitingBytes = 0;
  let writing: Promise<void> | undefined;
  const writeWaiting = async () => {
    while (waiting.length > 0) {
      const buffers = waiting;
      waiting = [];
      waitingBytes = 0;
      await writeAll(handle, buffers);
    }
    writing = undefined;
  };
  try {
    await forEachChunk(body, options, (chunk) => {
      onProgress?.(options.meter.bytes);
      waiting.push(chunk);
      waitingBytes += chunk.length;
      if (writing === undefined) {
        writing = writeWaiting();
        writing.catch(() => {});
      }
      return waitingBytes > WRITE_BYTES ? writing : undefined;
    });
    await writing;
  } finally {
    // The file must not be closed during a write.
    await writing?.catch(() => {});
  }
}

/** Writes all bytes. On a full disk the first write is short; only the next one fails with ENOSPC. */
async function writeAll(handle: FileHandle, buffers: readonly Buffer[]): Promise<void> {
  let { bytesWritten } = await handle.writev(buffers);
  for (const buffer of buffers) {
    const remaining = buffer.subarray(Math.min(bytesWritten, buffer.length));
    bytesWritten -= buffer.length - remaining.length;
    if (remaining.length > 0) await handle.writeFile(remaining);
  }
}

export function alreadyExists(): ServiceError {
  return new ServiceError('upload_finalized', 'This upload has already been completed by another request.');
}

/** The answer for an error of the disk or of a request body; other errors are returned unchanged. */
export function ingestError(error: unknown): unknown {
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
