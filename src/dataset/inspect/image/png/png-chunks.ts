import { crc32 } from 'node:zlib';
import type { FileBytes } from '../../byte-source.js';
import { StructureError } from '../../inspection-error.js';

export interface PngChunk {
  readonly type: string;
  /** The offset of the payload in the file. */
  readonly payload: number;
  readonly length: number;
  /** The offset of the next chunk, after the checksum. */
  readonly end: number;
}

export function pngChunkAt(file: FileBytes, start: number): PngChunk {
  const header = file.at(start, 8);
  const length = header.readUInt32BE(0);
  const payload = start + 8;
  return { type: header.toString('latin1', 4, 8), payload, length, end: payload + length + 4 };
}

/** @throws StructureError if the bytes of the chunk don't match its checksum */
export function checkChecksum(file: FileBytes, { type, payload, length }: PngChunk): void {
  // Read first, so that truncation is found before gigabytes of a chunk are read.
  const expected = file.at(payload + length, 4).readUInt32BE(0);
  let crc = crc32(Buffer.from(type, 'latin1'));
  for (let offset = payload; offset < payload + length; ) {
    const piece = file.upTo(offset, payload + length - offset);
    crc = crc32(piece, crc);
    offset += piece.length;
  }
  if (crc !== expected) {
    const name = /^[A-Za-z]{4}$/.test(type) ? ` in its ${type} chunk` : '';
    throw new StructureError(`is damaged: the bytes${name} do not match their checksum`);
  }
}

/** A copy of the payload, or of its first `maxBytes` bytes. */
export function payloadOf(file: FileBytes, { payload, length }: PngChunk, maxBytes: number): Buffer {
  return Buffer.from(file.copy(payload, payload + Math.min(length, maxBytes)));
}
