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
  /** Large or slow ones, which only `npm run hostile` sends. */
  readonly isExtra?: true;
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

/** All bytes at once, for files of a few megabytes. */
export async function bytesOf(file: HostileFile): Promise<Buffer> {
  return Buffer.concat([...(await file.pieces())]);
}

/** Writes the file into a folder, piece by piece, and returns its path. */
export async function writeHostile(folder: string, file: HostileFile): Promise<string> {
  const path = join(folder, file.filename);
  await pipeline(Readable.from(await file.pieces()), createWriteStream(path));
  return path;
}

export const u8 = (...values: number[]): Buffer => Buffer.from(values);

export function u16(value: number): Buffer {
  const bytes = Buffer.alloc(2);
  bytes.writeUInt16BE(value);
  return bytes;
}

export function u32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return bytes;
}

export function u64(value: number | bigint): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64BE(BigInt(value));
  return bytes;
}

/** Big-endian numbers of 32 bits. */
export const u32s = (...values: number[]): Buffer => Buffer.concat(values.map(u32));
