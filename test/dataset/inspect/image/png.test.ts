import { deflateSync, inflateSync } from 'node:zlib';
import { beforeAll, describe, expect, test } from 'vitest';
import { withChunks } from '../../../fixtures/exif.js';
import * as media from '../../../fixtures/media.js';
import { inspectBytes } from '../../../harness/inspecting.js';

let images: { colour: Buffer; grey: Buffer };
beforeAll(async () => {
  images = { colour: await media.png({ width: 24, height: 16 }), grey: greyPng() };
});

/** A PNG of 24 × 16 pixels of one byte. */
function greyPng(lines = 16): Buffer {
  const pixels = Buffer.alloc(lines * 25, 0x55);
  for (let line = 0; line < lines; line++) pixels[line * 25] = 0;
  return media.pngOf([
    ['IHDR', headerOf(24, 16, 0)],
    ['IDAT', deflateSync(pixels)],
    ['IEND', Buffer.alloc(0)],
  ]);
}

function headerOf(width: number, height: number, colour: number): Buffer {
  const header = Buffer.alloc(13);
  header.writeUInt32BE(width, 0);
  header.writeUInt32BE(height, 4);
  header.set([8, colour, 0, 0, 0], 8);
  return header;
}

async function problemOf(bytes: Buffer): Promise<string> {
  const found = await inspectBytes('a.png', bytes);
  return found.ok ? 'accepted' : found.problem.message;
}

const latin = (content: string) => Buffer.from(content, 'latin1');
const MEBIBYTE = 1 << 20;
const packed = (bytes: number) => deflateSync(Buffer.alloc(bytes, 0x61));

describe('chunks that Pillow 11.1 takes or rejects, wherever they are', () => {
  test.each<[string, Buffer, boolean]>([
    ['sRGB', latin('\0'), true],
    ['sRGB', Buffer.alloc(0), false],
    ['tRNS', Buffer.alloc(6), true],
    ['tRNS', Buffer.alloc(5), false],
    ['iCCP', Buffer.concat([latin('icc\0\0'), packed(500)]), true],
    ['iCCP', Buffer.concat([latin('icc\0\0'), latin('not compressed')]), true],
    ['iCCP', Buffer.concat([latin('icc\0\x01'), packed(500)]), false],
    ['iCCP', Buffer.concat([latin('icc\0\0'), packed(MEBIBYTE)]), true],
    ['iCCP', Buffer.concat([latin('icc\0\0'), packed(MEBIBYTE + 1)]), false],
    ['tEXt', Buffer.concat([latin('k\0'), Buffer.alloc(2 * MEBIBYTE, 0x61)]), true],
    ['zTXt', Buffer.concat([latin('k\0\0'), packed(MEBIBYTE)]), true],
    ['zTXt', Buffer.concat([latin('k\0\0'), packed(MEBIBYTE + 1)]), false],
    ['zTXt', Buffer.concat([latin('k\0\x01'), packed(10)]), false],
    ['iTXt', Buffer.concat([latin('k\0\0\0\0\0'), Buffer.alloc(2 * MEBIBYTE, 0x61)]), true],
    ['iTXt', Buffer.concat([latin('k\0\x01\0en\0k\0'), packed(MEBIBYTE)]), true],
    ['iTXt', Buffer.concat([latin('k\0\x01\0en\0k\0'), packed(MEBIBYTE + 1)]), false],
    ['iTXt', Buffer.concat([latin('k\0\x01\x01en\0k\0'), packed(MEBIBYTE + 1)]), true],
  ])('%s %#', async (type, payload, isAccepted) => {
    for (const place of ['after header', 'before end'] as const) {
      const problem = await problemOf(withChunks(images.colour, [[type, payload]], place));
      expect(problem === 'accepted', problem).toBe(isAccepted);
    }
  });

  test('a transparent grey takes two bytes', async () => {
    expect(await problemOf(withChunks(images.grey, [['tRNS', Buffer.alloc(2)]]))).toBe('accepted');
    expect(await problemOf(withChunks(images.grey, [['tRNS', Buffer.alloc(1)]]))).toContain('tRNS');
  });

  test('64 MiB of text in all', { tags: ['long'] }, async () => {
    const texts = (count: number): [string, Buffer][] =>
      Array.from({ length: count }, () => ['zTXt', Buffer.concat([latin('k\0\0'), packed(MEBIBYTE)])]);
    expect(await problemOf(withChunks(images.colour, texts(64)))).toBe('accepted');
    expect(await problemOf(withChunks(images.colour, [...texts(64), ['tEXt', latin('k\0x')]]))).toBe(
      'a.png has more than 64 MiB of text, so the trainer would leave the picture out. ' +
        'Save the picture again without its metadata and upload it again.',
    );
  });
});

describe('pixels', () => {
  const chunksOf = (data: readonly (readonly [string, Buffer])[]): Buffer =>
    media.pngOf([['IHDR', headerOf(24, 16, 0)], ...data, ['IEND', Buffer.alloc(0)]]);
  const idatOf = (png: Buffer) => png.subarray(41, 41 + png.readUInt32BE(33));

  const UNDECODABLE = "a.png is damaged: its pixels can't be decoded. Upload an intact copy.";

  test('are complete, in any number of chunks', async () => {
    const data = idatOf(images.grey);
    const split = [data.subarray(0, 3), Buffer.alloc(0), data.subarray(3)].map((part) => ['IDAT', part] as const);
    expect(await problemOf(chunksOf(split))).toBe('accepted');
    expect(await problemOf(chunksOf([['IDAT', Buffer.concat([data, latin('more')])]]))).toBe('accepted');
    expect(await problemOf(greyPng(17))).toBe('accepted');
    expect(await problemOf(greyPng(15))).toBe(UNDECODABLE);
    expect(await problemOf(chunksOf([['IDAT', data.subarray(0, -5)]]))).toBe(UNDECODABLE);
  });

  test('are damaged if they are split, invalid or do not match their checksum', async () => {
    const data = idatOf(images.grey);
    const split: [string, Buffer][] = [
      ['IDAT', data.subarray(0, 6)],
      ['tIME', Buffer.alloc(7)],
      ['IDAT', data.subarray(6)],
    ];
    expect(await problemOf(chunksOf(split))).toBe(UNDECODABLE);
    const flipped = Buffer.from(data);
    flipped[flipped.length - 1]! ^= 1;
    expect(await problemOf(chunksOf([['IDAT', flipped]]))).toBe(UNDECODABLE);
    const pixels = inflateSync(data);
    pixels[25] = 5;
    expect(await problemOf(chunksOf([['IDAT', deflateSync(pixels)]]))).toBe(UNDECODABLE);
  });
});
