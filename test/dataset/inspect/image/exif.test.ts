import { beforeAll, describe, expect, test } from 'vitest';
import { inspect } from '../../../../src/dataset/inspect/inspect.js';
import {
  exifOf,
  jpegSegment,
  long,
  rational,
  short,
  text,
  webpWithExif,
  withChunks,
  withSegments,
} from '../../../fixtures/exif.js';
import * as media from '../../../fixtures/media.js';
import { writeUpload } from '../../../harness/inspecting.js';

const WIDTH = 24;
const HEIGHT = 16;

let images: { jpeg: Buffer; png: Buffer; webp: Buffer };
beforeAll(async () => {
  const size = { width: WIDTH, height: HEIGHT };
  images = { jpeg: await media.jpeg(size), png: await media.png(size), webp: await media.webp(size) };
});

type Outcome = 'upright' | 'turned' | 'rejected';

/** What `exif_transpose` of Pillow 11.1 does with the file, by the dimensions that it would have. */
async function outcomeOf(filename: string, bytes: Buffer): Promise<Outcome | string> {
  const found = await inspect({ path: writeUpload(bytes), filename });
  if (!found.ok) {
    expect(found.problem.code).toBe('IMAGE_CORRUPT');
    return 'rejected';
  }
  if (found.facts.kind !== 'image') return found.facts.kind;
  return found.facts.width === HEIGHT ? 'turned' : 'upright';
}

const ORIENTATION = 0x0112;
const turned = short(ORIENTATION, 6);

/** EXIF blocks, and what becomes of an image with one. */
const BLOCKS: readonly [name: string, exif: Buffer, outcome: Outcome][] = [
  ['with an orientation', exifOf([turned]), 'turned'],
  ['with a swapped version', exifOf([turned], 'II\0*'), 'turned'],
  ['empty', Buffer.alloc(0), 'upright'],
  ['with a garbled byte order', exifOf([turned], 'IX*\0'), 'rejected'],
  ['that ends within the orientation', exifOf([turned]).subarray(0, 18), 'upright'],
  ['that ends after the orientation', exifOf([turned]).subarray(0, 22), 'turned'],
  ['with an orientation as a fraction', exifOf([rational(ORIENTATION, 12, 2)]), 'turned'],
  ['with two orientations', exifOf([short(ORIENTATION, 1), turned]), 'turned'],
  // Pillow writes the fields of an image that it turns again. A value must fit the type that the field has by its tag.
  ['with a width as text', exifOf([turned, text(0x0100, 'wide')]), 'rejected'],
  ['with a width as text, upright', exifOf([short(ORIENTATION, 1), text(0x0100, 'wide')]), 'upright'],
  ['with a make that is a fraction', exifOf([turned, rational(0x010f, 1, 2)]), 'rejected'],
  ['with a resolution of nothing', exifOf([turned, rational(0x011a, 72, 0)]), 'turned'],
  ['with a negative resolution', exifOf([turned, rational(0x011a, -72, 1, 10)]), 'rejected'],
  ['with a resolution of minus infinity', exifOf([turned, { ...long(0x011a, 0xff80_0000), type: 11 }]), 'turned'],
  ['with a pointer before the start', exifOf([turned, { ...long(0x8769, 0xffff_ffff), type: 9 }]), 'rejected'],
];

const jfif = (unit: number) => jpegSegment(0xe0, `JFIF\0\x01\x01${String.fromCharCode(unit)}\0\x48\0\x48\0\0`);
const exifSegment = (exif: Buffer) => jpegSegment(0xe1, Buffer.concat([Buffer.from('Exif\0\0'), exif]));

describe('an EXIF block', () => {
  test.each(BLOCKS)('%s, in a JPEG with a density, a PNG and a WebP', async (_, exif, outcome) => {
    expect(await outcomeOf('a.jpg', withSegments(images.jpeg, [jfif(1), exifSegment(exif)]))).toBe(outcome);
    expect(await outcomeOf('a.png', withChunks(images.png, [['eXIf', exif]]))).toBe(outcome);
    const size = { width: WIDTH, height: HEIGHT };
    expect(await outcomeOf('a.webp', webpWithExif(images.webp, exif, size))).toBe(outcome);
    // libwebp hides a chunk that the flags do not announce.
    expect(await outcomeOf('b.webp', webpWithExif(images.webp, exif, { ...size, flags: 0 }))).toBe('upright');
  });

  test('with an invalid header says what to do', async () => {
    const path = writeUpload(withChunks(images.png, [['eXIf', Buffer.alloc(9)]]));
    const message =
      'a.png has damaged EXIF data: its header is invalid. The trainer would leave the picture out. ' +
      'Remove the EXIF data, for example by saving the picture again, and upload it again.';
    expect(await inspect({ path, filename: 'a.png' })).toMatchObject({ problem: { message } });
  });
});

describe('in a JPEG', () => {
  const broken = exifSegment(exifOf([turned], 'IX*\0'));
  const good = exifOf([turned]);
  const half = Math.floor(good.length / 2);
  test.each<[string, readonly Buffer[], Outcome]>([
    ['an invalid block matters after a density', [jfif(1), broken], 'rejected'],
    ['an invalid block matters before a density', [broken, jfif(2)], 'rejected'],
    // Pillow looks for the density in the EXIF data then, fails, and never looks again.
    ['an invalid block does not matter with an aspect ratio', [jfif(0), broken], 'upright'],
    ['an invalid block does not matter without JFIF', [broken], 'upright'],
    ['a valid block is read without JFIF', [exifSegment(good)], 'turned'],
    [
      'blocks are joined in order',
      [jfif(1), exifSegment(good.subarray(0, half)), exifSegment(good.subarray(half))],
      'turned',
    ],
    ['a second block does not count', [exifSegment(exifOf([])), exifSegment(good)], 'upright'],
    ['a JFIF segment without a version', [jpegSegment(0xe0, 'JFIF\0\x01')], 'rejected'],
    ['an Adobe segment without a version', [jpegSegment(0xee, 'Adobe\0')], 'rejected'],
  ])('%s', async (_, segments, outcome) => {
    expect(await outcomeOf('a.jpg', withSegments(images.jpeg, segments))).toBe(outcome);
  });
});

describe('in a PNG', () => {
  const profile = (exif: Buffer) => `\nexif\n${exif.length}\n${exif.toString('hex').replaceAll(/.{72}/g, '$&\n')}\n`;
  const textChunk = (keyword: string, value: string) =>
    ['tEXt', Buffer.from(`${keyword}\0${value}`, 'latin1')] as const;
  const international = (keyword: string, value: string) =>
    ['iTXt', Buffer.from(`${keyword}\0\0\0\0\0${value}`)] as const;
  const exif = Buffer.concat([Buffer.from('Exif\0\0'), exifOf([turned])]);
  const XMP = 'XML:com.adobe.xmp';
  test.each<[string, readonly (readonly [string, Buffer])[], Outcome]>([
    ['a raw profile counts', [textChunk('Raw profile type exif', profile(exif))], 'turned'],
    [
      'a raw profile with other characters',
      [textChunk('Raw profile type exif', profile(exif).replace('4', 'x'))],
      'rejected',
    ],
    ['XMP counts', [international(XMP, '<x tiff:Orientation="6"/>')], 'turned'],
    [
      'XMP counts less than EXIF',
      [international(XMP, 'tiff:Orientation="6"'), ['eXIf', exifOf([short(ORIENTATION, 1)])]],
      'upright',
    ],
    ['a text named exif is EXIF data', [textChunk('exif', exif.toString('latin1'))], 'turned'],
    [
      'the last chunk counts',
      [
        ['eXIf', Buffer.alloc(9)],
        ['eXIf', exifOf([turned])],
      ],
      'turned',
    ],
  ])('%s', async (_, chunks, outcome) => {
    expect(await outcomeOf('a.png', withChunks(images.png, chunks))).toBe(outcome);
    expect(await outcomeOf('b.png', withChunks(images.png, chunks, 'before end'))).toBe(outcome);
  });
});
