import { little } from '../../fixtures/bytes.js';
import { between, bitFlipped, type Damage, type Damages, oneOf, overwritten, without } from './bytes.js';

interface Chunk {
  readonly type: string;
  readonly start: number;
  readonly end: number;
}

function chunksOf(bytes: Buffer): Chunk[] {
  const chunks: Chunk[] = [];
  for (let at = 12; at + 8 <= bytes.length; ) {
    const size = bytes.readUInt32LE(at + 4);
    const end = Math.min(bytes.length, at + 8 + size + (size & 1));
    chunks.push({ type: bytes.toString('latin1', at, at + 4), start: at, end });
    at = end;
  }
  return chunks;
}

/** Changes the length at an offset. */
const lengthAt = (bytes: Buffer, at: number, changed: (length: number) => number): Buffer =>
  overwritten(bytes, at, little(4, changed(bytes.readUInt32LE(at)) >>> 0));

const withLength = (bytes: Buffer): Buffer => lengthAt(bytes, 4, () => bytes.length - 8);

const onLength = (changed: (length: number) => number): Damage => {
  return (bytes) => lengthAt(bytes, 4, changed);
};

function onChunk(change: (bytes: Buffer, chunk: Chunk) => Buffer): Damage {
  return (bytes, random) => {
    const chunk = oneOf(chunksOf(bytes), random);
    return chunk && change(bytes, chunk);
  };
}
const onChunkLength = (changed: (length: number) => number): Damage =>
  onChunk((bytes, { start }) => lengthAt(bytes, start + 4, changed));

/** Flips a bit of the first bytes of the picture, where its own headers are. */
const flipPictureHeader: Damage = (bytes, random) => {
  const at = bytes.indexOf('VP8', 12, 'latin1');
  const place = between(at + 8, at + 24, random);
  return at < 0 || place >= bytes.length ? undefined : bitFlipped(bytes, place, random);
};

export const WEBP_DAMAGE: Damages = {
  'riff-length-plus-2': onLength((length) => length + 2),
  'riff-length-zero': onLength(() => 0),
  'chunk-length-plus-2': onChunkLength((length) => length + 2),
  'chunk-length-halved': onChunkLength((length) => length >> 1),
  'chunk-removed': onChunk((bytes, { start, end }) => withLength(without(bytes, start, end))),
  'picture-header-flip': flipPictureHeader,
};
