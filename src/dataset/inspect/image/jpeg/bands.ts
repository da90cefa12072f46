import type { FileBytes } from '../../byte-source.js';
import { damaged } from '../../inspection-error.js';
import { bitsAt, EntropyBits, Restarts } from './entropy-bits.js';
import { type JpegFrame, type JpegScan, layoutOf } from './frame.js';
import { type EntryOf, LINK, LOOKUP_BITS, linkedIndex, lookupTable } from './huffman.js';

// Imported constants would be loaded each time; a file's own constants are in the machine code of its loops.
const SHIFT = 32 - LOOKUP_BITS;
const LINKS = LINK;
/** The low bits of an entry: bits to advance. */
const BITS = 0b11111;

/** Blocks that each scan walks in turn. */
const STRIP_BLOCKS = 1024;

/** Which coefficients are not zero, as refinement scans need to know. */
class Strip {
  /** One bit each: coefficients 0 to 31 in even words, 32 to 63 in the odd word after it. */
  readonly nonzero = new Int32Array(STRIP_BLOCKS * 2);
  /** One bit for each block with coefficients that are not zero. */
  readonly used = new Int32Array(STRIP_BLOCKS / 32);

  clear(): void {
    this.nonzero.fill(0);
    this.used.fill(0);
  }
}

/** The bits of a word from `from` on: all if it is negative, none if it is 32 or more. */
function maskFrom(from: number): number {
  return from < 32 ? -1 << Math.max(from, 0) : 0;
}

/** The bits of a word up to `to`: none if it is negative, all if it is 31 or more. */
function maskTo(to: number): number {
  return ~maskFrom(to + 1);
}

/** By pairs, nibbles and bytes. */
function countSetBits(low: number, high: number): number {
  let a = low - ((low >>> 1) & 0x55555555);
  let b = high - ((high >>> 1) & 0x55555555);
  a = (a & 0x33333333) + ((a >>> 2) & 0x33333333);
  b = (b & 0x33333333) + ((b >>> 2) & 0x33333333);
  const nibbles = a + b;
  return Math.imul((nibbles & 0x0f0f0f0f) + ((nibbles >>> 4) & 0x0f0f0f0f), 0x01010101) >>> 24;
}

// An entry: bits to advance (5 bits), coefficients to advance or the length of the run (5 bits), and what follows.
const ADVANCE_SHIFT = 5;
const IS_COEFFICIENT = 1 << 10;
const IS_END = 1 << 11;

/** T.81, G.1.2.2. */
const firstEntry: EntryOf = (symbol, codeBits) => {
  const [run, extraBits] = [symbol >> 4, symbol & 15];
  if (extraBits > 0) return (codeBits + extraBits) | ((run + 1) << ADVANCE_SHIFT) | IS_COEFFICIENT;
  return run === 15 ? codeBits | (16 << ADVANCE_SHIFT) : codeBits | (run << ADVANCE_SHIFT) | IS_END;
};

/** The first bits of the AC coefficients of one component. */
class FirstBand {
  /** Blocks left without further coefficients in the band. */
  endOfBandRun = 0;
  private readonly first: number;
  private readonly last: number;
  private readonly entries: Uint16Array;

  constructor({ first, last, components }: JpegScan) {
    this.first = first;
    this.last = last;
    this.entries = lookupTable(components[0]!.ac!, firstEntry);
  }

  /** Ends at `to`, a run, or the end of the buffer. @returns the next block */
  walkBuffered(bits: EntropyBits, { nonzero, used }: Strip, from: number, to: number): number {
    const { entries, first, last } = this;
    const { words, limit } = bits;
    let { position } = bits;
    let block = from;
    for (; block < to && position <= limit; block++) {
      let k = first - 1;
      let word = bitsAt(words, position);
      let entry = 0;
      do {
        entry = entries[word >>> SHIFT]!;
        if (entry >= LINKS) entry = entries[linkedIndex(entry, word >>> 16)]!;
        if (entry === 0) {
          bits.position = position;
          throw bits.invalidCode();
        }
        position += entry & BITS;
        word = bitsAt(words, position);
        if ((entry & IS_END) !== 0) break;
        k += (entry >> ADVANCE_SHIFT) & 31;
        if (k > last) throw damaged('a block of its image data has too many coefficients');
        if ((entry & IS_COEFFICIENT) !== 0) nonzero[(block << 1) + (k >> 5)]! |= 1 << k;
      } while (k < last);
      if (k >= first) used[block >> 5]! |= 1 << block;
      if ((entry & IS_END) !== 0 && entry >= 1 << ADVANCE_SHIFT) {
        const run = (entry >> ADVANCE_SHIFT) & 31;
        if (run > 0) {
          this.endOfBandRun = (1 << run) - 1 + (word >>> (32 - run));
          position += run;
          block++;
          break;
        }
      }
    }
    bits.position = position;
    return block;
  }

  /** @returns the block after the run, or `to` */
  passRun(_bits: EntropyBits, _strip: Strip, from: number, to: number): number {
    const end = Math.min(from + this.endOfBandRun, to);
    this.endOfBandRun -= end - from;
    return end;
  }
}

// An entry of a coefficient after up to 7 zeros is below IS_LATER: BIAS more than the bits of its code without one for each
// zero (5 bits), and the zeros (3 bits).
const BIAS = 8;
const ZEROS_SHIFT = 5;
// Other entries: bits to advance (5 bits), what follows, and zeros beyond 8 or the length of the run (4 bits).
const IS_LATER = 1 << 8;
const IS_REFINED_END = 1 << 9;
const IS_ZEROS = 1 << 10;
const RUN_SHIFT = 12;

/** T.81, G.1.2.3: a new coefficient has only one bit. */
const refinementEntry: EntryOf = (symbol, codeBits) => {
  const [run, extraBits] = [symbol >> 4, symbol & 15];
  if (extraBits > 1) return 0;
  if (extraBits === 0) return run === 15 ? codeBits | IS_ZEROS : codeBits | IS_REFINED_END | (run << RUN_SHIFT);
  return run < 8
    ? (BIAS + codeBits - run) | (run << ZEROS_SHIFT)
    : (codeBits + 1) | IS_LATER | ((run - 8) << RUN_SHIFT);
};

/**
 * By whether each of the next 8 coefficients is zero: by the number of zeros to pass (4 bits each, lowest first), how many
 * coefficients to advance beyond the zero after them. 0 if the 8 don't have so many.
 */
const PLACES = new Int32Array(1 << 8);
const ZEROS_OF_8 = new Uint8Array(1 << 8);
for (let zeros = 0; zeros < 256; zeros++) {
  let passed = 0;
  for (let at = 0; at < 8; at++) {
    if (((zeros >> at) & 1) === 0) continue;
    PLACES[zeros]! |= (at + 1) << (4 * passed++);
  }
  ZEROS_OF_8[zeros] = passed;
}

/** One more bit of the AC coefficients of one component. */
class RefinedBand {
  endOfBandRun = 0;
  private readonly first: number;
  private readonly last: number;
  private readonly lowMask: number;
  private readonly highMask: number;
  /** A later scan needs to know which coefficients this one sets. */
  private readonly keeps: boolean;
  private readonly entries: Uint16Array;

  constructor({ first, last, low, components }: JpegScan) {
    this.first = first;
    this.last = last;
    this.lowMask = maskFrom(first) & maskTo(last);
    this.highMask = maskFrom(first - 32) & maskTo(last - 32);
    this.keeps = low > 0;
    this.entries = lookupTable(components[0]!.ac!, refinementEntry);
  }

  walkBuffered(bits: EntropyBits, { nonzero, used }: Strip, from: number, to: number): number {
    const { entries, first, last, keeps, lowMask, highMask } = this;
    const { words, limit } = bits;
    let { position } = bits;
    let block = from;
    for (; block < to && position <= limit; block++) {
      const at = block << 1;
      let k = first;
      // Whether the coefficients from `k` on are zero, lowest bit first: at least as far as the 32 from `first` on.
      let zeros = (nonzero[at]! & lowMask) ^ lowMask;
      if (first < 32) zeros = (zeros >>> first) | (((nonzero[at + 1]! & highMask) ^ highMask) << (32 - first));
      else zeros = (((nonzero[at + 1]! & highMask) ^ highMask) >>> (first - 32)) | 0;
      let word = bitsAt(words, position);
      let entry = 0;
      for (;;) {
        // Loading the bits of the next code while this one is looked up hides the time of the load.
        while (k <= last) {
          entry = entries[word >>> SHIFT]!;
          const n = (PLACES[zeros & 255]! >>> ((entry >> 3) & 28)) & 15;
          if (n === 0 || (entry - 1) >>> 0 >= IS_LATER - 1) break;
          word = bitsAt(words, position);
          // One bit for its value, and one for each of the n - 1 coefficients before it that is not zero.
          const consumed = (entry & BITS) + n - BIAS;
          position = (position + consumed) | 0;
          word <<= consumed;
          k = (k + n) | 0;
          zeros = (zeros >>> n) | 0;
          if (keeps) nonzero[at + ((k - 1) >> 5)]! |= 1 << (k - 1);
        }
        if (k > last) break;
        if (entry >= LINKS) entry = entries[linkedIndex(entry, word >>> 16)]!;
        if (entry === 0) {
          bits.position = position;
          throw bits.invalidCode();
        }
        let left = entry >> ZEROS_SHIFT;
        position = (position + (entry & BITS)) | 0;
        if ((entry & IS_REFINED_END) !== 0) break;
        if (entry < IS_LATER) position = (position + left + 1 - BIAS) | 0;
        else left = (entry & IS_ZEROS) !== 0 ? 15 : 8 + (entry >> RUN_SHIFT);
        zeros = (nonzero[at]! & lowMask) ^ lowMask;
        let zerosAbove = (nonzero[at + 1]! & highMask) ^ highMask;
        if (k < 32) {
          zeros = (zeros >>> k) | (zerosAbove << (32 - k));
          zerosAbove = (zerosAbove >>> k) | 0;
        } else {
          zeros = (zerosAbove >>> (k - 32)) | 0;
          zerosAbove = 0;
        }
        let count = ZEROS_OF_8[zeros & 255]!;
        while (left >= count) {
          if (k > last) throw damaged('a block of its image data has too many coefficients');
          left -= count;
          position = (position + 8 - count) | 0;
          k = (k + 8) | 0;
          zeros = (zeros >>> 8) | (zerosAbove << 24);
          zerosAbove = (zerosAbove >>> 8) | 0;
          count = ZEROS_OF_8[zeros & 255]!;
        }
        const n = (PLACES[zeros & 255]! >>> (4 * left)) & 15;
        position = (position + n - 1 - left) | 0;
        k = (k + n) | 0;
        zeros = (zeros >>> n) | (zerosAbove << (32 - n));
        word = bitsAt(words, position);
        if (keeps && (entry & IS_ZEROS) === 0) nonzero[at + ((k - 1) >> 5)]! |= 1 << (k - 1);
      }
      if (k > first) used[block >> 5]! |= 1 << block;
      if (k > last) continue;
      const run = entry >> RUN_SHIFT;
      if (run > 0) {
        word = bitsAt(words, position);
        this.endOfBandRun = (1 << run) - 1 + (word >>> (32 - run));
        position = (position + run) | 0;
      }
      position =
        (position +
          countSetBits(nonzero[at]! & lowMask & maskFrom(k), nonzero[at + 1]! & highMask & maskFrom(k - 32))) |
        0;
      if (run > 0) {
        block++;
        break;
      }
    }
    bits.position = position;
    return block;
  }

  /** Passes the run's corrections. @returns the block after the run, or `to` */
  passRun(bits: EntropyBits, { nonzero, used }: Strip, from: number, to: number): number {
    const { lowMask, highMask } = this;
    const end = Math.min(from + this.endOfBandRun, to);
    this.endOfBandRun -= end - from;
    for (let block = from; block < end; block = (block | 31) + 1) {
      for (let rest = used[block >> 5]! & (-1 << block); rest !== 0; rest &= rest - 1) {
        const each = (block & ~31) + 31 - Math.clz32(rest & -rest);
        if (each >= end) break;
        const low = nonzero[each * 2]! & lowMask;
        const high = nonzero[each * 2 + 1]! & highMask;
        if ((low | high) === 0) continue;
        if (bits.position > bits.limit) bits.bufferBlock();
        bits.position += countSetBits(low, high);
      }
    }
    return end;
  }
}

const RUN_TOO_LONG = 'a run of its image data is longer than its scan';

class BandScan {
  private readonly band: FirstBand | RefinedBand;
  private readonly bits: EntropyBits;
  private readonly restarts: Restarts;

  constructor(file: FileBytes, scan: JpegScan) {
    this.band = scan.high > 0 ? new RefinedBand(scan) : new FirstBand(scan);
    this.bits = new EntropyBits(file, scan.offset);
    this.restarts = new Restarts(this.bits, scan.restartInterval);
  }

  walk(strip: Strip, blocks: number): void {
    const { band, bits } = this;
    for (let block = 0; block < blocks; ) {
      if (this.restarts.isDue && band.endOfBandRun > 0) throw damaged(RUN_TOO_LONG);
      const end = block + this.restarts.take(blocks - block);
      while (block < end) {
        if (band.endOfBandRun > 0) block = band.passRun(bits, strip, block, end);
        else {
          bits.bufferBlock();
          block = band.walkBuffered(bits, strip, block, end);
        }
      }
    }
  }

  finish(): void {
    if (this.band.endOfBandRun > 0) throw damaged(RUN_TOO_LONG);
    this.bits.finishScan();
  }
}

/** Refinement scans need to know earlier coefficients; walking all scans strip by strip keeps only one strip of them. */
export function walkBands(file: FileBytes, frame: JpegFrame, scans: readonly JpegScan[]): void {
  const [any] = scans;
  if (any === undefined) return;
  const { mcus } = layoutOf(frame, any);
  // Each scan reads elsewhere in the file.
  const bands = scans.map((scan) => new BandScan(file.cursor(1 << 14), scan));
  const strip = new Strip();
  for (let block = 0; block < mcus; block += STRIP_BLOCKS) {
    strip.clear();
    for (const band of bands) band.walk(strip, Math.min(STRIP_BLOCKS, mcus - block));
  }
  for (const band of bands) band.finish();
}
