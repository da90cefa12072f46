import { StructureError } from '../../inspection-error.js';
import { bitsAt, type EntropyBits } from './entropy-bits.js';
import type { JpegScan } from './frame.js';
import { type EntryOf, type HuffmanTable, LINK, LOOKUP_BITS, linkedIndex, lookupTable } from './huffman.js';

// Constants of this file are parts of the machine code of its loops; imported ones would be loaded each time.
const SHIFT = 32 - LOOKUP_BITS;
const LINKS = LINK;

/** Entries of all tables of this file: bits to advance, and above them coefficients to advance. */
const BITS = 0b11111;
const COEFFICIENTS_SHIFT = 5;

/** How far an end of block advances the index: beyond any run, so an index past 63 shows whether a run was too long. */
const END_OF_BLOCK = 128;

/** The length of a code and the number of extra bits after it. */
const dcEntry: EntryOf = (extraBits, codeBits) => codeBits + extraBits;

/** `RRRRSSSS`: a run of zeros and the number of extra bits of the coefficient after it (F.1.2.2.1). */
const acEntry: EntryOf = (symbol, codeBits) => {
  const [run, extraBits] = [symbol >> 4, symbol & 15];
  const coefficients = extraBits > 0 ? run + 1 : run === 15 ? 16 : END_OF_BLOCK;
  return (codeBits + extraBits) | (coefficients << COEFFICIENTS_SHIFT);
};

/** All codes of an entry in `several`, but its last, advance the index by at most this much together. */
const MAX_COEFFICIENTS_BEFORE_LAST = 16;
const SEVERAL_UNTIL = 64 - MAX_COEFFICIENTS_BEFORE_LAST;

/** By the next bits: all codes that are wholly among them, with the extra bits after the last one. */
function severalCodes(table: HuffmanTable, single: Uint16Array): Uint16Array {
  const codeBits = lookupTable(table, (_, length) => length);
  const several = single.slice();
  const mask = (1 << LOOKUP_BITS) - 1;
  for (let bits = 0; bits <= mask; bits++) {
    let entry = single[bits]!;
    while (entry !== 0 && entry >> COEFFICIENTS_SHIFT <= MAX_COEFFICIENTS_BEFORE_LAST) {
      const left = LOOKUP_BITS - (entry & BITS);
      if (left <= 0) break;
      const rest = (bits << (LOOKUP_BITS - left)) & mask;
      if (codeBits[rest]! === 0 || codeBits[rest]! > left) break;
      entry += single[rest]!;
    }
    several[bits] = entry;
  }
  return several;
}

interface BlockTables {
  readonly dc: Uint16Array;
  readonly ac: Uint16Array;
  readonly several: Uint16Array;
}

/** The blocks of a sequential scan. */
export class SequentialBlocks {
  /** Of each block of an MCU. */
  private readonly tables: readonly BlockTables[];
  private next = 0;

  constructor(blocks: JpegScan['components']) {
    const made = new Map<JpegScan['components'][number], BlockTables>();
    for (const block of blocks) {
      if (made.has(block)) continue;
      const dc = lookupTable(block.dc!, dcEntry);
      const ac = lookupTable(block.ac!, acEntry);
      made.set(block, { dc, ac, several: severalCodes(block.ac!, ac) });
    }
    this.tables = blocks.map((block) => made.get(block)!);
  }

  walk(bits: EntropyBits, mcus: number): void {
    walkInParts(bits, mcus * this.tables.length, (left) => this.walkBuffered(bits, left));
  }

  /** @returns how many blocks it walked; at least one */
  private walkBuffered(bits: EntropyBits, maxBlocks: number): number {
    const { words, limit } = bits;
    const { tables } = this;
    let { position } = bits;
    let { next } = this;
    let walked = 0;
    for (; walked < maxBlocks && position <= limit; walked++) {
      const { dc, ac, several } = tables[next]!;
      next = next + 1 < tables.length ? next + 1 : 0;
      let word = bitsAt(words, position);
      let entry = dc[word >>> SHIFT]!;
      if (entry >= LINKS) entry = dc[linkedIndex(entry, word >>> 16)]!;
      let coefficient = entry === 0 ? 256 : 1;
      position += entry;
      word = bitsAt(words, position);
      while (coefficient < 64) {
        entry = coefficient < SEVERAL_UNTIL ? several[word >>> SHIFT]! : ac[word >>> SHIFT]!;
        if (entry >= LINKS) entry = ac[linkedIndex(entry, word >>> 16)]!;
        if (entry === 0) break;
        // Loading the next bits before their place is known: 32 bits from here contain 12 bits after most entries.
        word = bitsAt(words, position);
        const n = entry & BITS;
        position += n;
        coefficient += entry >> COEFFICIENTS_SHIFT;
        if (n <= 16) word <<= n;
        else word = bitsAt(words, position);
      }
      if (coefficient > 64 && coefficient < END_OF_BLOCK) {
        throw new StructureError('is damaged: a block of its image data has too many coefficients');
      }
      if (entry === 0) {
        bits.position = position;
        throw bits.invalidCode();
      }
    }
    this.next = next;
    bits.position = position;
    return walked;
  }
}

/** Walks blocks in parts that are buffered. @param walkBuffered walks at most `maxBlocks`; returns how many, at least one */
function walkInParts(bits: EntropyBits, blocks: number, walkBuffered: (maxBlocks: number) => number): void {
  for (let left = blocks; left > 0; ) {
    bits.bufferBlock();
    left -= walkBuffered(left);
  }
}

/** The blocks of a scan that sends the first bits of DC coefficients. */
export class FirstDcBlocks {
  private readonly tables: readonly Uint16Array[];
  private next = 0;

  constructor(blocks: JpegScan['components']) {
    this.tables = blocks.map(({ dc }) => lookupTable(dc!, dcEntry));
  }

  walk(bits: EntropyBits, mcus: number): void {
    walkInParts(bits, mcus * this.tables.length, (left) => this.walkBuffered(bits, left));
  }

  private walkBuffered(bits: EntropyBits, maxBlocks: number): number {
    const { words, limit } = bits;
    const { tables } = this;
    let { position } = bits;
    let { next } = this;
    let walked = 0;
    for (; walked < maxBlocks && position <= limit; walked++) {
      const table = tables[next]!;
      next = next + 1 < tables.length ? next + 1 : 0;
      const word = bitsAt(words, position);
      let entry = table[word >>> SHIFT]!;
      if (entry >= LINKS) entry = table[linkedIndex(entry, word >>> 16)]!;
      if (entry === 0) {
        bits.position = position;
        throw bits.invalidCode();
      }
      position += entry;
    }
    this.next = next;
    bits.position = position;
    return walked;
  }
}
