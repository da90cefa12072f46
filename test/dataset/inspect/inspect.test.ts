import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { inspect } from '../../../src/dataset/inspect/inspect.js';
import type { Inspection } from '../../../src/dataset/inspect/inspection.js';
import * as media from '../../fixtures/media.js';

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'inspect-'));
});
afterAll(() => rmSync(folder, { recursive: true }));

/** Inspects bytes under a name. */
const judged = (filename: string, bytes: Buffer): Promise<Inspection> =>
  inspect({ path: media.written(folder, 'upload', bytes), filename });

const warningsOf = (found: Inspection): string[] => (found.ok ? found.warnings.map(({ code }) => code) : ['not ok']);
const problemOf = (found: Inspection): string => (found.ok ? 'ok' : `${found.problem.code}: ${found.problem.message}`);

describe('good images', () => {
  const makers = {
    'a.jpg': () => media.jpeg({ width: 120, height: 80 }),
    'b.JPEG': () => media.jpeg({ width: 120, height: 80, progressive: true }),
    'c.png': () => media.png({ width: 120, height: 80, alpha: true }),
    'd.png': () => media.png({ width: 120, height: 80, progressive: true }),
    'e.webp': () => media.webp({ width: 120, height: 80 }),
    'f.webp': () => media.webp({ width: 120, height: 80, lossless: true, alpha: true }),
    'g.webp': () => media.webp({ width: 120, height: 80, alpha: true }),
  };
  test.each(Object.entries(makers))('%s passes without a warning', async (filename, make) => {
    const found = await judged(filename, await make());
    expect(found).toMatchObject({ ok: true, facts: { kind: 'image', width: 120, height: 80 }, warnings: [] });
  });

  const ignored = {
    'a.gif': ['gif', () => media.gif()],
    'b.tif': ['tiff', () => media.tiff()],
    'c.TIFF': ['tiff', () => media.tiff()],
    'd.avif': ['avif', () => media.avif()],
    'e.bmp': ['bmp', async () => media.bmp({ width: 96, height: 96 })],
    'f.bmp': ['bmp', async () => media.bmp({ width: 96, height: 96, runs: true })],
  } as const;
  test.each(Object.entries(ignored))('%s passes, but is not trained on', async (filename, [format, make]) => {
    const found = await judged(filename, await make());
    expect(found).toMatchObject({ ok: true, facts: { format, width: 96, height: 96 } });
    expect(warningsOf(found)).toEqual(['NOT_TRAINED_ON']);
  });

  test.each([1, 3, 5, 6, 8])('sides are told as shown, with orientation %i', async (orientation) => {
    const size = orientation >= 5 ? { width: 50, height: 80 } : { width: 80, height: 50 };
    for (const make of [media.jpeg, media.webp, media.png, media.tiff]) {
      const bytes = await make({ width: 80, height: 50, orientation });
      expect(await judged(make === media.tiff ? 'a.tif' : 'a.jpg', bytes)).toMatchObject({ facts: size });
    }
  });

  test('what a camera appends after the picture is no fault', async () => {
    const trailer = Buffer.concat([Buffer.from([0, 1, 2, 0xff, 0xd8, 0xff]), await media.jpeg({ width: 9 })]);
    expect(warningsOf(await judged('a.jpg', Buffer.concat([await media.jpeg(), trailer])))).toEqual([]);
    expect(warningsOf(await judged('a.jpg', Buffer.concat([await media.jpeg(), Buffer.alloc(70_000)])))).toEqual([]);
  });

  test('an animation is told as one', async () => {
    expect(warningsOf(await judged('a.webp', await media.animated('webp')))).toEqual(['ANIMATED_IMAGE']);
    expect(warningsOf(await judged('a.gif', await media.animated('gif')))).toEqual([
      'NOT_TRAINED_ON',
      'ANIMATED_IMAGE',
    ]);
  });
});

describe('the bytes decide, not the name', () => {
  test('PNG named .jpg is used and told', async () => {
    const found = await judged('dog.jpg', await media.png());
    expect(found).toMatchObject({ ok: true, contentType: 'image/png', facts: { format: 'png' } });
    expect(warningsOf(found)).toEqual(['CONTENT_DIFFERS']);
    expect(warningsOf(await judged('dog.avif', await media.jpeg()))).toEqual(['NOT_TRAINED_ON', 'CONTENT_DIFFERS']);
  });

  test('what is none of the three trained on is refused under their names, in words', async () => {
    expect(problemOf(await judged('dog.png', media.damaged.html()))).toMatch(
      /^NOT_AN_IMAGE: dog.png is HTML text, not/,
    );
    expect(problemOf(await judged('dog.png', media.damaged.svg()))).toMatch(/^NOT_AN_IMAGE: dog.png is an SVG drawing/);
    expect(problemOf(await judged('dog.jpg', await media.gif()))).toMatch(
      /^NOT_AN_IMAGE: dog.jpg is a GIF image and no/,
    );
    expect(problemOf(await judged('dog.jpg', Buffer.from('%PDF-1.7\n')))).toMatch(/NOT_AN_IMAGE.*PDF document/);
    expect(problemOf(await judged('dog.jpg', Buffer.from('hello')))).toMatch(/NOT_AN_IMAGE.*plain text/);
    expect(problemOf(await judged('dog.jpg', Buffer.alloc(5000)))).toMatch(/NOT_AN_IMAGE.*nothing but zeros/);
    expect(problemOf(await judged('dog.jpg', media.clip('faststart.mp4')))).toMatch(/NOT_AN_IMAGE.*an MP4 video/);
    expect(problemOf(await judged('dog.gif', media.clip('vp8.webm')))).toMatch(/NOT_AN_IMAGE.*a WebM video/);
    expect(problemOf(await judged('dog.svg.bmp', media.damaged.svg()))).toMatch(/NOT_AN_IMAGE.*an SVG drawing/);
    expect(problemOf(await judged('dog.jpg', Buffer.from('PK\x03\x04aaaaaaaaaaaaaaaaaaaaaaaaaaaa')))).toMatch(
      /ZIP data/,
    );
  });

  test('an image named as a video is refused', async () => {
    expect(problemOf(await judged('dog.mp4', await media.jpeg()))).toMatch(
      /^NOT_A_VIDEO: dog.mp4 is a JPEG image, not/,
    );
    expect(problemOf(await judged('dog.avi', media.damaged.html()))).toMatch(/^NOT_A_VIDEO.*HTML text/);
  });

  test('a message stays short even where the name is long', async () => {
    const found = await judged(`${'猫'.repeat(80)}.png`, media.damaged.html());
    expect(problemOf(found).length).toBeLessThan(250);
  });

  test('nothing at all is told as that', async () => {
    for (const filename of ['a.jpg', 'a.bmp', 'a.mp4', 'a.flv']) {
      expect(problemOf(await judged(filename, Buffer.alloc(0)))).toMatch(/^FILE_EMPTY: a\./);
    }
  });

  test('a file that is not there rejects: that says nothing about the file', async () => {
    await expect(inspect({ path: join(folder, 'gone'), filename: 'a.jpg' })).rejects.toThrow('ENOENT');
  });
});

describe('too large', () => {
  test('a bomb is judged by its header', async () => {
    expect(problemOf(await judged('a.png', media.damaged.bomb()))).toMatch(/^IMAGE_TOO_LARGE: a.png has 30,000×30,000/);
    expect(problemOf(await judged('a.png', media.damaged.bomb().subarray(0, 40)))).toMatch(/^IMAGE_TOO_LARGE/);
    // Its header says no more than the trainer opens, and its pixels are not there.
    expect(problemOf(await judged('a.png', media.damaged.bomb(13_377)))).toMatch(/^IMAGE_CORRUPT/);
  });

  test('in every format, one pixel more than Pillow opens is too many', async () => {
    const jpeg = await media.jpeg();
    const frame = jpeg.indexOf(Buffer.from([0xff, 0xc0]));
    jpeg.writeUInt16BE(65_500, frame + 5);
    jpeg.writeUInt16BE(65_500, frame + 7);
    expect(problemOf(await judged('a.jpg', jpeg))).toMatch(/^IMAGE_TOO_LARGE/);
    const webp = await media.webp();
    webp.writeUInt16LE(16_383, 26);
    webp.writeUInt16LE(16_383, 28);
    expect(problemOf(await judged('a.webp', webp))).toMatch(/^IMAGE_TOO_LARGE/);
    const gif = await media.gif();
    gif.writeUInt32LE(0xffff_ffff, 6);
    expect(problemOf(await judged('a.gif', gif))).toMatch(/^IMAGE_TOO_LARGE/);
    const bmp = media.bmp();
    bmp.writeInt32LE(20_000, 18);
    bmp.writeInt32LE(-20_000, 22);
    expect(problemOf(await judged('a.bmp', bmp))).toMatch(/^IMAGE_TOO_LARGE/);
  });
});

describe('captions', () => {
  test('characters are code points', async () => {
    const found = await judged('a.txt', media.captionBytes(media.CAPTIONS.accents));
    expect(found).toMatchObject({ ok: true, facts: { characters: [...media.CAPTIONS.accents].length }, warnings: [] });
    expect(found).toMatchObject({ contentType: 'text/plain; charset=utf-8' });
  });

  test('a long caption counts the same wherever it is cut into pieces', async () => {
    for (const shift of [0, 1, 2, 3]) {
      const text = 'x'.repeat(shift) + '🚂猫é'.repeat(20_000);
      expect(await judged('a.txt', Buffer.from(text))).toMatchObject({ facts: { characters: shift + 60_000 } });
    }
  });

  test('blank, empty and marked ones pass with a warning', async () => {
    expect(warningsOf(await judged('a.txt', Buffer.alloc(0)))).toEqual(['BLANK_CAPTION']);
    expect(warningsOf(await judged('a.txt', Buffer.from(' \r\n\t\u3000')))).toEqual(['BLANK_CAPTION']);
    const marked = await judged('a.txt', media.captionBytes('abc', 'utf8-bom'));
    expect(marked).toMatchObject({ facts: { characters: 3 } });
    expect(warningsOf(marked)).toEqual(['CAPTION_BOM']);
    expect(warningsOf(await judged('a.txt', media.captionBytes('', 'utf8-bom')))).toEqual([
      'CAPTION_BOM',
      'BLANK_CAPTION',
    ]);
  });

  test('other encodings are refused with the place and what it looks like', async () => {
    const windows = media.captionBytes('the driver’s cab', 'windows-1252');
    expect(problemOf(await judged('a.txt', windows))).toMatch(
      /^CAPTION_NOT_UTF8: a.txt is not UTF-8: byte 10 is 0x92, a Windows-1252 apostrophe. The trainer would stop on it. Save/,
    );
    expect(problemOf(await judged('a.txt', Buffer.from('caf\xe9 noir', 'latin1')))).toMatch(/byte 3 is 0xE9.*letter é/);
    expect(problemOf(await judged('a.txt', media.captionBytes('abc', 'utf16')))).toMatch(/CAPTION_NOT_UTF8.*UTF-16/);
    expect(problemOf(await judged('a.txt', media.captionBytes('abc', 'utf16-bare')))).toMatch(/looks like UTF-16/);
    expect(problemOf(await judged('a.txt', Buffer.from('猫').subarray(0, 2)))).toMatch(/byte 0 is 0xE7.*cut off/);
    expect(problemOf(await judged('a.txt', Buffer.from([0x61, 0xed, 0xa0, 0x80])))).toMatch(/byte 1 is 0xED/);
  });

  test.each([65_533, 65_535, 65_536, 65_537])('a bad byte at %i is told at its place', async (place) => {
    const bytes = Buffer.alloc(140_000, 0x61);
    bytes[place] = 0x92;
    expect(problemOf(await judged('a.txt', bytes))).toContain(`byte ${place.toLocaleString('en-US')} is 0x92`);
    const split = Buffer.alloc(140_000, 0x61);
    split.set([0xf0, 0x9f, 0x9a, 0x41], place - 3);
    expect(problemOf(await judged('a.txt', split))).toContain(`byte ${(place - 3).toLocaleString('en-US')} is 0xF0`);
  });
});
