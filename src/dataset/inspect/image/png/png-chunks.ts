import { crc32 } from 'node:zlib';
import type { FileBytes } from '../../byte-source.js';
import { StructureError } from '../../inspection-error.js';

export interface PngChunk {
  readonly type: string;
  /** The offset of the chunk in the file, and that of its payload. */
  readonly start: number;
  readonly payload: number;
  readonly length: number;
  /** The offset of the next chunk, after the checksum. */
  readonly end: number;
}

export function pngChunkAt(file: FileBytes, start: number): PngChunk {
  const header = file.at(start, 8);
  const length = header.readUInt32BE(0);
  const payload = start + 8;
  return { type: header.toString('latin1', 4, 8), start, payload, length, end: payload + length + 4 };
}

/** @throws StructureError if the bytes of the chunk don't match its checksum */
export function checkChecksum(file: FileBytes, chunk: PngChunk): void {
  let crc = crc32(Buffer.from(chunk.type, 'latin1'));
  // Read first, so that truncation is found before gigabytes of a chunk are read.
  const expected = file.at(chunk.payload + chunk.length, 4).readUInt32BE(0);
  for (const piece of payloadPieces(file, chunk)) crc = crc32(piece, crc);
  if (crc !== expected) {
    const name = /^[A-Za-z]{4}$/.test(chunk.type) ? ` in its ${chunk.type} chunk` : '';
    throw new StructureError(`is damaged: the bytes${name} do not match their checksum`);
  }
}

/** The payload from its byte `from` on, in pieces that are each valid until the next one is read. */
export function* payloadPieces(file: FileBytes, chunk: PngChunk, from = 0): Generator<Buffer> {
  const end = chunk.payload + chunk.length;
  for (let offset = chunk.payload + from; offset < end; ) {
    const piece = file.upTo(offset, end - offset);
    yield piece;
    offset += piece.length;
  }
}
