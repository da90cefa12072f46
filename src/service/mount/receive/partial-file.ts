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
import { promisify } from 'node:util';
import { UnreadableFile } from '../../../storage/regular-file.js';
import { DatasetChanged, type MountFile } from '../mount-source.js';

/** Network chunks are buffered until about this size, so that most images are written by one call. */
const WRITE_BYTES = 512 * 1024;

/** Bytes that are hashed in one turn of the event loop, in a millisecond or two. */
const RESUME_BYTES = 1024 * 1024;
const readAsync = promisify(read);

/**
 * A file received up to `bytes`, with the SHA-256 of these bytes. All calls but `resume` are synchronous: most files of a dataset
 * are small, and passing five calls a file to Node's thread pool takes longer than the calls.
 */
export class PartialFile {
  readonly file: MountFile;
  bytes = 0;
  #hash: Hash = createHash('sha256');
  #buffered: Uint8Array[] = [];
  #bufferedBytes = 0;
  readonly #fd: number;
  readonly #onBytes: (bytes: number) => void;

  /**
   * Opens the file at `path`, or creates it; in place of a file that also has another name: a stored one that an earlier mount
   * hard-linked, or one that a pull has installed.
   *
   * @param options.isNew fails with EEXIST if the file exists. A file system that ignores case may have it under another name.
   * @param options.onBytes called with the number of bytes added; negative if bytes are discarded
   * @throws UnreadableFile if it is not a file; the system's errors
   */
  constructor(path: string, file: MountFile, { isNew, onBytes }: { isNew: boolean; onBytes: (bytes: number) => void }) {
    const { O_RDWR, O_CREAT, O_EXCL, O_NOFOLLOW, O_NONBLOCK } = constants;
    const existing = isNew ? undefined : lstatSync(path, { throwIfNoEntry: false });
    if (existing?.isFile() && existing.nlink > 1) unlinkSync(path);
    this.#fd = openSync(path, O_RDWR | O_CREAT | O_NOFOLLOW | O_NONBLOCK | (isNew ? O_EXCL : 0), 0o666);
    if (!fstatSync(this.#fd).isFile()) {
      closeSync(this.#fd);
      throw new UnreadableFile(`${path} is not a file`);
    }
    this.file = file;
    this.#onBytes = onBytes;
  }

  /**
   * Hashes the bytes that an earlier attempt received, to append after them.
   *
   * @throws the signal's reason; the system's errors
   */
  async resume(signal: AbortSignal): Promise<void> {
    const { size } = fstatSync(this.#fd);
    if (size === 0) return;
    if (size > this.file.sizeBytes) {
      this.restart();
      return;
    }
    const buffer = Buffer.allocUnsafe(Math.min(RESUME_BYTES, size));
    while (this.bytes < size) {
      const { bytesRead } = await readAsync(this.#fd, buffer, 0, buffer.length, this.bytes);
      signal.throwIfAborted();
      if (bytesRead === 0) return;
      this.#count(buffer.subarray(0, bytesRead));
    }
  }

  /** Buffers the next bytes until `flush`. @throws DatasetChanged if the file gets longer than its manifest says */
  append(chunk: Uint8Array): void {
    if (this.bytes + this.#bufferedBytes + chunk.length > this.file.sizeBytes) {
      throw new DatasetChanged(`${this.file.filename} has become longer`);
    }
    this.#buffered.push(chunk);
    this.#bufferedBytes += chunk.length;
    if (this.#bufferedBytes >= WRITE_BYTES) this.flush();
  }

  flush(): void {
    const chunks = this.#buffered;
    if (chunks.length === 0) return;
    [this.#buffered, this.#bufferedBytes] = [[], 0];
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
