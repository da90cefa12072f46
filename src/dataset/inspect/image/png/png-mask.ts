import type { MaskTraits } from '../../inspection.js';
import { TraitsOfPixels } from '../mask/mask-traits.js';
import { unfilter } from './png-filters.js';
import { type PixelLayout, type PixelSink, passesOf } from './png-pixels.js';

/** Two lines are held at a time. */
const MAX_LINE_BYTES = 8_000_000;

/** Undoing the filters of this many bytes takes a few seconds, which the limits of an inspection allow for a file of any size. */
const MAX_PIXEL_BYTES = 600_000_000;

/** Types of colour (PNG specification, third edition, 11.2.1). */
const GREY = 0;
const RGB = 2;
const PALETTE = 3;
const GREY_ALPHA = 4;

export interface MaskLayout extends PixelLayout {
  readonly colour: number;
  /** Bits of a sample. */
  readonly depth: number;
  /** The payloads of PLTE and tRNS. */
  readonly palette: Buffer | undefined;
  readonly transparency: Buffer | undefined;
}

/** True if the pixels can be read as those of a mask within the limits of an inspection. */
export function isReadableMask(png: PixelLayout): boolean {
  const lineBytes = Math.ceil((png.width * png.bitsPerPixel) / 8);
  return lineBytes <= MAX_LINE_BYTES && lineBytes * png.height <= MAX_PIXEL_BYTES;
}

/** Reads the traits of a mask from the inflated pixels of a PNG. Holds two lines. */
export class PngMaskReader implements PixelSink {
  readonly #layout: MaskLayout;
  readonly #traits = new TraitsOfPixels();
  readonly #passes: Generator<{ readonly columns: number; readonly rows: number }, undefined>;
  /** The colours of the palette that occur. */
  readonly #used = new Uint8Array(256);
  #columns = 0;
  /** Lines of the pass that are not complete. */
  #rows = 0;
  /** With the filter byte. */
  #line: Buffer = Buffer.alloc(0);
  #above: Buffer = Buffer.alloc(0);
  #zeros: Buffer = Buffer.alloc(0);
  #filled = 0;
  #isFirst = true;

  constructor(layout: MaskLayout) {
    this.#layout = layout;
    this.#passes = passesOf(layout);
    this.#startPass();
  }

  add(piece: Buffer): void {
    for (let at = 0; at < piece.length && this.#rows > 0; ) {
      const step = Math.min(piece.length - at, this.#line.length - this.#filled);
      this.#filled += piece.copy(this.#line, this.#filled, at, at + step);
      at += step;
      if (this.#filled === this.#line.length) this.#endLine();
    }
  }

  traits(): MaskTraits {
    for (const [index, isUsed] of this.#used.entries()) if (isUsed) this.#addPaletteColour(index);
    return this.#traits;
  }

  #startPass(): void {
    const pass = this.#passes.next();
    if (pass.done) return;
    this.#columns = pass.value.columns;
    this.#rows = pass.value.rows;
    const bytes = 1 + Math.ceil((this.#columns * this.#layout.bitsPerPixel) / 8);
    this.#line = Buffer.alloc(bytes);
    this.#above = Buffer.alloc(bytes);
    this.#zeros = Buffer.alloc(bytes - 1);
    this.#isFirst = true;
  }

  #endLine(): void {
    const [line, above] = [this.#line.subarray(1), this.#above.subarray(1)];
    const step = Math.max(1, this.#layout.bitsPerPixel >> 3);
    unfilter(line, { filter: this.#line[0] ?? 0, above, step });
    // A line that repeats the one above, as in areas of one colour, has no new pixels.
    if (this.#isFirst || !line.equals(above)) this.#addLine(line);
    [this.#line, this.#above] = [this.#above, this.#line];
    this.#isFirst = false;
    this.#filled = 0;
    this.#rows--;
    if (this.#rows === 0) this.#startPass();
  }

  #addLine(line: Buffer): void {
    const { colour, depth } = this.#layout;
    if (colour === PALETTE) this.#markUsed(line);
    else if (colour !== GREY) this.#addPixels(line);
    else if (depth === 16) this.#addDeepGreys(line);
    else if (this.#traits.isBlack && !this.#isZero(line)) this.#traits.isBlack = false;
  }

  #isZero(line: Buffer): boolean {
    const last = line.length - 1;
    const unusedBits = line.length * 8 - this.#columns * this.#layout.depth;
    return (line[last] ?? 0) >> unusedBits === 0 && line.subarray(0, last).equals(this.#zeros.subarray(0, last));
  }

  /** Pillow opens a 16-bit grey as `I;16`, and makes 255 of all values above (11.1, `libImaging/Convert.c`, `I16_RGB`). */
  #addDeepGreys(line: Buffer): void {
    const traits = this.#traits;
    for (let at = 0; at < line.length; at += 2) {
      const [high, low] = [line[at]!, line[at + 1]!];
      if (high === 0 && low === 0) continue;
      traits.isBlack = false;
      if (high > 0 && high < 255) traits.isCutOff = true;
    }
  }

  /** Pillow takes the first byte of samples of 16 bits. */
  #addPixels(line: Buffer): void {
    const { colour, depth, bitsPerPixel } = this.#layout;
    const traits = this.#traits;
    const step = bitsPerPixel >> 3;
    const sampleBytes = depth >> 3;
    const [green, blue] = colour === GREY_ALPHA ? [0, 0] : [sampleBytes, 2 * sampleBytes];
    const alpha = colour === RGB ? undefined : step - sampleBytes;
    for (let at = 0; at < line.length; at += step) {
      traits.addColour(line[at]!, line[at + green]!, line[at + blue]!);
      if (alpha !== undefined) traits.addAlpha(line[at + alpha]!);
    }
  }

  #markUsed(line: Buffer): void {
    const { depth } = this.#layout;
    const perByte = 8 / depth;
    for (let column = 0; column < this.#columns; column++) {
      const shift = 8 - depth * (1 + (column % perByte));
      this.#used[(line[Math.floor(column / perByte)]! >> shift) & ((1 << depth) - 1)] = 1;
    }
  }

  /** Pillow takes black for colours that the palette does not have, or has a part of. */
  #addPaletteColour(index: number): void {
    const { palette, transparency } = this.#layout;
    const [red = 0, green = 0, blue] = palette?.subarray(index * 3, index * 3 + 3) ?? [];
    if (blue !== undefined) this.#traits.addColour(red, green, blue);
    this.#traits.addAlpha(transparency?.[index] ?? 255);
  }
}
