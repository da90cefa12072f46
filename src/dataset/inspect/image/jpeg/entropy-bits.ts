import type { FileBytes } from '../../byte-source.js';
import { damaged, type StructureError, truncation } from '../../inspection-error.js';
import { MAX_CODE_BITS } from './huffman.js';

/** 64 codes of 16 bits with 15 extra bits each. */
const MAX_BLOCK_BYTES = 248;
const BUFFER_BYTES = 1 << 14;

const BUFFER_PADDING = MAX_BLOCK_BYTES + 8;

/** XORed with a byte's offset, it gives the machine's order in a word. */
const BYTE_ORDER = new Uint8Array(Uint32Array.of(1).buffer)[0] === 1 ? 3 : 0;

export function bitsAt(words: Int32Array, position: number): number {
  const at = position >>> 5;
  // The second shift takes 0 to 31 bits, so the first takes one.
  return (words[at]! << (position & 31)) | ((words[at + 1]! >>> 1) >>> (~position & 31));
}

/**
 * A scan's bits, by segments that end at markers; past the end they are zeros. Loops read `words` and advance `position` themselves,
 * since a call for each code would take longer than the code.
 */
export class EntropyBits {
  /** Without stuffing; the first byte of each word is its highest. */
  readonly words: Int32Array;
  /** In bits. */
  position = 0;
  /** The last `position` with a whole block buffered; after it, call `bufferBlock`. */
  limit = -1;
  private readonly file: FileBytes;
  private readonly bytes = new Uint8Array(BUFFER_BYTES + BUFFER_PADDING);
  /** The next byte in the file, or the marker once the segment is buffered. */
  private offset: number;
  private length = 0;
  private isSegmentBuffered = false;

  constructor(file: FileBytes, offset: number) {
    this.file = file;
    this.offset = offset;
    this.words = new Int32Array(this.bytes.buffer);
  }

  /** @throws StructureError if more bits were read than the segment has */
  bufferBlock(): void {
    while (this.position > this.limit && !this.isSegmentBuffered) this.fill();
    this.requireBits();
  }

  private requireBits(): void {
    if (this.isSegmentBuffered && this.position > this.length * 8) throw this.missingData();
  }

  private missingData(): StructureError {
    if (this.offset + 1 >= this.file.size) return truncation('the end of the image is missing');
    return damaged('part of its image data is missing');
  }

  /** Allows fewer than 8 padding bits. @returns the code of the next marker. @throws StructureError if bytes remain */
  finishSegment(): number {
    while (!this.isSegmentBuffered) {
      this.fill();
      if (this.length * 8 - this.position >= 8) break;
    }
    this.requireBits();
    if (this.length * 8 - this.position >= 8) throw damaged('it has more image data than pixels');
    return this.file.upTo(this.offset, 2)[1] ?? 0;
  }

  /** @throws StructureError if bytes or segments remain */
  finishScan(): void {
    const marker = this.finishSegment();
    if (marker >= 0xd0 && marker <= 0xd7) throw damaged('it has more image data than pixels');
  }

  nextSegment(): void {
    this.offset += 2;
    this.length = 0;
    this.position = 0;
    this.limit = -1;
    this.isSegmentBuffered = false;
  }

  /** @throws StructureError if the segment has fewer bits */
  skip(bits: number): void {
    let left = bits;
    for (;;) {
      const skipped = Math.min(left, Math.max(this.length * 8 - this.position, 0));
      this.position += skipped;
      left -= skipped;
      if (left === 0) return;
      if (this.isSegmentBuffered) this.position += left;
      this.bufferBlock();
    }
  }

  invalidCode(): StructureError {
    // Zeros past the end need not form a code.
    if (this.isSegmentBuffered && this.position + MAX_CODE_BITS > this.length * 8) return this.missingData();
    return damaged('its image data contains an invalid code');
  }

  /** Unstuffs bytes up to the next marker (B.1.1.5). */
  private fill(): void {
    const { bytes } = this;
    const read = (this.position >>> 5) << 2;
    bytes.copyWithin(0, read, (this.length + 3) & ~3);
    let length = this.length - read;
    this.position &= 31;
    const chunk = this.file.upTo(this.offset, BUFFER_BYTES - length);
    if (chunk.length === 0) this.isSegmentBuffered = true;
    let from = 0;
    while (from < chunk.length) {
      const found = chunk.indexOf(0xff, from);
      const to = found === -1 ? chunk.length : found;
      for (let i = from; i < to; i++) bytes[length++ ^ BYTE_ORDER] = chunk[i]!;
      from = to;
      if (found === -1) break;
      const code = chunk[found + 1];
      if (code === undefined) {
        // The next call sees the byte after it.
        if (found === 0) this.isSegmentBuffered = true;
        break;
      }
      if (code === 0) {
        bytes[length++ ^ BYTE_ORDER] = 0xff;
        from = found + 2;
      } else if (code === 0xff) {
        from = found + 1;
      } else {
        this.isSegmentBuffered = true;
        break;
      }
    }
    this.offset += from;
    this.length = length;
    this.limit = (this.isSegmentBuffered ? length : length - MAX_BLOCK_BYTES) * 8;
    for (; (length & 3) !== 0; length++) bytes[length ^ BYTE_ORDER] = 0;
    bytes.fill(0, length, length + BUFFER_PADDING - 4);
  }
}

/** Counts MCUs, and steps over the restart markers between them. */
export class Restarts {
  private readonly bits: EntropyBits;
  private readonly interval: number;
  private left: number;
  private next = 0;

  constructor(bits: EntropyBits, interval: number) {
    this.bits = bits;
    this.interval = interval;
    this.left = interval === 0 ? Number.POSITIVE_INFINITY : interval;
  }

  get isDue(): boolean {
    return this.left === 0;
  }

  /** @returns how many of the wanted MCUs precede the next marker */
  take(wanted: number): number {
    if (this.isDue) this.stepOver();
    const taken = Math.min(wanted, this.left);
    this.left -= taken;
    return taken;
  }

  private stepOver(): void {
    const marker = this.bits.finishSegment();
    if (marker !== 0xd0 + this.next) throw damaged('a restart marker of its image data is missing or out of order');
    this.bits.nextSegment();
    this.next = (this.next + 1) & 7;
    this.left = this.interval;
  }
}
