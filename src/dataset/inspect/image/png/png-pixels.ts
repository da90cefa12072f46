/*
 * Proves the pixels of a PNG in constant memory. libvips decodes PNG too, but holds all pixels of an interlaced image and 1,500
 * lines of any other, and it rejects images that Pillow opens.
 */
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { constants, createInflate } from 'node:zlib';
import { isInputOutputError, StructureError } from '../../inspection-error.js';

export interface PixelLayout {
  readonly width: number;
  readonly height: number;
  readonly bitsPerPixel: number;
  readonly interlaced: boolean;
}

/** First column, first row, column step, row step of each Adam7 pass (PNG specification, third edition, 8.1). */
const ADAM7 = [
  [0, 0, 8, 8],
  [4, 0, 8, 8],
  [0, 4, 4, 8],
  [2, 0, 4, 4],
  [0, 2, 2, 4],
  [1, 0, 2, 2],
  [0, 1, 1, 2],
] as const;

/** Receives the inflated pixels: each line with its filter byte before it, in stored order. */
export interface PixelSink {
  add(piece: Buffer): void;
}

/**
 * Checks that the data inflate to as many bytes as the header declares, with a valid filter type at the start of each
 * line. Nothing else can be wrong in a PNG with correct checksums.
 *
 * @throws StructureError
 */
export async function provePngPixels(data: Iterable<Buffer>, png: PixelLayout, sink?: PixelSink): Promise<void> {
  // Pillow stops at the last line. It needs no end of the compressed data after that.
  const inflate = createInflate({ chunkSize: 1 << 16, finishFlush: constants.Z_SYNC_FLUSH });
  const feeding = pipeline(Readable.from(copies(data)), inflate).catch(() => undefined);
  let complete: boolean;
  try {
    complete = await hasAllLines(inflate, linesOf(png), sink);
  } catch (error) {
    if (error instanceof StructureError || isInputOutputError(error)) throw error;
    throw new StructureError("is damaged: its pixels can't be decompressed");
  } finally {
    inflate.destroy();
    await feeding;
  }
  if (!complete) throw new StructureError('is damaged: it has fewer pixels than its header declares');
}

async function hasAllLines(
  pixels: AsyncIterable<Buffer>,
  lines: Generator<number, undefined>,
  sink: PixelSink | undefined,
): Promise<boolean> {
  let line = lines.next();
  let left = 0;
  for await (const piece of pixels) {
    sink?.add(piece);
    for (let at = 0; at < piece.length; ) {
      if (left === 0) {
        if (line.done === true) return true; // Decoders ignore surplus bytes too.
        if ((piece[at] ?? 0) > 4) throw new StructureError('is damaged: a line of its pixels has no valid filter type');
        left = line.value;
        line = lines.next();
      }
      const step = Math.min(left, piece.length - at);
      left -= step;
      at += step;
    }
  }
  return left === 0 && line.done === true;
}

/** The length of each line in bytes, with its filter byte, in stored order. */
function* linesOf(png: PixelLayout): Generator<number, undefined> {
  for (const { columns, rows } of passesOf(png)) {
    for (let row = 0; row < rows; row++) yield 1 + Math.ceil((columns * png.bitsPerPixel) / 8);
  }
  return undefined;
}

/** The parts of an interlaced image in stored order, each of which is filtered on its own; without interlacing, one. */
export function* passesOf(png: PixelLayout): Generator<{ readonly columns: number; readonly rows: number }, undefined> {
  const passes = png.interlaced ? ADAM7 : ([[0, 0, 1, 1]] as const);
  for (const [left, top, across, down] of passes) {
    const columns = Math.ceil((png.width - left) / across);
    const rows = Math.ceil((png.height - top) / down);
    if (columns > 0 && rows > 0) yield { columns, rows };
  }
  return undefined;
}

/** Copies each piece, since zlib may still read it in another thread when the window is overwritten. */
function* copies(pieces: Iterable<Buffer>): Generator<Buffer> {
  for (const piece of pieces) yield Buffer.from(piece);
}
