import type { FileBytes } from '../../byte-source.js';
import { damaged } from '../../inspection-error.js';
import { walkBands } from './bands.js';
import { bitsAt, EntropyBits, Restarts } from './entropy-bits.js';
import { type JpegComponent, type JpegFrame, type JpegScan, layoutOf } from './frame.js';
import { type EntryOf, type HuffmanTable, LINK, LOOKUP_BITS, linkedIndex, lookupTable } from './huffman.js';

/**
 * Proves that each scan has exactly the coefficients that its header announces. Decoders show damaged ones as grey or shifted
 * blocks, mostly without an error. @throws StructureError
 */
export function walkScans(file: FileBytes, frame: JpegFrame, scans: readonly JpegScan[]): void {
  for (const component of frame.components) {
    if (!scans.some((scan) => scan.components.some((each) => each.component === component))) {
      throw damaged('one of its colour components is missing');
    }
  }
  if (frame.isProgressive) checkProgression(scans);
  for (const scan of scans) if (scan.first === 0) walkScan(file, frame, scan);
  for (const component of frame.components) {
    walkBands(
      file,
      frame,
      scans.filter((scan) => scan.first > 0 && scan.components[0]?.component === component),
    );
  }
}

/** DC precedes AC, and each scan begins at the bit where the last one of its coefficients ended (G.1.1.1.1). */
function checkProgression(scans: readonly JpegScan[]): void {
  const sentBits = new Map<JpegComponent, (number | undefined)[]>();
  for (const { components, first, last, high, low } of scans) {
    for (const { component } of components) {
      const sent = sentBits.get(component) ?? [];
      sentBits.set(component, sent);
      const isInOrder = first === 0 || sent[0] !== undefined;
      for (let k = first; k <= last; k++) {
        if (!isInOrder || high !== (sent[k] ?? 0)) throw damaged('its scans are not in order');
        sent[k] = low;
      }
    }
  }
}

/** For a scan that depends on no earlier one: sequential, or of DC coefficients. */
function walkScan(file: FileBytes, frame: JpegFrame, scan: JpegScan): void {
  const bits = new EntropyBits(file, scan.offset);
  const restarts = new Restarts(bits, scan.restartInterval);
  const { mcus, blocks } = layoutOf(frame, scan);
  // DC refinements have one bit for each block.
  const walker = scan.high === 0 ? new Blocks(blocks) : undefined;
  for (let mcu = 0; mcu < mcus; ) {
    const taken = restarts.take(mcus - mcu);
    if (walker === undefined) bits.skip(taken * blocks.length);
    else walker.walk(bits, taken);
    mcu += taken;
  }
  bits.finishScan();
}

// Imported constants would be loaded each time; a file's own constants are in the machine code of its loops.
const SHIFT = 32 - LOOKUP_BITS;
const LINKS = LINK;

/** Bits to advance, and above them coefficients to advance. */
const BITS = 0b11111;
const COEFFICIENTS_SHIFT = 5;

/** Beyond any run, so that an index past 63 shows whether a run was too long. */
const END_OF_BLOCK = 128;

const dcEntry: EntryOf = (extraBits, codeBits) => codeBits + extraBits;

/** `RRRRSSSS`: a run of zeros, and the extra bits of the coefficient after it (F.1.2.2.1). */
const acEntry: EntryOf = (symbol, codeBits) => {
  const [run, extraBits] = [symbol >> 4, symbol & 15];
  const coefficients = extraBits > 0 ? run + 1 : run === 15 ? 16 : END_OF_BLOCK;
  return (codeBits + extraBits) | (coefficients << COEFFICIENTS_SHIFT);
};

/** How far all codes of an entry in `several` but the last advance the index at most. */
const MAX_COEFFICIENTS_BEFORE_LAST = 16;
const SEVERAL_UNTIL = 64 - MAX_COEFFICIENTS_BEFORE_LAST;

/** By the next bits: all codes wholly among them, with the last one's extra bits. */
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

/** Walks a sequential scan, or the first bits of DC coefficients. */
class Blocks {
  /** For each block of an MCU. */
  private readonly tables: readonly BlockTables[];
  /** The first index after DC: 64 without AC coefficients. */
  private readonly afterDc: number;
  private next = 0;

  constructor(blocks: JpegScan['components']) {
    const made = new Map<JpegScan['components'][number], BlockTables>();
    for (const block of blocks) {
      if (made.has(block)) continue;
      const dc = lookupTable(block.dc!, dcEntry);
      const ac = block.ac === undefined ? dc : lookupTable(block.ac, acEntry);
      made.set(block, { dc, ac, several: block.ac === undefined ? ac : severalCodes(block.ac, ac) });
    }
    this.tables = blocks.map((block) => made.get(block)!);
    this.afterDc = blocks.some(({ ac }) => ac !== undefined) ? 1 : 64;
  }

  walk(bits: EntropyBits, mcus: number): void {
    for (let left = mcus * this.tables.length; left > 0; ) {
      bits.bufferBlock();
      left -= this.walkBuffered(bits, left);
    }
  }

  /** @returns the number of blocks, at least one */
  private walkBuffered(bits: EntropyBits, maxBlocks: number): number {
    const { words, limit } = bits;
    const { tables, afterDc } = this;
    let { position } = bits;
    let { next } = this;
    let walked = 0;
    for (; walked < maxBlocks && position <= limit; walked++) {
      const { dc, ac, several } = tables[next]!;
      next = next + 1 < tables.length ? next + 1 : 0;
      let word = bitsAt(words, position);
      let entry = dc[word >>> SHIFT]!;
      if (entry >= LINKS) entry = dc[linkedIndex(entry, word >>> 16)]!;
      let coefficient = entry === 0 ? 256 : afterDc;
      position += entry;
      word = bitsAt(words, position);
      while (coefficient < 64) {
        entry = coefficient < SEVERAL_UNTIL ? several[word >>> SHIFT]! : ac[word >>> SHIFT]!;
        if (entry >= LINKS) entry = ac[linkedIndex(entry, word >>> 16)]!;
        if (entry === 0) break;
        // Loaded before their place is known: after most entries, the 32 bits from here contain the next 12.
        word = bitsAt(words, position);
        const n = entry & BITS;
        position += n;
        coefficient += entry >> COEFFICIENTS_SHIFT;
        if (n <= 16) word <<= n;
        else word = bitsAt(words, position);
      }
      if (coefficient > 64 && coefficient < END_OF_BLOCK) {
        throw damaged('a block of its image data has too many coefficients');
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
