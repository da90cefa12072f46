import { createHash } from 'node:crypto';
import type { FileHandle } from 'node:fs/promises';
import { Transform, Writable } from 'node:stream';
import { hasErrno, ServiceError } from '../../dataset/errors.js';
import type { ByteLimit } from './blobs.js';

/** Chunks from a socket are gathered to writes of up to this many bytes. */
const WRITE_BYTES = 512 * 1024;

/** Counts and hashes what flows through, and stops the flow past the limit. */
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

  /** Of all that has flowed through, in lower-case hexadecimal; once, at the end. */
  digest(): string {
    return this.#hash.digest('hex');
  }
}

/** Writes to a file that somebody else closes. */
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

/** A disk that runs full takes a part first; only the attempt to write the rest says why. */
async function writeAll(handle: FileHandle, buffers: readonly Buffer[]): Promise<void> {
  let { bytesWritten } = await handle.writev(buffers);
  for (const buffer of buffers) {
    const missing = buffer.subarray(Math.min(bytesWritten, buffer.length));
    bytesWritten -= buffer.length - missing.length;
    if (missing.length > 0) await handle.writeFile(missing);
  }
}

/** What an error of the disk or of a body means to the one who sent it; others come back as they are. */
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
