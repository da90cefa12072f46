import type { FileBytes } from '../../byte-source.js';
import { StructureError, truncation } from '../../inspection-error.js';
import { END_OF_BLOCK, type HuffmanTable, LOOKUP_BITS, MAX_CODE_BITS, stepOf } from './huffman.js';

/** The longest possible block: 64 codes of 16 bits with 15 extra bits each. */
const MAX_BLOCK_BYTES = 248;
const BUFFER_BYTES = 1 << 14;

/** Reads the bits of a scan, segment by segment. A segment ends at a marker; past its end, bits read as zeros. */
export class EntropyBits {
  /** Offset in the file of the next byte to buffer; of the marker, once the whole segment is buffered. */
  private offset: number;
  private readonly file: FileBytes;
  private readonly bytes = new Uint8Array(BUFFER_BYTES + MAX_BLOCK_BYTES + 8);
  private length = 0;
  private position = 0;
  private isSegmentBuffered = false;

  constructor(file: FileBytes, offset: number) {
    this.file = file;
    this.offset = offset;
  }

  /** Buffers the bytes of one more block. Call it before each block. */
  bufferBlock(): void {
    if (!this.isSegmentBuffered && this.length - (this.position >>> 3) < MAX_BLOCK_BYTES) this.fill();
  }

  /** @throws StructureError if more bits were read than the segment has */
  requireBits(): void {
    if (this.position <= this.length * 8) return;
    if (this.offset + 1 >= this.file.size) throw truncation('the end of the image is missing');
    throw new StructureError('is damaged: part of its image data is missing');
  }

  /**
   * Checks that fewer than 8 padding bits remain of the segment.
   *
   * @returns the code of the marker after it
   * @throws StructureError if bytes remain
   */
  finishSegment(): number {
    while (!this.isSegmentBuffered) {
      this.fill();
      if (this.length * 8 - this.position >= 8) break;
    }
    this.requireBits();
    if (this.length * 8 - this.position >= 8) {
      throw new StructureError('is damaged: it has more image data than pixels');
    }
    return this.file.upTo(this.offset, 2)[1] ?? 0;
  }

  /** Ends the last segment of a scan. @throws StructureError if bytes or segments remain */
  finishScan(): void {
    const marker = this.finishSegment();
    if (marker >= 0xd0 && marker <= 0xd7) throw new StructureError('is damaged: it has more image data than pixels');
  }

  /** Begins the segment after a restart marker. */
  nextSegment(): void {
    this.offset += 2;
    this.length = 0;
    this.position = 0;
    this.isSegmentBuffered = false;
  }

  /** The symbol of the next code. @throws StructureError if no code has these bits */
  symbol(table: HuffmanTable): number {
    const found = table.codes[this.peek() >>> (MAX_CODE_BITS - LOOKUP_BITS)] ?? 0;
    if (found === 0) return this.longSymbol(table);
    this.position += found & 31;
    return found >> 5;
  }

  private longSymbol(table: HuffmanTable): number {
    const next = this.peek();
    for (let length = LOOKUP_BITS + 1; length <= MAX_CODE_BITS; length++) {
      if (next < (table.ends[length] ?? 0)) {
        this.position += length;
        return table.symbols[(next >>> (MAX_CODE_BITS - length)) + (table.offsets[length] ?? 0)] ?? 0;
      }
    }
    // Past the end of a segment, the zeros need not form a code.
    if (this.position + MAX_CODE_BITS > this.length * 8 && this.isSegmentBuffered) {
      this.position += MAX_CODE_BITS;
      this.requireBits();
    }
    throw new StructureError('is damaged: its image data contains an invalid code');
  }

  /** Up to 16 bits as a number. */
  take(bits: number): number {
    const value = this.peek() >>> (MAX_CODE_BITS - bits);
    this.position += bits;
    return value;
  }

  skip(bits: number): void {
    this.position += bits;
  }

  /**
   * Walks the AC coefficients of a block of a sequential scan.
   *
   * @throws StructureError if a run passes the last coefficient
   */
  walkCoefficients(table: HuffmanTable): void {
    const { bytes } = this;
    const { steps } = table;
    let position = this.position;
    let coefficient = 1;
    while (coefficient < 64) {
      const at = position >>> 3;
      const word = (bytes[at]! << 16) | (bytes[at + 1]! << 8) | bytes[at + 2]!;
      const step = steps[(word >>> (24 - LOOKUP_BITS - (position & 7))) & ((1 << LOOKUP_BITS) - 1)]!;
      if (step !== 0) {
        position += step & 63;
        coefficient += step >> 6;
      } else {
        this.position = position;
        const long = stepOf(this.longSymbol(table), 0);
        position = this.position + (long & 63);
        coefficient += long >> 6;
      }
    }
    this.position = position;
    if (coefficient > 64 && coefficient < END_OF_BLOCK) {
      throw new StructureError('is damaged: a block of its image data has too many coefficients');
    }
  }

  private peek(): number {
    const { bytes, position } = this;
    const at = position >>> 3;
    const word = (bytes[at]! << 16) | (bytes[at + 1]! << 8) | bytes[at + 2]!;
    return (word >>> (8 - (position & 7))) & 0xffff;
  }

  /** Unstuffs more of the file, up to the next marker (B.1.1.5). */
  private fill(): void {
    const { bytes } = this;
    const read = this.position >>> 3;
    bytes.copyWithin(0, read, this.length);
    let length = this.length - read;
    this.position &= 7;
    const chunk = this.file.upTo(this.offset, BUFFER_BYTES - length);
    if (chunk.length === 0) this.isSegmentBuffered = true;
    let from = 0;
    while (from < chunk.length) {
      const found = chunk.indexOf(0xff, from);
      const to = found === -1 ? chunk.length : found;
      for (let i = from; i < to; i++) bytes[length++] = chunk[i]!;
      from = to;
      if (found === -1) break;
      const code = chunk[found + 1];
      if (code === undefined) {
        // The next call sees the byte after it, if there is one.
        if (found === 0) this.isSegmentBuffered = true;
        break;
      }
      if (code === 0) {
        bytes[length++] = 0xff;
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
    bytes.fill(0, length, length + MAX_BLOCK_BYTES + 8);
  }
}
