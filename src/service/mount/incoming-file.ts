import { createHash, type Hash } from 'node:crypto';
import { closeSync, constants, fstatSync, ftruncateSync, openSync, readSync, writeSync, writevSync } from 'node:fs';
import { type MountFile, SourceChanged } from './mount-source.js';

/** Chunks from the network are gathered to writes of about this size; most pictures are written in one go. */
const WRITE_BYTES = 512 * 1024;

/**
 * A file that has arrived up to `bytes`, with the hash of what is there. Works synchronously: a dataset is mostly small
 * files, and handing every one of five calls for each to another thread takes longer than the calls themselves.
 */
export class IncomingFile {
  readonly file: MountFile;
  bytes = 0;
  #hash: Hash = createHash('sha256');
  #gathered: Uint8Array[] = [];
  #gatheredBytes = 0;
  readonly #fd: number;
  readonly #onBytes: (bytes: number) => void;

  /**
   * Opens the file at `path`, and makes it where it is missing.
   *
   * @param onBytes told of bytes that count from now on; fewer than none where some count no more
   */
  constructor(path: string, file: MountFile, onBytes: (bytes: number) => void) {
    this.#fd = openSync(path, constants.O_RDWR | constants.O_CREAT | constants.O_NOFOLLOW, 0o666);
    this.file = file;
    this.#onBytes = onBytes;
  }

  /** Goes on from what an earlier attempt has left. */
  resume(): void {
    const { size } = fstatSync(this.#fd);
    if (size === 0) return;
    if (size > this.file.sizeBytes) {
      this.restart();
      return;
    }
    const buffer = Buffer.allocUnsafe(Math.min(WRITE_BYTES, size));
    while (this.bytes < size) {
      const length = readSync(this.#fd, buffer, 0, buffer.length, this.bytes);
      if (length === 0) return;
      this.#count(buffer.subarray(0, length));
    }
  }

  /** Takes the next bytes, which `flush` writes at the latest. @throws SourceChanged where more comes than there should be */
  append(chunk: Uint8Array): void {
    if (this.bytes + this.#gatheredBytes + chunk.length > this.file.sizeBytes) {
      throw new SourceChanged(`${this.file.filename} has become longer`);
    }
    this.#gathered.push(chunk);
    this.#gatheredBytes += chunk.length;
    if (this.#gatheredBytes >= WRITE_BYTES) this.flush();
  }

  flush(): void {
    const chunks = this.#gathered;
    if (chunks.length === 0) return;
    [this.#gathered, this.#gatheredBytes] = [[], 0];
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

  restart(): void {
    ftruncateSync(this.#fd, 0);
    this.#onBytes(-this.bytes);
    this.bytes = 0;
    this.#hash = createHash('sha256');
  }

  /** Whether all of it is there, with the SHA-256 that it should have. */
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
