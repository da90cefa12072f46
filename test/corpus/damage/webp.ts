import { between, concat, type Damage, overwritten } from './bytes.js';
import { exifDamage } from './exif.js';

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

const uint32 = (value: number): Buffer => {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(value >>> 0);
  return bytes;
};

const withLength = (bytes: Buffer): Buffer => overwritten(bytes, 4, uint32(bytes.length - 8));

function addLength(difference: number): Damage {
  return (bytes) => overwritten(bytes, 4, uint32(bytes.readUInt32LE(4) + difference));
}

function onChunk(change: (bytes: Buffer, chunk: Chunk, random: () => number) => Buffer): Damage {
  return (bytes, random) => {
    const chunks = chunksOf(bytes);
    const chunk = chunks[between(0, chunks.length, random)];
    return chunk && change(bytes, chunk, random);
  };
}

/** Flips a bit of the first bytes of the picture, where its own headers are. */
const flipPictureHeader: Damage = (bytes, random) => {
  const at = bytes.indexOf('VP8', 12, 'latin1');
  const place = between(at + 8, at + 24, random);
  return at < 0 || place >= bytes.length
    ? undefined
    : overwritten(bytes, place, Buffer.of(bytes[place]! ^ (1 << Math.floor(random() * 8))));
};

/** Adds an EXIF chunk, and the VP8X header that announces it, to a picture without one. */
function withExif(bytes: Buffer, exif: Buffer): Buffer | undefined {
  const [first] = chunksOf(bytes);
  if (first?.type !== 'VP8X') return undefined;
  const flagged = overwritten(bytes, first.start + 8, Buffer.of(bytes[first.start + 8]! | 8));
  return withLength(concat(flagged, 'EXIF', uint32(exif.length), exif, exif.length & 1 ? '\0' : ''));
}

export const WEBP_DAMAGE: Readonly<Record<string, Damage>> = {
  'riff-length-plus-2': addLength(2),
  'riff-length-plus-1000': addLength(1000),
  'riff-length-minus-2': addLength(-2),
  'riff-length-zero': (bytes) => overwritten(bytes, 4, uint32(0)),
  'riff-length-of-cut': (bytes, random) => withLength(bytes.subarray(0, between(13, bytes.length, random) & ~1)),
  'chunk-length-plus-2': onChunk((bytes, { start }) =>
    overwritten(bytes, start + 4, uint32(bytes.readUInt32LE(start + 4) + 2)),
  ),
  'chunk-length-minus-2': onChunk((bytes, { start }) =>
    overwritten(bytes, start + 4, uint32(bytes.readUInt32LE(start + 4) - 2)),
  ),
  'chunk-length-halved': onChunk((bytes, { start }) =>
    overwritten(bytes, start + 4, uint32(bytes.readUInt32LE(start + 4) >> 1)),
  ),
  'chunk-renamed': onChunk((bytes, { start }) => overwritten(bytes, start, Buffer.from('ABCD'))),
  'chunk-removed': onChunk((bytes, { start, end }) =>
    withLength(concat(bytes.subarray(0, start), bytes.subarray(end))),
  ),
  'chunk-doubled': onChunk((bytes, { start, end }) =>
    withLength(concat(bytes.subarray(0, end), bytes.subarray(start))),
  ),
  'picture-header-flip': flipPictureHeader,
  'picture-header-flip-again': flipPictureHeader,
  'vp8x-flip': (bytes, random) => {
    const [first] = chunksOf(bytes);
    if (first?.type !== 'VP8X') return undefined;
    const at = between(first.start + 8, first.end, random);
    return overwritten(bytes, at, Buffer.of(bytes[at]! ^ (1 << Math.floor(random() * 8))));
  },
  ...exifDamage(withExif),
};
