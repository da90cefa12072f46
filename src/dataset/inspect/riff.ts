import type { FileBytes } from './byte-source.js';
import { truncated } from './inspection-error.js';

export interface Chunk {
  readonly type: string;
  readonly payload: number;
  readonly length: number;
}

/** The chunks between two offsets of a RIFF file, each padded to an even length. @throws Damage where one overlaps `end`. */
export function* riffChunksOf(file: FileBytes, range: { start: number; end: number }): Generator<Chunk> {
  for (let offset = range.start; offset < range.end; ) {
    if (offset + 8 > range.end) return; // Fewer bytes than a chunk's header are padding; libwebp ignores them too.
    const header = file.at(offset, 8, 'a chunk of it');
    const chunk = { type: header.toString('latin1', 0, 4), payload: offset + 8, length: header.readUInt32LE(4) };
    const end = chunk.payload + chunk.length;
    if (end > range.end) throw truncated({ needed: end, size: range.end, what: 'a chunk of it' });
    yield chunk;
    offset = end + (chunk.length & 1);
  }
}
