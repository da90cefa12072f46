import { IncomingFile } from './incoming-file.js';
import { type HttpSource, MountError, type MountFile, SourceChanged } from './mount-source.js';

type Read = HttpSource['read'];

export interface ReceiveOptions {
  readonly path: string;
  readonly signal: AbortSignal;
  /** Bytes that count from now on; fewer than none where some count no more. */
  readonly onBytes: (bytes: number) => void;
}

/** Connections that break one after the other without a byte in between. */
const MAX_FRUITLESS_READS = 5;

/**
 * Brings the bytes of a file to `path`, going on where an earlier attempt ended, and checks them against size and SHA-256
 * while they arrive.
 *
 * @returns when the file was last written, in milliseconds since 1970
 * @throws MountError `damaged`; SourceChanged; what `read` throws; the signal's reason. What has arrived stays.
 */
export async function receiveFile(read: Read, file: MountFile, options: ReceiveOptions): Promise<number> {
  const part = new IncomingFile(options.path, file, options.onBytes);
  try {
    part.resume();
    const isContinued = part.bytes > 0;
    await receiveRest(read, part, options);
    if (part.isRight()) return part.writtenAt();
    part.restart();
    if (isContinued) {
      // The earlier attempt had another file of that name; now there is nothing to go on from.
      await receiveRest(read, part, options);
      if (part.isRight()) return part.writtenAt();
      part.restart();
    }
    throw new MountError('damaged', `${file.filename} did not arrive with the SHA-256 that it is said to have.`);
  } finally {
    part.close();
  }
}

/** Reads until the file is as long as it should be, through connections that break. */
async function receiveRest(read: Read, part: IncomingFile, { signal }: ReceiveOptions): Promise<void> {
  for (let fruitless = 0; part.bytes < part.file.sizeBytes; ) {
    signal.throwIfAborted();
    const before = part.bytes;
    try {
      const { from, body } = await read(part.file, before, signal);
      if (from !== before) part.restart();
      if (from !== part.bytes) throw new SourceChanged(`${part.file.filename} can't be read from byte ${before}`);
      try {
        for await (const chunk of body) part.append(chunk);
      } finally {
        part.flush();
      }
      if (part.bytes < part.file.sizeBytes) throw new TypeError('terminated', { cause: new Error('too few bytes') });
    } catch (error) {
      signal.throwIfAborted();
      // What breaks off is a TypeError of fetch; where there is no answer at all, `read` has tried again already.
      if (!(error instanceof TypeError) || error.message === 'fetch failed') throw error;
      fruitless = part.bytes > before ? 0 : fruitless + 1;
      if (fruitless >= MAX_FRUITLESS_READS) throw error;
    }
  }
}
