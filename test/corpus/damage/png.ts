import { deflateSync } from 'node:zlib';
import { concat, PNG_SIGNATURE, pngChunk } from '../../fixtures/bytes.js';
import { between, bitFlipped, type Damage, type Damages, oneOf, overwritten, randomBytes } from './bytes.js';

type Chunk = readonly [type: string, data: Buffer];

function chunksOf(bytes: Buffer): Chunk[] {
  const chunks: Chunk[] = [];
  for (let at = 8; at + 12 <= bytes.length; at += 12 + bytes.readUInt32BE(at)) {
    const end = at + 8 + bytes.readUInt32BE(at);
    if (end + 4 > bytes.length) break;
    chunks.push([bytes.toString('latin1', at + 4, at + 8), bytes.subarray(at + 8, end)]);
  }
  return chunks;
}

/** With checksums that fit. */
const written = (chunks: readonly Chunk[]): Buffer =>
  concat(PNG_SIGNATURE, ...chunks.map(([type, data]) => pngChunk(type, data)));

function rewritten(change: (chunks: Chunk[], random: () => number) => readonly Chunk[] | undefined): Damage {
  return (bytes, random) => {
    const chunks = change(chunksOf(bytes), random);
    return chunks && written(chunks);
  };
}

const pixelIndexes = (chunks: readonly Chunk[]): number[] =>
  chunks.flatMap(([type], index) => (type === 'IDAT' ? [index] : []));

/** Changes one IDAT chunk and gives it a checksum that fits. */
function onPixels(change: (data: Buffer, random: () => number) => Buffer): Damage {
  return rewritten((chunks, random) => {
    const index = oneOf(pixelIndexes(chunks), random);
    return index === undefined ? undefined : chunks.with(index, ['IDAT', change(chunks[index]![1], random)]);
  });
}

/** Changes the IHDR and gives it a checksum that fits. */
function onHeader(change: (header: Buffer) => void): Damage {
  return rewritten(([header, ...others]) => {
    if (header === undefined) return undefined;
    const data = Buffer.from(header[1]);
    change(data);
    return [['IHDR', data], ...others];
  });
}

function inserted(place: string, chunk: (random: () => number) => Chunk): Damage {
  return rewritten((chunks, random) => {
    const at = place === 'after IHDR' ? 1 : chunks.findIndex(([type]) => type === place.slice(-4));
    return at < 0 ? undefined : chunks.toSpliced(at, 0, chunk(random));
  });
}

export const PNG_DAMAGE: Damages = {
  'cut-closed-50': (bytes) => concat(bytes.subarray(0, bytes.length >> 1), pngChunk('IEND')),
  'crc-flipped': (bytes, random) => {
    const chunks = chunksOf(bytes);
    const at = written(chunks.slice(0, between(1, chunks.length + 1, random))).length - 1;
    return overwritten(bytes, at, Buffer.of(bytes[at]! ^ 1));
  },
  'idat-removed': rewritten((chunks, random) => chunks.toSpliced(oneOf(pixelIndexes(chunks), random) ?? 0, 1)),
  'idat-flip': onPixels((data, random) => bitFlipped(data, between(0, data.length, random), random)),
  'adler-flip': onPixels((data) => overwritten(data, data.length - 1, Buffer.of(data[data.length - 1]! ^ 1))),
  'height-doubled': onHeader((header) => header.writeUInt32BE(header.readUInt32BE(4) * 2, 4)),
  'interlace-changed': onHeader((header) => header.writeUInt8(header[12]! ^ 1, 12)),
  'chunk-critical-unknown': inserted('after IHDR', () => ['ABCD', Buffer.alloc(4)]),
  'iccp-garbage': inserted('after IHDR', (random) => ['iCCP', concat('a\0\0', randomBytes(50, random))]),
  'ztxt-garbage': inserted('before IDAT', (random) => ['zTXt', concat('a\0\0', randomBytes(50, random))]),
  'ztxt-over-1-mib': inserted('before IDAT', () => ['zTXt', concat('a\0\0', deflateSync(Buffer.alloc(1_100_000)))]),
};
