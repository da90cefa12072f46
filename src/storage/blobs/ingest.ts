import { createHash } from 'node:crypto';
import type { FileHandle } from 'node:fs/promises';
import { type Readable, Transform, Writable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { hasErrno, ServiceError } from '../../dataset/errors.js';
import type { ByteLimit } from './blobs.js';

/** Chunks from a socket are combined into writes of up to this size. */
const WRITE_BYTES = 512 * 1024;

/** Counts and hashes the bytes of a stream, and fails with `too_large` once they exceed the limit. */
export class Meter extends Transform {
  bytes = 0;
  readonly #hash = createHash('sha256');
  readonly #limit: ByteLimit;
  readonly #onProgress: (bytes: number) => void;

  constructor(limit: ByteLimit, onProgress: (bytes: number) => void = () => {}) {
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

  /** The SHA-256 of all bytes, lower-case hexadecimal. Call it once, at the end. */
  digest(): string {
    return this.#hash.digest('hex');
  }
}

/** Computes the MD5 of the bytes too, which many stores use as the ETag. */
export class Md5Meter extends Meter {
  readonly #md5 = createHash('md5');

  override _transform(chunk: Buffer, encoding: string, done: (error: Error | null, chunk?: Buffer) => void): void {
    this.#md5.update(chunk);
    super._transform(chunk, encoding, done);
  }

  /** The MD5 of all bytes, lower-case hexadecimal. Call it once, at the end. */
  md5(): string {
    return this.#md5.digest('hex');
  }
}

/** Reads a stream to its end. @throws the signal's reason; ServiceError `too_large` */
export async function measure(
  body: Readable,
  { limit, signal, meter = new Meter(limit) }: { limit: ByteLimit; signal: AbortSignal; meter?: Meter },
): Promise<{ sizeBytes: number; sha256: string }> {
  const discard = new Writable({ write: (_chunk, _encoding, done) => done() });
  await pipeline(body, meter, discard, { signal }).catch((error) => {
    signal.throwIfAborted();
    throw error;
  });
  return { sizeBytes: meter.bytes, sha256: meter.digest() };
}

/** Writes to a file, which the caller closes. */
export function fileSink(handle: FileHandle): Writable {
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

/** Writes all bytes. On a full disk the first write is short; only the next one fails with ENOSPC. */
async function writeAll(handle: FileHandle, buffers: readonly Buffer[]): Promise<void> {
  let { bytesWritten } = await handle.writev(buffers);
  for (const buffer of buffers) {
    const remaining = buffer.subarray(Math.min(bytesWritten, buffer.length));
    bytesWritten -= buffer.length - remaining.length;
    if (remaining.length > 0) await handle.writeFile(remaining);
  }
}

/** The answer to a client after a concurrent request has stored the upload. */
export function alreadyExists(): ServiceError {
  return new ServiceError('upload_finalized', 'This upload has already been completed by another request.');
}

/** The answer to a client for an error of the disk or of a request body; other errors are returned unchanged. */
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
