import { StructureError } from '../../inspection-error.js';
import { bitsAt, type EntropyBits } from './entropy-bits.js';
import type { JpegScan } from './frame.js';
import { type EntryOf, LINK, LOOKUP_BITS, linkedIndex, lookupTable } from './huffman.js';
import type { Strip } from './strip.js';

// Constants of this file are parts of the machine code of its loops; imported ones would be loaded each time.
const SHIFT = 32 - LOOKUP_BITS;
const LINKS = LINK;

// An entry: bits to advance (5 bits), coefficients to advance or the length of the run (5 bits), and what follows.
const BITS = 0b11111;
const ADVANCE_SHIFT = 5;
const IS_COEFFICIENT = 1 << 10;
const IS_END = 1 << 11;

/** T.81, G.1.2.2. */
const firstEntry: EntryOf = (symbol, codeBits) => {
  const [run, extraBits] = [symbol >> 4, symbol & 15];
  if (extraBits > 0) return (codeBits + extraBits) | ((run + 1) << ADVANCE_SHIFT) | IS_COEFFICIENT;
  return run === 15 ? codeBits | (16 << ADVANCE_SHIFT) : codeBits | (run << ADVANCE_SHIFT) | IS_END;
};

/** The blocks of a scan that sends the first bits of the AC coefficients of one component. */
export class FirstBand {
  /** Blocks, from the next one, without further coefficients in the band. */
  endOfBandRun = 0;
  private readonly first: number;
  private readonly last: number;
  private readonly entries: Uint16Array;

  constructor({ first, last, components }: JpegScan) {
    this.first = first;
    this.last = last;
    this.entries = lookupTable(components[0]!.ac!, firstEntry);
  }

  /** Walks blocks until `to`, a run, or the end of what is buffered. @returns the next block */
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
        if (k > last) throw new StructureError('is damaged: a block of its image data has too many coefficients');
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

  /** Passes the blocks of the run, up to `to`. @returns the block after them */
  passRun(_bits: EntropyBits, _strip: Strip, from: number, to: number): number {
    const end = Math.min(from + this.endOfBandRun, to);
    this.endOfBandRun -= end - from;
    return end;
  }
}
