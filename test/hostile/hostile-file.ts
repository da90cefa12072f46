import { createWriteStream } from 'node:fs';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';

/** A file that is made to cost its reader time or memory. Its bytes are the same in every run. */
export interface HostileFile {
  /** Names the fault; its extension is the type that the file declares. */
  readonly filename: string;
  /** The bytes, in pieces of at most a megabyte. */
  readonly pieces: () => Iterable<Buffer> | Promise<Iterable<Buffer>>;
}

/** Files by name. */
export function filesOf(files: Readonly<Record<string, HostileFile['pieces']>>): HostileFile[] {
  return Object.entries(files).map(([filename, pieces]) => ({ filename, pieces }));
}

const PIECE_BYTES = 1 << 18;

/** `piece` so many times, joined into larger pieces. */
export function* repeated(piece: Buffer, times: number): Generator<Buffer> {
  const perBlock = Math.max(1, Math.floor(PIECE_BYTES / piece.length));
  const block = Buffer.concat(Array.from({ length: Math.min(perBlock, times) }, () => piece));
  for (let left = times; left > 0; left -= perBlock) {
    yield left >= perBlock ? block : block.subarray(0, left * piece.length);
  }
}

/** As `repeated`, in one piece. */
export const many = (piece: Buffer, times: number): Buffer => Buffer.concat([...repeated(piece, times)]);

/** The results of `make` for 0, 1, 2 …, joined into larger pieces. */
export function* generated(times: number, make: (index: number) => Buffer): Generator<Buffer> {
  let parts: Buffer[] = [];
  let bytes = 0;
  for (let index = 0; index < times; index++) {
    const part = make(index);
    parts.push(part);
    bytes += part.length;
    if (bytes < PIECE_BYTES && index + 1 < times) continue;
    yield Buffer.concat(parts);
    parts = [];
    bytes = 0;
  }
}

export function* joined(...parts: readonly (Buffer | Iterable<Buffer>)[]): Generator<Buffer> {
  for (const part of parts) {
    if (Buffer.isBuffer(part)) yield part;
    else yield* part;
  }
}

/** Writes the file into a folder, piece by piece, and returns its path. */
export async function writeHostile(folder: string, file: HostileFile): Promise<string> {
  const path = join(folder, file.filename);
  await pipeline(Readable.from(await file.pieces()), createWriteStream(path));
  return path;
}

/** Writes bits, the most significant first, as JPEG and H.264 have them. */
export class BitWriter {
  readonly #bytes: number[] = [];
  #byte = 0;
  #used = 0;

  bits(count: number, value: number): this {
    for (let bit = count - 1; bit >= 0; bit--) {
      this.#byte = (this.#byte << 1) | (Math.floor(value / 2 ** bit) & 1);
      if (++this.#used < 8) continue;
      this.#bytes.push(this.#byte);
      this.#byte = 0;
      this.#used = 0;
    }
    return this;
  }

  /** Exp-Golomb codes (ITU-T H.264, 9.1). */
  golomb(...values: number[]): this {
    for (const value of values) {
      const length = 32 - Math.clz32(value + 1);
      this.bits(length - 1, 0).bits(length, value + 1);
    }
    return this;
  }

  /** The bytes, the last one filled with `fill`. */
  end(fill: 0 | 1): Buffer {
    while (this.#used > 0) this.bits(1, fill);
    return Buffer.from(this.#bytes);
  }
}
