import { crc32, deflateSync } from 'node:zlib';
import { between, concat, type Damage, overwritten, randomBytes } from './bytes.js';
import { exifDamage } from './exif.js';

interface Chunk {
  readonly type: string;
  readonly data: Buffer;
}

const SIGNATURE = '\x89PNG\r\n\x1a\n';

function chunksOf(bytes: Buffer): Chunk[] {
  const chunks: Chunk[] = [];
  for (let at = 8; at + 12 <= bytes.length; at += 12 + bytes.readUInt32BE(at)) {
    const end = at + 8 + bytes.readUInt32BE(at);
    if (end + 4 > bytes.length) break;
    chunks.push({ type: bytes.toString('latin1', at + 4, at + 8), data: bytes.subarray(at + 8, end) });
  }
  return chunks;
}

/** With checksums that fit. */
function written(chunks: readonly Chunk[]): Buffer {
  const parts = chunks.map(({ type, data }) => {
    const length = Buffer.alloc(4);
    length.writeUInt32BE(data.length);
    const body = concat(type, data);
    const checksum = Buffer.alloc(4);
    checksum.writeUInt32BE(crc32(body));
    return concat(length, body, checksum);
  });
  return concat(SIGNATURE, ...parts);
}

function rewritten(change: (chunks: Chunk[], random: () => number) => readonly Chunk[] | undefined): Damage {
  return (bytes, random) => {
    const chunks = change(chunksOf(bytes), random);
    return chunks && written(chunks);
  };
}

/** Inserts a chunk after the IHDR, before the pixels, or at the end. */
function inserted(place: 'after IHDR' | 'before IDAT' | 'before IEND', chunk: (random: () => number) => Chunk): Damage {
  return rewritten((chunks, random) => {
    const at = place === 'after IHDR' ? 1 : chunks.findIndex(({ type }) => type === place.slice(-4));
    return at < 0 ? undefined : chunks.toSpliced(at, 0, chunk(random));
  });
}

/** Changes one IDAT chunk and gives it a checksum that fits. */
function onPixels(change: (data: Buffer, random: () => number) => Buffer): Damage {
  return rewritten((chunks, random) => {
    const indexes = chunks.flatMap(({ type }, index) => (type === 'IDAT' ? [index] : []));
    const index = indexes[between(0, indexes.length, random)];
    return index === undefined
      ? undefined
      : chunks.with(index, { type: 'IDAT', data: change(chunks[index]!.data, random) });
  });
}

/** Changes the IHDR and gives it a checksum that fits. */
function onHeader(change: (header: Buffer) => void): Damage {
  return rewritten(([header, ...others]) => {
    if (header === undefined) return undefined;
    const data = Buffer.from(header.data);
    change(data);
    return [{ type: 'IHDR', data }, ...others];
  });
}

/** Deflated zeros, which unpack to so many bytes. */
const unpacksTo = (bytes: number): Buffer => deflateSync(Buffer.alloc(bytes, 0x61));
const MIB = 1024 * 1024;

const animationControl: Chunk = { type: 'acTL', data: Buffer.from('0000000200000000', 'hex') };

export const PNG_DAMAGE: Readonly<Record<string, Damage>> = {
  'cut-closed-50': (bytes) =>
    concat(bytes.subarray(0, bytes.length >> 1), written([{ type: 'IEND', data: Buffer.alloc(0) }]).subarray(8)),
  'iend-missing': rewritten((chunks) => chunks.slice(0, -1)),
  'crc-flipped': (bytes, random) => {
    const chunks = chunksOf(bytes);
    const count = between(1, chunks.length + 1, random);
    const at = written(chunks.slice(0, count)).length - 1;
    return overwritten(bytes, at, Buffer.of(bytes[at]! ^ 1));
  },
  'idat-removed': rewritten((chunks, random) => {
    const indexes = chunks.flatMap(({ type }, index) => (type === 'IDAT' ? [index] : []));
    return chunks.toSpliced(indexes[between(0, indexes.length, random)] ?? 0, 1);
  }),
  'idat-doubled': rewritten((chunks) => {
    const index = chunks.findIndex(({ type }) => type === 'IDAT');
    return index < 0 ? undefined : chunks.toSpliced(index, 0, chunks[index]!);
  }),
  'idat-flip': onPixels((data, random) => {
    const at = between(0, data.length, random);
    return overwritten(data, at, Buffer.of(data[at]! ^ (1 << Math.floor(random() * 8))));
  }),
  'idat-random': onPixels((data, random) => overwritten(data, between(2, data.length, random), randomBytes(8, random))),
  'idat-cut': onPixels((data, random) => data.subarray(0, between(1, data.length, random))),
  'adler-flip': onPixels((data) => overwritten(data, data.length - 1, Buffer.of(data[data.length - 1]! ^ 1))),
  'idat-bytes-after-end': onPixels((data) => concat(data, Buffer.alloc(20))),
  'height-doubled': onHeader((header) => header.writeUInt32BE(header.readUInt32BE(4) * 2, 4)),
  'height-halved': onHeader((header) => header.writeUInt32BE(Math.max(1, header.readUInt32BE(4) >> 1), 4)),
  'width-plus-one': onHeader((header) => header.writeUInt32BE(header.readUInt32BE(0) + 1, 0)),
  'compression-unknown': onHeader((header) => header.writeUInt8(1, 10)),
  'filter-unknown': onHeader((header) => header.writeUInt8(1, 11)),
  'interlace-unknown': onHeader((header) => header.writeUInt8(2, 12)),
  'interlace-changed': onHeader((header) => header.writeUInt8(header[12]! ^ 1, 12)),
  'depth-unknown': onHeader((header) => header.writeUInt8(3, 8)),
  'color-type-changed': onHeader((header) => header.writeUInt8(header[9]! ^ 4, 9)),
  'palette-missing': rewritten((chunks) =>
    chunks.some(({ type }) => type === 'PLTE') ? chunks.filter(({ type }) => type !== 'PLTE') : undefined,
  ),
  'ihdr-doubled': rewritten((chunks) => [chunks[0]!, ...chunks]),
  'chunk-critical-unknown': inserted('after IHDR', () => ({ type: 'ABCD', data: Buffer.alloc(4) })),
  'gama-short': inserted('after IHDR', () => ({ type: 'gAMA', data: Buffer.alloc(2) })),
  'phys-short': inserted('after IHDR', () => ({ type: 'pHYs', data: Buffer.alloc(5) })),
  'srgb-empty': inserted('after IHDR', () => ({ type: 'sRGB', data: Buffer.alloc(0) })),
  'chrm-short': inserted('after IHDR', () => ({ type: 'cHRM', data: Buffer.alloc(7) })),
  'trns-empty': inserted('before IDAT', () => ({ type: 'tRNS', data: Buffer.alloc(0) })),
  'iccp-garbage': inserted('after IHDR', (random) => ({
    type: 'iCCP',
    data: concat('a\0\0', randomBytes(50, random)),
  })),
  'iccp-method-unknown': inserted('after IHDR', () => ({ type: 'iCCP', data: concat('a\0\x01', unpacksTo(100)) })),
  'iccp-over-1-mib': inserted('after IHDR', () => ({ type: 'iCCP', data: concat('a\0\0', unpacksTo(MIB + 1)) })),
  'ztxt-over-1-mib': inserted('before IDAT', () => ({ type: 'zTXt', data: concat('a\0\0', unpacksTo(MIB + 1)) })),
  'ztxt-of-1-mib': inserted('before IDAT', () => ({ type: 'zTXt', data: concat('a\0\0', unpacksTo(MIB)) })),
  'ztxt-garbage': inserted('before IDAT', (random) => ({
    type: 'zTXt',
    data: concat('a\0\0', randomBytes(50, random)),
  })),
  'ztxt-method-unknown': inserted('before IDAT', () => ({ type: 'zTXt', data: concat('a\0\x01', unpacksTo(100)) })),
  'ztxt-after-pixels-over-1-mib': inserted('before IEND', () => ({
    type: 'zTXt',
    data: concat('a\0\0', unpacksTo(MIB + 1)),
  })),
  'itxt-over-1-mib': inserted('before IDAT', () => ({
    type: 'iTXt',
    data: concat('a\0\x01\0\0\0', unpacksTo(MIB + 1)),
  })),
  'itxt-plain-over-1-mib': inserted('before IDAT', () => ({
    type: 'iTXt',
    data: concat('a\0\0\0\0\0', Buffer.alloc(MIB + 1, 0x61)),
  })),
  'text-large': inserted('before IDAT', () => ({ type: 'tEXt', data: concat('a\0', Buffer.alloc(2 * MIB, 0x61)) })),
  'text-65-mib': rewritten((chunks) => {
    const texts = Array.from({ length: 66 }, (_, index): Chunk => {
      return { type: 'zTXt', data: concat(`a${index}\0\0`, unpacksTo(MIB)) };
    });
    return chunks.toSpliced(1, 0, ...texts);
  }),
  'actl-without-fctl': inserted('before IDAT', () => animationControl),
  'actl-short': inserted('before IDAT', () => ({ type: 'acTL', data: Buffer.alloc(4) })),
  ...exifDamage((bytes, exif) => inserted('before IDAT', () => ({ type: 'eXIf', data: exif }))(bytes, () => 0)),
};
