import { describe, expect, test } from 'vitest';
import { FileBytes } from '../../../../src/dataset/inspect/byte-source.js';
import { readJpeg } from '../../../../src/dataset/inspect/image/jpeg/jpeg.js';
import { writeUpload } from '../../../harness/inspecting.js';

const segment = (marker: number, content: readonly number[]) => {
  const length = content.length + 2;
  return Buffer.from([0xff, marker, length >> 8, length & 255, ...content]);
};
const START = Buffer.from([0xff, 0xd8]);
const END = Buffer.from([0xff, 0xd9]);
const QUANTIZATION = segment(0xdb, [0, ...Array<number>(64).fill(1)]);

/** Codes of the given lengths for the symbols, shortest first. */
function huffman(kind: 0 | 1, codes: readonly (readonly [bits: number, symbol: number])[]): Buffer {
  const counts = Array.from({ length: 16 }, (_, i) => codes.filter(([bits]) => bits === i + 1).length);
  return segment(0xc4, [kind << 4, ...counts, ...codes.map(([, symbol]) => symbol)]);
}

function frame(marker: number, side: number, factors: readonly number[] = [0x11]): Buffer {
  const components = factors.flatMap((factor, i) => [i + 1, factor, 0]);
  return segment(marker, [8, side >> 8, side & 255, side >> 8, side & 255, factors.length, ...components]);
}

const scan = (components: readonly number[], first: number, last: number, bits: number) =>
  segment(0xda, [components.length, ...components.flatMap((id) => [id, 0]), first, last, bits]);

/** Joins numbers of as many bits as given, and pads the last byte with ones. */
function coded(...numbers: readonly (readonly [value: number, bits: number])[]): Buffer {
  const bits = numbers.map(([value, length]) => (length === 0 ? '' : value.toString(2).padStart(length, '0'))).join('');
  const bytes = bits.padEnd(Math.ceil(bits.length / 8) * 8, '1').match(/.{8}/g) ?? [];
  return Buffer.from(bytes.flatMap((byte) => (byte === '11111111' ? [0xff, 0] : [Number.parseInt(byte, 2)])));
}

async function problemOf(...parts: readonly Buffer[]): Promise<string | undefined> {
  const file = FileBytes.open(writeUpload(Buffer.concat(parts)));
  try {
    await readJpeg(file).provePixels?.();
    return undefined;
  } catch (error) {
    return (error as Error).message;
  } finally {
    file.close();
  }
}

const ONE_DC = huffman(0, [[1, 0]]);

describe('a progressive image of 179 megapixels in few bytes', () => {
  const SIDE = 13_376;
  const BLOCKS = (SIDE / 8) ** 2;
  /** The DC coefficients are all zero: one bit for each block. */
  const dc = [ONE_DC, scan([1], 0, 0, 0), Buffer.alloc(BLOCKS / 8)];
  /** All runs, by the number of bits of their length; and a coefficient, after no zeros. */
  const table = huffman(1, [...Array.from({ length: 15 }, (_, bits) => [4, bits << 4] as const), [5, 1]]);

  function runs(blocks: number): Buffer {
    const codes: [number, number][] = [];
    for (let left = blocks; left > 0; ) {
      const bits = Math.min(14, Math.floor(Math.log2(left)));
      const run = Math.min(2 ** (bits + 1) - 1, left);
      codes.push([bits, 4], [run - 2 ** bits, bits]);
      left -= run;
    }
    return coded(...codes);
  }

  /** As many scans of one coefficient each as are allowed, the first bit of each and its refinements. */
  function scansOf(data: Buffer): Buffer[] {
    const low = Array.from({ length: 14 }, (_, i) => 13 - i);
    const scans = Array.from({ length: 35 }, (_, i) =>
      low.flatMap((bit) => [scan([1], i + 1, i + 1, bit === 13 ? 13 : ((bit + 1) << 4) | bit), data]),
    );
    return scans.flat();
  }

  test('runs of blocks are passed at once, also by refinements', async () => {
    const head = [START, QUANTIZATION, frame(0xc2, SIDE), ...dc, table];
    expect(await problemOf(...head, ...scansOf(runs(BLOCKS)), END)).toBeUndefined();
    expect(await problemOf(...head, ...scansOf(runs(BLOCKS - 1)), END)).toContain('part of its image data is missing');
    expect(await problemOf(...head, ...scansOf(runs(BLOCKS + 1)), END)).toMatch(/run of its image data is longer/);
  });
});

test('markers that libjpeg-turbo does not know are found', async () => {
  const image = (between: Buffer) => [
    ...[START, QUANTIZATION, between, frame(0xc0, 8), ONE_DC, huffman(1, [[1, 0]]), scan([1], 0, 63, 0), coded([0, 2])],
    END,
  ];
  for (const marker of [0xfe, 0xef, 0xdc]) expect(await problemOf(...image(segment(marker, [0, 0])))).toBeUndefined();
  for (const marker of [0x02, 0xbf, 0xde, 0xdf, 0xf0, 0xfd]) {
    expect(await problemOf(...image(segment(marker, [0, 0]))), `${marker}`).toContain('unknown JPEG marker');
  }
});
