import sharp from 'sharp';
import { describe, expect, test } from 'vitest';
import { inspect, inspectWith, loadDecoder } from '../../../src/dataset/inspect/inspect.js';
import { OutOfMemory } from '../../../src/dataset/inspect/inspection-error.js';
import * as media from '../../fixtures/media.js';
import { codesOf, FOLDER, inspectBytes, problemOf, writeUpload } from '../../harness/inspecting.js';

describe('valid images', () => {
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
    const found = await inspectBytes(filename, await make());
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
  test.each(Object.entries(ignored))(
    '%s passes with a warning that it is not trained on',
    async (filename, [format, make]) => {
      const found = await inspectBytes(filename, await make());
      expect(found).toMatchObject({ ok: true, facts: { format, width: 96, height: 96 } });
      expect(codesOf(found)).toEqual(['NOT_TRAINED_ON']);
    },
  );

  test.each([1, 3, 5, 6, 8])('width and height are those after rotation, with orientation %i', async (orientation) => {
    const size = orientation >= 5 ? { width: 50, height: 80 } : { width: 80, height: 50 };
    for (const make of [media.jpeg, media.webp, media.png, media.tiff]) {
      const bytes = await make({ width: 80, height: 50, orientation });
      expect(await inspectBytes(make === media.tiff ? 'a.tif' : 'a.jpg', bytes)).toMatchObject({ facts: size });
    }
  });

  test('an animation has a warning', async () => {
    expect(codesOf(await inspectBytes('a.webp', await media.animated('webp')))).toEqual(['ANIMATED_IMAGE']);
    expect(codesOf(await inspectBytes('a.gif', await media.animated('gif')))).toEqual([
      'NOT_TRAINED_ON',
      'ANIMATED_IMAGE',
    ]);
  });

  test('greys of 16 bits, which trainers read as white, have a warning', async () => {
    const png = await sharp(await media.png({}))
      .toColourspace('grey16')
      .png()
      .toBuffer();
    expect(codesOf(await inspectBytes('a.png', png))).toEqual(['GREYS_OF_16_BITS']);
    expect(codesOf(await inspectBytes('a.png', await sharp(png).toColourspace('b-w').png().toBuffer()))).toEqual([]);
  });
});

describe('content that differs from the extension', () => {
  test('a PNG named .jpg is accepted with a warning', async () => {
    const found = await inspectBytes('dog.jpg', await media.png());
    expect(found).toMatchObject({ ok: true, contentType: 'image/png', facts: { format: 'png' } });
    expect(codesOf(found)).toEqual(['CONTENT_DIFFERS']);
    expect(codesOf(await inspectBytes('dog.avif', await media.jpeg()))).toEqual(['NOT_TRAINED_ON', 'CONTENT_DIFFERS']);
  });

  test('other content under a name of a trained type is rejected, and the message describes it', async () => {
    const contents: [filename: string, bytes: Buffer, message: RegExp][] = [
      ['dog.png', media.damaged.html(), /^NOT_AN_IMAGE: dog.png is HTML text, not/],
      ['dog.png', media.damaged.svg(), /^NOT_AN_IMAGE: dog.png is an SVG drawing/],
      ['dog.jpg', await media.gif(), /^NOT_AN_IMAGE: dog.jpg is a GIF image, not a JPEG, PNG or WebP/],
      ['dog.jpg', Buffer.from('%PDF-1.7\n'), /NOT_AN_IMAGE.*PDF document/],
      ['dog.jpg', Buffer.from('hello'), /NOT_AN_IMAGE.*plain text/],
      ['dog.jpg', Buffer.alloc(5000), /NOT_AN_IMAGE.*nothing but zeros/],
      ['dog.jpg', media.clip('faststart.mp4'), /NOT_AN_IMAGE.*an MP4 video/],
      ['dog.gif', media.clip('vp8.webm'), /NOT_AN_IMAGE.*a WebM video/],
      ['dog.jpg', Buffer.from('PK\x03\x04aaaaaaaaaaaaaaaaaaaaaaaaaaaa'), /ZIP data/],
    ];
    for (const [filename, bytes, message] of contents) {
      expect(problemOf(await inspectBytes(filename, bytes))).toMatch(message);
    }
  });

  test('an image named as a video is rejected', async () => {
    expect(problemOf(await inspectBytes('dog.mp4', await media.jpeg()))).toMatch(
      /^NOT_A_VIDEO: dog.mp4 is a JPEG image, not/,
    );
    expect(problemOf(await inspectBytes('dog.avi', media.damaged.html()))).toMatch(/^NOT_A_VIDEO.*HTML text/);
  });

  test('an empty file is rejected as empty', async () => {
    for (const filename of ['a.jpg', 'a.bmp', 'a.mp4', 'a.flv']) {
      expect(problemOf(await inspectBytes(filename, Buffer.alloc(0)))).toMatch(/^FILE_EMPTY: a\./);
    }
  });
});

test('a decompression bomb is rejected by its header', async () => {
  expect(problemOf(await inspectBytes('a.png', media.damaged.bomb()))).toMatch(
    /^IMAGE_TOO_LARGE: a.png has 30,000×30,000/,
  );
  expect(problemOf(await inspectBytes('a.png', media.damaged.bomb().subarray(0, 40)))).toMatch(/^IMAGE_TOO_LARGE/);
  // Its header declares no more pixels than the trainer opens, and the pixels are missing.
  expect(problemOf(await inspectBytes('a.png', media.damaged.bomb(13_377)))).toMatch(/^IMAGE_CORRUPT/);
});

describe('captions', () => {
  test('their characters are counted as code points', async () => {
    const found = await inspectBytes('a.txt', media.captionBytes(media.CAPTIONS.accents));
    expect(found).toMatchObject({ ok: true, facts: { characters: [...media.CAPTIONS.accents].length }, warnings: [] });
    expect(found).toMatchObject({ contentType: 'text/plain; charset=utf-8' });
  });

  test('blank and empty ones and those with a byte order mark pass with a warning', async () => {
    expect(codesOf(await inspectBytes('a.txt', Buffer.alloc(0)))).toEqual(['BLANK_CAPTION']);
    expect(codesOf(await inspectBytes('a.txt', Buffer.from(' \r\n\t\u3000')))).toEqual(['BLANK_CAPTION']);
    const marked = await inspectBytes('a.txt', media.captionBytes('abc', 'utf8-bom'));
    expect(marked).toMatchObject({ facts: { characters: 3 } });
    expect(codesOf(marked)).toEqual(['CAPTION_BOM']);
    expect(codesOf(await inspectBytes('a.txt', media.captionBytes('', 'utf8-bom')))).toEqual([
      'CAPTION_BOM',
      'BLANK_CAPTION',
    ]);
  });

  test('other encodings are rejected with the offset and the likely encoding', async () => {
    const contents: [bytes: Buffer, message: RegExp][] = [
      [
        media.captionBytes('the driver’s cab', 'windows-1252'),
        /^CAPTION_NOT_UTF8: a.txt is not UTF-8: byte 10 is 0x92, a Windows-1252 apostrophe. The trainer would stop at it. Save/,
      ],
      [Buffer.from('caf\xe9 noir', 'latin1'), /byte 3 is 0xE9.*letter é/],
      [media.captionBytes('abc', 'utf16'), /CAPTION_NOT_UTF8.*UTF-16/],
      [media.captionBytes('abc', 'utf16-bare'), /looks like UTF-16/],
      [Buffer.from('猫').subarray(0, 2), /byte 0 is 0xE7.*incomplete/],
      [Buffer.from([0x61, 0xed, 0xa0, 0x80]), /byte 1 is 0xED/],
    ];
    for (const [bytes, message] of contents) {
      expect(problemOf(await inspectBytes('a.txt', bytes))).toMatch(message);
    }
  });

  test.each([65_533, 65_535, 65_536, 65_537])('the message names the offset of a bad byte at %i', async (offset) => {
    const bytes = Buffer.alloc(140_000, 0x61);
    bytes[offset] = 0x92;
    expect(problemOf(await inspectBytes('a.txt', bytes))).toContain(`byte ${offset.toLocaleString('en-US')} is 0x92`);
    const split = Buffer.alloc(140_000, 0x61);
    split.set([0xf0, 0x9f, 0x9a, 0x41], offset - 3);
    expect(problemOf(await inspectBytes('a.txt', split))).toContain(
      `byte ${(offset - 3).toLocaleString('en-US')} is 0xF0`,
    );
    split.set([0xf0, 0x9f, 0x9a, 0x82], offset - 3);
    const whole = { ok: true, facts: { characters: 140_000 - 3 }, warnings: [] };
    expect(await inspectBytes('a.txt', split)).toMatchObject(whole);
    // Only its beginning is blank.
    expect(await inspectBytes('a.txt', split.fill(' ', 0, offset - 3))).toMatchObject(whole);
  });
});

test('what the system or the memory of a decoder lacks is no problem of the file', async () => {
  await expect(inspect({ path: FOLDER, filename: 'a.png' })).rejects.toMatchObject({ code: 'EISDIR' });
  const path = writeUpload(await media.webp());
  const starved = async () => ({ ...(await loadDecoder()), prove: () => Promise.reject(new OutOfMemory('none')) });
  await expect(inspectWith({ path, filename: 'a.webp' }, { loadDecoder: starved })).rejects.toThrow(OutOfMemory);
});
