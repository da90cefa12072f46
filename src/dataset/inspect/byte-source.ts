import { closeSync, fstatSync, openSync, readSync } from 'node:fs';
import { StructureError, truncated } from './inspection-error.js';

const MOST_AT_ONCE = 1 << 20;

/** Who asks for no more than this gets all of it, though the window may end in between: no header is cut in two. */
const FEW = 64;

/** Where the bytes of a file are read from. Synchronous, as everything about `FileBytes`. */
export interface ByteSource {
  readonly size: number;
  /** Reads at least one byte into `target` from `at` on, and says how many; 0 at the end of the file. */
  read(target: Buffer, at: number, offset: number): number;
  close(): void;
}

/**
 * A file read through one small window, so that no walk over it ever holds more than that. Reads are synchronous:
 * inspection has a worker thread to itself, and a hop through libuv's pool costs ten times such a read.
 */
export class FileBytes {
  readonly size: number;
  private readonly source: ByteSource;
  private readonly owner: boolean;
  private window: Buffer;
  private start = 0;
  private length = 0;

  private constructor(options: { source: ByteSource; windowBytes: number; owner: boolean }) {
    this.source = options.source;
    this.size = options.source.size;
    this.owner = options.owner;
    this.window = Buffer.allocUnsafeSlow(options.windowBytes);
  }

  /** @throws the operating system's error where the file can't be opened. */
  static open(path: string): FileBytes {
    return FileBytes.over(fileSource(path));
  }

  /** Takes the source over: it is closed with this. */
  static over(source: ByteSource): FileBytes {
    return new FileBytes({ source, windowBytes: 1 << 16, owner: true });
  }

  /** A second place to read at in the same file; `windowBytes` small where few bytes are wanted at each of many places. */
  cursor(windowBytes: number): FileBytes {
    return new FileBytes({ source: this.source, windowBytes, owner: false });
  }

  /**
   * Exactly `length` bytes from `offset`, valid until the next call.
   *
   * @throws Damage where the file ends before that.
   */
  at(offset: number, length: number, what = 'its structure'): Buffer {
    if (offset + length > this.size) throw truncated({ needed: offset + length, size: this.size, what });
    if (length > MOST_AT_ONCE) throw new StructureError('is damaged: one of its headers claims an absurd length');
    if (offset < this.start || offset + length > this.start + this.length) this.fill(offset, length);
    return this.window.subarray(offset - this.start, offset - this.start + length);
  }

  /** What there is from `offset`, at most `most` bytes and perhaps fewer than many; empty at the end of the file. */
  upTo(offset: number, most: number): Buffer {
    const wanted = Math.max(0, Math.min(most, this.size - offset, this.window.length));
    if (offset >= this.start && offset + Math.min(wanted, FEW) <= this.start + this.length) {
      return this.window.subarray(offset - this.start, Math.min(this.length, offset - this.start + wanted));
    }
    return this.at(offset, wanted);
  }

  /** The bytes from `start` up to and without `end`, for somebody to keep. */
  copy(start: number, end: number): Uint8Array {
    const bytes = Buffer.allocUnsafeSlow(end - start);
    for (let at = 0; at < bytes.length; ) {
      const read = this.source.read(bytes, at, start + at);
      if (read === 0) throw truncated({ needed: end, size: start + at, what: 'it' });
      at += read;
    }
    return bytes;
  }

  close(): void {
    if (this.owner) this.source.close();
  }

  private fill(offset: number, needed: number): void {
    if (needed > this.window.length) this.window = Buffer.allocUnsafeSlow(needed);
    this.length = 0;
    this.start = offset;
    while (this.length < needed) {
      const read = this.source.read(this.window, this.length, offset + this.length);
      if (read === 0) throw truncated({ needed: offset + needed, size: offset + this.length, what: 'it' });
      this.length += read;
    }
  }
}

function fileSource(path: string): ByteSource {
  const fd = openSync(path, 'r');
  try {
    return {
      size: fstatSync(fd).size,
      read: (target, at, offset) => readSync(fd, target, at, target.length - at, offset),
      close: () => closeSync(fd),
    };
  } catch (error) {
    closeSync(fd);
    throw error;
  }
}
