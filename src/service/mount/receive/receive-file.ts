import { setTimeout as wait } from 'node:timers/promises';
import { DatasetChanged, type HttpSource, MountError, type MountFile } from '../mount-source.js';
import type { PartialFile } from './partial-file.js';

type Read = HttpSource['read'];

export interface ReceiveOptions {
  /** Opens the file to write. */
  readonly open: (file: MountFile) => PartialFile;
  readonly signal: AbortSignal;
}

/** Consecutive connections that break without delivering a byte beyond those of the earlier ones. */
const MAX_EMPTY_READS = 5;

/** Before the connection after one that delivered bytes; twice as long after each that did not. */
const FIRST_PAUSE_MS = 100;

/**
 * Downloads a file, resumes after the bytes of an earlier attempt, and checks size and SHA-256.
 *
 * @returns the file's modification time in milliseconds since 1970
 * @throws MountError `damaged`; DatasetChanged; the errors of `read`; the signal's reason. Received bytes are kept.
 */
export async function receiveFile(read: Read, file: MountFile, options: ReceiveOptions): Promise<number> {
  const part = options.open(file);
  try {
    await part.resume(options.signal);
    const isResumed = part.bytes > 0;
    await receiveRest(read, part, options);
    if (part.isComplete()) return part.mtimeMs();
    part.restart();
    if (isResumed) {
      // The earlier attempt received another file of that name. Download all bytes again.
      await receiveRest(read, part, options);
      if (part.isComplete()) return part.mtimeMs();
      part.restart();
    }
    const damage = `${file.filename} was received with another SHA-256 than the manifest says.`;
    throw new MountError('damaged', `${damage} Try again, or upload the file again.`);
  } finally {
    part.close();
  }
}

/** Reads until the file has its full size, over new connections with pauses between them if one breaks. */
async function receiveRest(read: Read, part: PartialFile, { signal }: ReceiveOptions): Promise<void> {
  // A source without ranges sends all bytes again.
  let mostBytes = part.bytes;
  for (let emptyReads = 0; part.bytes < part.file.sizeBytes; ) {
    signal.throwIfAborted();
    const before = part.bytes;
    try {
      const { from, body } = await read(part.file, before, signal);
      if (from !== before) part.restart();
      if (from !== part.bytes) throw new DatasetChanged(`${part.file.filename} can't be read from byte ${before}`);
      try {
        for await (const chunk of body) part.append(chunk);
      } finally {
        part.flush();
      }
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
