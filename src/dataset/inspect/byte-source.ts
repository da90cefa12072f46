import { closeSync, constants, fstatSync, openSync, readSync } from 'node:fs';
import { StructureError, truncationBy } from './inspection-error.js';

const MAX_READ_BYTES = 1 << 20;

/** `upTo` returns at least this many bytes, if requested and in the file, so that the window never splits a header. */
const UNSPLIT_BYTES = 64;

/** A file of known size that can be read synchronously at any offset. */
export interface ByteSource {
  readonly size: number;
  /**
   * Reads at least one byte from `offset` of the file into `target`, beginning at `targetOffset`. Returns how many; 0 at
   * the end of the file.
   */
  read(target: Buffer, targetOffset: number, offset: number): number;
  close(): void;
}

/**
 * Reads a file through one window of fixed size, so that memory does not grow with the file. Reads are synchronous: each
 * inspection runs in its own process, and an asynchronous read through libuv's thread pool takes ten times as long.
 */
export class FileBytes {
  readonly size: number;
  private readonly source: ByteSource;
  private readonly ownsSource: boolean;
  private window: Buffer;
  private windowStart = 0;
  private windowLength = 0;

  private constructor(options: { source: ByteSource; windowBytes: number; ownsSource: boolean }) {
    this.source = options.source;
    this.size = options.source.size;
    this.ownsSource = options.ownsSource;
    this.window = Buffer.allocUnsafeSlow(options.windowBytes);
  }

  /** @throws the operating system's error if the file can't be opened */
  static open(path: string): FileBytes {
    return FileBytes.over(fileSource(path));
  }

  /** Reads from a source, which `close` closes too. */
  static over(source: ByteSource): FileBytes {
    return new FileBytes({ source, windowBytes: 1 << 16, ownsSource: true });
  }

  /** A second window over the same file. Choose a small one to read a few bytes at each of many offsets. */
  cursor(windowBytes: number): FileBytes {
    return new FileBytes({ source: this.source, windowBytes, ownsSource: false });
  }

  /** @throws StructureError if the file has fewer bytes */
  requireSize(bytes: number): void {
    if (bytes > this.size) throw truncationBy(bytes - this.size);
  }

  /** Exactly `length` bytes from `offset`, valid until the next call. @throws StructureError if the file ends before */
  at(offset: number, length: number): Buffer {
    this.requireSize(offset + length);
    if (length > MAX_READ_BYTES) throw new StructureError('is damaged: one of its headers has an impossible length');
    if (offset < this.windowStart || offset + length > this.windowStart + this.windowLength) this.fill(offset, length);
    return this.window.subarray(offset - this.windowStart, offset - this.windowStart + length);
  }

  /** At most `maxBytes` bytes from `offset`: fewer if the window or the file ends earlier, none at the end of the file. */
  upTo(offset: number, maxBytes: number): Buffer {
    const wanted = Math.max(0, Math.min(maxBytes, this.size - offset, this.window.length));
    const windowEnd = this.windowStart + this.windowLength;
    if (offset >= this.windowStart && offset + Math.min(wanted, UNSPLIT_BYTES) <= windowEnd) {
      const start = offset - this.windowStart;
      return this.window.subarray(start, Math.min(this.windowLength, start + wanted));
    }
    return this.at(offset, wanted);
  }

  /** A copy of the bytes from `start` up to, not including, `end`. */
  copy(start: number, end: number): Buffer {
    const bytes = Buffer.allocUnsafeSlow(end - start);
    this.readAtLeast(bytes, start, bytes.length);
    return bytes;
  }

  close(): void {
    if (this.ownsSource) this.source.close();
  }

  private fill(offset: number, needed: number): void {
    if (needed > this.window.length) this.window = Buffer.allocUnsafeSlow(needed);
    this.windowLength = 0;
    this.windowStart = offset;
    this.windowLength = this.readAtLeast(this.window, offset, needed);
  }

  /** Fills at least `needed` bytes of `target` from its beginning; returns their number. */
  private readAtLeast(target: Buffer, offset: number, needed: number): number {
    let length = 0;
    while (length < needed) {
      const read = this.source.read(target, length, offset + length);
      if (read === 0) throw truncationBy(needed - length);
      length += read;
    }
    return length;
  }
}

function fileSource(path: string): ByteSource {
  // A pipe that has replaced the file would wait for a writer for ever.
  const fd = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
  try {
    const stats = fstatSync(fd);
    if (!stats.isFile()) throw new Error('it is no longer a file');
    return {
      size: stats.size,
      read: (target, targetOffset, offset) => readSync(fd, target, targetOffset, target.length - targetOffset, offset),
      close: () => closeSync(fd),
    };
  } catch (error) {
    closeSync(fd);
    throw error;
  }
}
