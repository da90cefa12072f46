import type { FileBytes } from '../../byte-source.js';
import { StructureError } from '../../inspection-error.js';
import { EntropyBits } from './entropy-bits.js';
import type { HuffmanTable } from './huffman.js';

export interface JpegComponent {
  readonly id: number;
  /** Sampling factors, 1 to 4. */
  readonly across: number;
  readonly down: number;
  /** The number of its quantization table. */
  readonly quantization: number;
}

export interface JpegFrame {
  readonly width: number;
  readonly height: number;
  readonly isProgressive: boolean;
  readonly components: readonly JpegComponent[];
}

/** A scan, with the tables and the restart interval in force at its header. */
export interface JpegScan {
  /** Offset in the file of its first entropy-coded byte. */
  readonly offset: number;
  readonly components: readonly {
    readonly component: JpegComponent;
    readonly dc: HuffmanTable | undefined;
    readonly ac: HuffmanTable | undefined;
  }[];
  /** The band of coefficients, 0 to 63. */
  readonly first: number;
  readonly last: number;
  /** Successive approximation (Ah, Al): the lowest bit that earlier scans sent, 0 for none, and the lowest that this one sends. */
  readonly high: number;
  readonly low: number;
  /** In MCUs; 0 for none. */
  readonly restartInterval: number;
}

/** The blocks of each MCU of a scan, and the number of MCUs (A.2). */
function layoutOf(
  { width, height, components: all }: JpegFrame,
  scan: JpegScan,
): { mcus: number; blocks: JpegScan['components'] } {
  const across = Math.max(...all.map((component) => component.across));
  const down = Math.max(...all.map((component) => component.down));
  const [only, ...others] = scan.components;
  if (only !== undefined && others.length === 0) {
    const columns = Math.ceil(Math.ceil((width * only.component.across) / across) / 8);
    const rows = Math.ceil(Math.ceil((height * only.component.down) / down) / 8);
    return { mcus: columns * rows, blocks: [only] };
  }
  const mcus = Math.ceil(width / (8 * across)) * Math.ceil(height / (8 * down));
  const blocks = scan.components.flatMap((each) =>
    Array.from({ length: each.component.across * each.component.down }, () => each),
  );
  return { mcus, blocks };
}

/** Counts the MCUs of a scan, and steps over the restart markers between them. */
class Restarts {
  private readonly bits: EntropyBits;
  private readonly interval: number;
  private left: number;
  private next = 0;

  constructor(bits: EntropyBits, interval: number) {
    this.bits = bits;
    this.interval = interval;
    this.left = interval;
  }

  /** Called before each MCU. @returns whether a new segment begins here */
  step(): boolean {
    if (this.interval === 0) return false;
    if (this.left-- > 0) return false;
    const marker = this.bits.finishSegment();
    if (marker !== 0xd0 + this.next) {
      throw new StructureError('is damaged: a restart marker of its image data is missing or out of order');
    }
    this.bits.nextSegment();
    this.next = (this.next + 1) & 7;
    this.left = this.interval - 1;
    return true;
  }
}

/**
 * Walks the Huffman codes of all scans, and so proves that each has exactly the coefficients that its header announces. A
 * decoder shows damaged ones as grey or shifted blocks, mostly without an error.
 *
 * @throws StructureError
 */
export function walkScans(file: FileBytes, frame: JpegFrame, scans: readonly JpegScan[]): void {
  for (const component of frame.components) {
    if (!scans.some((scan) => scan.components.some((each) => each.component === component))) {
      throw new StructureError('is damaged: one of its colour components is missing');
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

/** Checks that DC precedes AC, and that each scan begins at the bit where the last scan of its coefficients ended (G.1.1.1.1). */
function checkProgression(scans: readonly JpegScan[]): void {
  const sentBits = new Map<JpegComponent, (number | undefined)[]>();
  for (const { components, first, last, high, low } of scans) {
    for (const { component } of components) {
      const sent = sentBits.get(component) ?? [];
      sentBits.set(component, sent);
      const isInOrder = first === 0 || sent[0] !== undefined;
      for (let k = first; k <= last; k++) {
        if (!isInOrder || high !== (sent[k] ?? 0)) throw new StructureError('is damaged: its scans are not in order');
        sent[k] = low;
      }
    }
  }
}

/** Walks a scan in which no block depends on an earlier scan: a sequential one, or of DC coefficients. */
function walkScan(file: FileBytes, frame: JpegFrame, scan: JpegScan): void {
  const bits = new EntropyBits(file, scan.offset);
  const restarts = new Restarts(bits, scan.restartInterval);
  const { mcus, blocks } = layoutOf(frame, scan);
  const { isProgressive } = frame;
  for (let mcu = 0; mcu < mcus; mcu++) {
    restarts.step();
    for (const { dc, ac } of blocks) {
      bits.bufferBlock();
      if (scan.high > 0) bits.skip(1);
      else {
        bits.skip(bits.symbol(dc!));
        if (!isProgressive) bits.walkCoefficients(ac!);
      }
    }
    bits.requireBits();
  }
  bits.finishScan();
}

/** The coefficients of a block that are not zero, one bit each, 0 to 31 and 32 to 63. */
interface Nonzero {
  low: number;
  high: number;
}

/** A scan of the AC coefficients of one component, walked block by block. */
class BandScan {
  private readonly first: number;
  private readonly last: number;
  private readonly isRefinement: boolean;
  private readonly table: HuffmanTable;
  private readonly bits: EntropyBits;
  private readonly restarts: Restarts;
  /** Blocks, from the next one, without further coefficients in the band. */
  private endOfBandRun = 0;

  constructor(file: FileBytes, scan: JpegScan) {
    this.first = scan.first;
    this.last = scan.last;
    this.isRefinement = scan.high > 0;
    this.table = scan.components[0]!.ac!;
    this.bits = new EntropyBits(file, scan.offset);
    this.restarts = new Restarts(this.bits, scan.restartInterval);
  }

  walkBlock(nonzero: Nonzero): void {
    if (this.restarts.step() && this.endOfBandRun > 0) throw runTooLong();
    this.bits.bufferBlock();
    if (this.isRefinement) this.refineBlock(nonzero);
    else if (this.endOfBandRun > 0) this.endOfBandRun--;
    else this.walkFirst(nonzero);
    this.bits.requireBits();
  }

  finish(): void {
    if (this.endOfBandRun > 0) throw runTooLong();
    this.bits.finishScan();
  }

  /** T.81, G.1.2.2. */
  private walkFirst(nonzero: Nonzero): void {
    const { bits, table, last } = this;
    for (let k = this.first; k <= last; k++) {
      const symbol = bits.symbol(table);
      const [run, extraBits] = [symbol >> 4, symbol & 15];
      if (extraBits === 0 && run < 15) {
        this.endOfBandRun = (1 << run) - 1 + bits.take(run);
        return;
      }
      k += run;
      if (k > last) throw tooManyCoefficients();
      if (extraBits === 0) continue;
      bits.skip(extraBits);
      if (k < 32) nonzero.low |= 1 << k;
      else nonzero.high |= 1 << (k - 32);
    }
  }

  /** T.81, G.1.2.3: as the first scan, with a correction bit for each coefficient that is passed and is not zero. */
  private refineBlock(nonzero: Nonzero): void {
    const { bits, table, last } = this;
    let { low, high } = nonzero;
    let k = this.first;
    while (k <= last && this.endOfBandRun === 0) {
      const symbol = bits.symbol(table);
      const [run, extraBits] = [symbol >> 4, symbol & 15];
      if (extraBits === 0 && run < 15) {
        this.endOfBandRun = (1 << run) + bits.take(run);
        break;
      }
      if (extraBits > 0) bits.skip(1);
      let corrections = 0;
      let zeros = run;
      let word = k < 32 ? low >>> k : high >>> (k - 32);
      for (; k <= last; k++, word >>>= 1) {
        if (k === 32) word = high;
        if (word & 1) corrections++;
        else if (zeros-- === 0) break;
      }
      if (k > last) throw tooManyCoefficients();
      bits.skip(corrections);
      if (extraBits > 0) {
        if (k < 32) low |= 1 << k;
        else high |= 1 << (k - 32);
      }
      k++;
    }
    if (this.endOfBandRun > 0) {
      bits.skip(countSetBits(low, high, k, last));
      this.endOfBandRun--;
    }
    nonzero.low = low;
    nonzero.high = high;
  }
}

/** Counts the set bits from `from` to `to`. */
function countSetBits(low: number, high: number, from: number, to: number): number {
  if (from > to) return 0;
  const below = from < 32 ? low & (-1 << from) & (to < 31 ? (1 << (to + 1)) - 1 : -1) : 0;
  const above = to < 32 ? 0 : high & (from > 32 ? -1 << (from - 32) : -1) & (to < 63 ? (1 << (to - 31)) - 1 : -1);
  return bitCount(below) + bitCount(above);
}

/** Counts the set bits of a word by pairs, nibbles and bytes. */
function bitCount(bits: number): number {
  let n = bits - ((bits >>> 1) & 0x55555555);
  n = (n & 0x33333333) + ((n >>> 2) & 0x33333333);
  return Math.imul((n + (n >>> 4)) & 0x0f0f0f0f, 0x01010101) >>> 24;
}

function tooManyCoefficients(): StructureError {
  return new StructureError('is damaged: a block of its image data has too many coefficients');
}

function runTooLong(): StructureError {
  return new StructureError('is damaged: a run of its image data is longer than its scan');
}

/**
 * Walks all scans of the AC coefficients of one component of a progressive frame. A refinement scan needs to know which
 * coefficients earlier scans set. Walking all scans in step, block by block, keeps this for one block only.
 */
function walkBands(file: FileBytes, frame: JpegFrame, scans: readonly JpegScan[]): void {
  const [any] = scans;
  if (any === undefined) return;
  const { mcus } = layoutOf(frame, any);
  // Each scan reads at a place of its own in the file, so each has its own window.
  const bands = scans.map((scan) => new BandScan(file.cursor(1 << 14), scan));
  const nonzero: Nonzero = { low: 0, high: 0 };
  for (let block = 0; block < mcus; block++) {
    nonzero.low = 0;
    nonzero.high = 0;
    for (const band of bands) band.walkBlock(nonzero);
  }
  for (const band of bands) band.finish();
}
