import { createHash, type Hash } from 'node:crypto';
import { constants } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import { MountError, type MountFile, type MountSource, SourceChanged } from './mount-source.js';

/** Connections that break one after the other without a byte in between. */
const MAX_FRUITLESS_READS = 5;

const READ_BYTES = 1024 * 1024;

/**
 * Brings the bytes of a file to `path`, going on where an earlier attempt ended, and checks them against size and SHA-256
 * while they arrive.
 *
 * @returns when the file was last written, in milliseconds since 1970
 * @throws MountError `damaged`; SourceChanged; what `read` throws
 */
export async function receiveFile(
  read: NonNullable<MountSource['read']>,
  file: MountFile,
  { path, signal, onBytes }: { path: string; signal: AbortSignal; onBytes: (bytes: number) => void },
): Promise<{ mtimeMs: number }> {
  const handle = await open(path, constants.O_RDWR | constants.O_CREAT | constants.O_NOFOLLOW, 0o666);
  try {
    let part = await whatIsThere(handle, file);
    const isContinued = part.bytes > 0;
    onBytes(part.bytes);
    for (let fruitless = 0; part.bytes < file.sizeBytes; ) {
      signal.throwIfAborted();
      const before = part.bytes;
      try {
        part = await readOn(read, file, { part, handle, signal, onBytes });
        if (part.bytes < file.sizeBytes)
          throw new TypeError('terminated', { cause: new Error('the answer was short') });
      } catch (error) {
        signal.throwIfAborted();
        // A body that breaks off is a TypeError of fetch; before the first byte, the source has tried again by itself.
        if (!(error instanceof TypeError) || error.message === 'fetch failed') throw error;
        part = await whatIsThere(handle, file);
        fruitless = part.bytes > before ? 0 : fruitless + 1;
        if (fruitless >= MAX_FRUITLESS_READS) throw error;
      }
    }
    if (part.bytes === file.sizeBytes && part.hash.digest('hex') === file.sha256) {
      return { mtimeMs: (await handle.stat()).mtimeMs };
    }
    onBytes(-part.bytes);
    await handle.truncate(0);
    if (!isContinued) {
      throw new MountError('damaged', `${file.filename} did not arrive with the SHA-256 that it is said to have.`);
    }
  } finally {
    await handle.close();
  }
  // The earlier attempt had another file of that name; this time there is nothing to continue.
  return receiveFile(read, file, { path, signal, onBytes });
}

interface Part {
  readonly bytes: number;
  readonly hash: Hash;
}

/** The beginning of a file that an earlier attempt has left. */
async function whatIsThere(handle: FileHandle, file: MountFile): Promise<Part> {
  const hash = createHash('sha256');
  const { size } = await handle.stat();
  if (size > file.sizeBytes) await handle.truncate(0);
  if (size === 0 || size > file.sizeBytes) return { bytes: 0, hash };
  const buffer = Buffer.allocUnsafe(Math.min(READ_BYTES, size));
  for (let at = 0; at < size; ) {
    const { bytesRead } = await handle.read(buffer, 0, buffer.length, at);
    if (bytesRead === 0) break;
    hash.update(buffer.subarray(0, bytesRead));
    at += bytesRead;
  }
  return { bytes: size, hash };
}

async function readOn(
  read: NonNullable<MountSource['read']>,
  file: MountFile,
  options: { part: Part; handle: FileHandle; signal: AbortSignal; onBytes: (bytes: number) => void },
): Promise<Part> {
  const { handle, signal, onBytes } = options;
  let { bytes, hash } = options.part;
  const arrival = await read(file, bytes, signal);
  if (arrival.from !== bytes) {
    if (arrival.from !== 0) throw new SourceChanged(`${file.filename} can't be read from byte ${bytes}`);
    onBytes(-bytes);
    await handle.truncate(0);
    [bytes, hash] = [0, createHash('sha256')];
  }
  for await (const chunk of arrival.body) {
    if (bytes + chunk.length > file.sizeBytes) throw new SourceChanged(`${file.filename} has become longer`);
    hash.update(chunk);
    for (let at = 0; at < chunk.length; ) {
      const { bytesWritten } = await handle.write(chunk, at, chunk.length - at, bytes + at);
      at += bytesWritten;
    }
    bytes += chunk.length;
    onBytes(chunk.length);
  }
  return { bytes, hash };
}
