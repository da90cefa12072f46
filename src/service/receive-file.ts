import { createHash, type Hash } from 'node:crypto';
import { closeSync, constants, fstatSync, ftruncateSync, openSync, readSync, writeSync, writevSync } from 'node:fs';
import { MountError, type MountFile, type MountSource, SourceChanged } from './mount-source.js';

type Read = NonNullable<MountSource['read']>;

export interface ReceiveOptions {
  readonly path: string;
  readonly signal: AbortSignal;
  /** Bytes that count from now on; fewer than none where some count no more. */
  readonly onBytes: (bytes: number) => void;
}

/** Connections that break one after the other without a byte in between. */
const MAX_FRUITLESS_READS = 5;

/** Chunks from the network are gathered to writes of about this size; most pictures are written in one go. */
const WRITE_BYTES = 512 * 1024;

/**
 * Brings the bytes of a file to `path`, going on where an earlier attempt ended, and checks them against size and SHA-256
 * while they arrive.
 *
 * @returns when the file was last written, in milliseconds since 1970
 * @throws MountError `damaged`; SourceChanged; what `read` throws; the signal's reason. What has arrived stays.
 */
export async function receiveFile(read: Read, file: MountFile, options: ReceiveOptions): Promise<number> {
  const flags = constants.O_RDWR | constants.O_CREAT | constants.O_NOFOLLOW;
  const part = new Part(openSync(options.path, flags, 0o666), file, options.onBytes);
  try {
    part.takeUp();
    const isContinued = part.bytes > 0;
    await receiveRest(read, part, options);
    if (part.isRight()) return part.writtenAt();
    part.startOver();
    if (isContinued) {
      // The earlier attempt had another file of that name; now there is nothing to go on from.
      await receiveRest(read, part, options);
      if (part.isRight()) return part.writtenAt();
      part.startOver();
    }
    throw new MountError('damaged', `${file.filename} did not arrive with the SHA-256 that it is said to have.`);
  } finally {
    part.close();
  }
}

/** Reads until the file is as long as it should be, through connections that break. */
async function receiveRest(read: Read, part: Part, { signal }: ReceiveOptions): Promise<void> {
  for (let fruitless = 0; part.bytes < part.file.sizeBytes; ) {
    signal.throwIfAborted();
    const before = part.bytes;
    try {
      const { from, body } = await read(part.file, before, signal);
      if (from !== before) part.startOver();
      if (from !== part.bytes) throw new SourceChanged(`${part.file.filename} can't be read from byte ${before}`);
      await part.append(body);
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

/**
 * A file that has arrived up to `bytes`, with the hash of what is there. Works synchronously: a dataset is mostly small
 * files, and handing every one of five calls for each to another thread takes longer than the calls themselves.
 */
class Part {
  readonly file: MountFile;
  bytes = 0;
  #hash: Hash = createHash('sha256');
  readonly #fd: number;
  readonly #onBytes: (bytes: number) => void;

  constructor(fd: number, file: MountFile, onBytes: (bytes: number) => void) {
    this.#fd = fd;
    this.file = file;
    this.#onBytes = onBytes;
  }

  /** Goes on from what an earlier attempt has left. */
  takeUp(): void {
    const { size } = fstatSync(this.#fd);
    if (size === 0) return;
    if (size > this.file.sizeBytes) {
      this.startOver();
      return;
    }
    const buffer = Buffer.allocUnsafe(Math.min(WRITE_BYTES, size));
    while (this.bytes < size) {
      const length = readSync(this.#fd, buffer, 0, buffer.length, this.bytes);
      if (length === 0) return;
      this.#count(buffer.subarray(0, length));
    }
  }

  /** @throws SourceChanged where more comes than there should be; what the body throws, with all before it written */
  async append(body: AsyncIterable<Uint8Array>): Promise<void> {
    let [gathered, bytes]: [Uint8Array[], number] = [[], 0];
    const write = () => {
      this.#write(gathered);
      [gathered, bytes] = [[], 0];
    };
    try {
      for await (const chunk of body) {
        if (this.bytes + bytes + chunk.length > this.file.sizeBytes) {
          throw new SourceChanged(`${this.file.filename} has become longer`);
        }
        gathered.push(chunk);
        bytes += chunk.length;
        if (bytes >= WRITE_BYTES) write();
      }
    } finally {
      write();
    }
  }

  #write(chunks: readonly Uint8Array[]): void {
    if (chunks.length === 0) return;
    let written = writevSync(this.#fd, chunks, this.bytes);
    for (const chunk of chunks) {
      let taken = Math.min(written, chunk.length);
      written -= taken;
      // A disk that runs full takes a part first; only the attempt to write the rest says why.
      while (taken < chunk.length) {
        taken += writeSync(this.#fd, chunk, taken, chunk.length - taken, this.bytes + taken);
      }
      this.#count(chunk);
    }
  }

  #count(chunk: Uint8Array): void {
    this.#hash.update(chunk);
    this.bytes += chunk.length;
    this.#onBytes(chunk.length);
  }

  startOver(): void {
    ftruncateSync(this.#fd, 0);
    this.#onBytes(-this.bytes);
    this.bytes = 0;
    this.#hash = createHash('sha256');
  }

  isRight(): boolean {
    return this.#hash.copy().digest('hex') === this.file.sha256;
  }

  /** In milliseconds since 1970. */
  writtenAt(): number {
    return fstatSync(this.#fd).mtimeMs;
  }

  close(): void {
    closeSync(this.#fd);
  }
}
