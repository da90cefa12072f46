import { concat, jpegSegment, little } from '../../fixtures/bytes.js';
import { bitFlipped, between, type Damage, type Damages, randomBytes, withInserted } from './bytes.js';

type Entry = readonly [tag: number, type: number, count: number, value: readonly number[]];

/** A TIFF structure with one directory; each entry has a value of up to four bytes. */
function tiff(...entries: readonly Entry[]): Buffer {
  const written = entries.map(([tag, type, count, value]) =>
    concat(little(2, tag), little(2, type), little(4, count), value, Buffer.alloc(4 - value.length)),
  );
  return concat('II*\0\x08\0\0\0', little(2, entries.length), ...written, little(4, 0));
}

/** The entry of the orientation alone. */
const oriented = (type: number, count: number, ...value: number[]): Buffer => tiff([0x0112, type, count, value]);
const UPRIGHT: Entry = [0x0112, 3, 1, [6]];
const INTACT = tiff(UPRIGHT);

/** Ways in which the EXIF data of a picture is broken, or merely odd. What it means is up to the readers. */
const EXIF: Readonly<Record<string, Buffer | ((random: () => number) => Buffer)>> = {
  intact: INTACT,
  garbage: (random) => randomBytes(40, random),
  short: INTACT.subarray(0, 6),
  'byte-order-unknown': concat('XX', INTACT.subarray(2)),
  'byte-order-swapped': concat('MM', INTACT.subarray(2)),
  'offset-past-end': concat('II*\0\xff\xff\0\0', INTACT.subarray(8)),
  'bit-flipped': (random) => bitFlipped(INTACT, between(0, INTACT.length, random), random),
  'orientation-text': oriented(2, 2, 0x36),
  'orientation-rational': concat(oriented(5, 1, 26), Buffer.from('0600000001000000', 'hex')),
  'orientation-9': oriented(3, 1, 9),
  'orientation-type-unknown': oriented(99, 1, 6),
  'count-huge': oriented(3, 0x7fffffff, 6),
  'maker-past-end': tiff(UPRIGHT, [0x8769, 4, 1, [0xff, 0xff]]),
};

/** The same, in each place where a format keeps it. */
export function exifDamage(insert: (bytes: Buffer, exif: Buffer) => Buffer | undefined): Damages {
  const entries = Object.entries(EXIF).map(([name, exif]): [string, Damage] => [
    `exif-${name}`,
    (bytes, random) => insert(bytes, Buffer.isBuffer(exif) ? exif : exif(random)),
  ]);
  return Object.fromEntries(entries);
}

const app1 = (exif: Buffer): Buffer => jpegSegment(0xe1, 'Exif\0\0', exif);
const broken = (random: () => number): Buffer => app1(randomBytes(30, random));
const XMP = jpegSegment(0xe1, 'http://ns.adobe.com/xap/1.0/\0<x:xmpmeta xmlns:x="adobe:ns:meta/"/>');
const INTACT_APP1 = app1(INTACT);

export const JPEG_EXIF_DAMAGE: Damages = {
  ...exifDamage((bytes, exif) => withInserted(bytes, 2, app1(exif))),
  // The order decides which one a reader takes.
  'exif-broken-then-intact': (bytes, random) => withInserted(bytes, 2, broken(random), INTACT_APP1),
  'exif-after-xmp': (bytes, random) => withInserted(bytes, 2, XMP, broken(random)),
};
