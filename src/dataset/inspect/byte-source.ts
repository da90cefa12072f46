import { closeSync, fstatSync, openSync, readSync } from 'node:fs';
import { damaged, truncationBy } from './inspection-error.js';

const MAX_READ_BYTES = 1 << 20;

/** The least that `upTo` returns, unless the file ends, so that the window never splits a header. */
const UNSPLIT_BYTES = 64;

/**
 * Reads through a window of fixed size. Reads are synchronous: each inspection has its own process, and asynchronous reads
 * through libuv's thread pool take ten times as long.
 */
export class FileBytes {
  readonly size: number;
  private readonly fd: number;
  private window: Buffer;
  private windowStart = 0;
  private windowLength = 0;

  private constructor(fd: number, size: number, windowBytes: number) {
    this.fd = fd;
    this.size = size;
    this.window = Buffer.allocUnsafeSlow(windowBytes);
  }

  /** @throws the system's errors */
  static open(path: string): FileBytes {
    const fd = openSync(path, 'r');
    return new FileBytes(fd, fstatSync(fd).size, 1 << 16);
  }

  /** A second window; a small one suits a few bytes at each of many offsets. */
  cursor(windowBytes: number): FileBytes {
    return new FileBytes(this.fd, this.size, windowBytes);
  }

  /** Also for the cursors. */
  close(): void {
    closeSync(this.fd);
  }

  /** @throws StructureError if the file has fewer bytes */
  requireSize(bytes: number): void {
    if (bytes > this.size) throw truncationBy(bytes - this.size);
  }

  /** Valid until the next call. @throws StructureError if the file ends before */
  at(offset: number, length: number): Buffer {
    this.requireSize(offset + length);
    if (length > MAX_READ_BYTES) throw damaged('one of its headers has an impossible length');
    if (offset < this.windowStart || offset + length > this.windowStart + this.windowLength) this.fill(offset, length);
    return this.window.subarray(offset - this.windowStart, offset - this.windowStart + length);
  }

  /** Fewer bytes if the window or the file ends earlier. */
  upTo(offset: number, maxBytes: number): Buffer {
    const wanted = Math.max(0, Math.min(maxBytes, this.size - offset, this.window.length));
    const windowEnd = this.windowStart + this.windowLength;
    if (offset >= this.windowStart && offset + Math.min(wanted, UNSPLIT_BYTES) <= windowEnd) {
      const start = offset - this.windowStart;
      return this.window.subarray(start, Math.min(this.windowLength, start + wanted));
    }
    return this.at(offset, wanted);
  }

  copy(start: number, end: number): Buffer {
    const bytes = Buffer.allocUnsafeSlow(end - start);
    this.readAtLeast(bytes, start, bytes.length);
    return bytes;
  }

  private fill(offset: number, needed: number): void {
    if (needed > this.window.length) this.window = Buffer.allocUnsafeSlow(needed);
    this.windowLength = 0;
    this.windowStart = offset;
    this.windowLength = this.readAtLeast(this.window, offset, needed);
  }

  /** @returns the number of bytes read */
  private readAtLeast(target: Buffer, offset: number, needed: number): number {
    let length = 0;
    while (length < needed) {
      const read = readSync(this.fd, target, length, target.length - length, offset + length);
      if (read === 0) throw truncationBy(needed - length);
      length += read;
    }
    return length;
  }
}
