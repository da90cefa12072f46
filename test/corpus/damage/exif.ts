import { between, concat, type Damage, randomBytes } from './bytes.js';

/** A TIFF structure with one directory; each entry is tag, type, count and a value of four bytes. */
function tiff(
  entries: readonly (readonly [number, number, number, Buffer])[],
  extra: Buffer = Buffer.alloc(0),
): Buffer {
  const directory = Buffer.alloc(2 + entries.length * 12 + 4);
  directory.writeUInt16LE(entries.length, 0);
  for (const [index, [tag, type, count, value]] of entries.entries()) {
    const at = 2 + index * 12;
    directory.writeUInt16LE(tag, at);
    directory.writeUInt16LE(type, at + 2);
    directory.writeUInt32LE(count, at + 4);
    value.copy(directory, at + 8, 0, 4);
  }
  return concat('II*\0\x08\0\0\0', directory, extra);
}

const ORIENTATION = 0x0112;
const short = (value: number): Buffer => Buffer.of(value, 0, 0, 0);
const intact = (): Buffer => tiff([[ORIENTATION, 3, 1, short(6)]]);

/** Ways in which the EXIF data of a picture is broken, or merely odd. What it means is up to the readers. */
const EXIF: Readonly<Record<string, (random: () => number) => Buffer>> = {
  intact,
  garbage: (random) => randomBytes(40, random),
  empty: () => Buffer.alloc(0),
  short: () => intact().subarray(0, 6),
  'cut-in-directory': () => intact().subarray(0, 14),
  'byte-order-unknown': () => concat('XX', intact().subarray(2)),
  'magic-flipped': () => concat('II\x2b\0', intact().subarray(4)),
  'byte-order-swapped': () => concat('MM', intact().subarray(2)),
  'offset-past-end': () => concat('II*\0\xff\xff\0\0', intact().subarray(8)),
  'offset-zero': () => concat('II*\0\0\0\0\0', intact().subarray(8)),
  'bit-flipped': (random) => {
    const bytes = intact();
    const at = between(0, bytes.length, random);
    bytes[at] = bytes[at]! ^ (1 << Math.floor(random() * 8));
    return bytes;
  },
  'orientation-text': () => tiff([[ORIENTATION, 2, 2, Buffer.from('6\0\0\0')]]),
  'orientation-text-long': () => tiff([[ORIENTATION, 2, 4, Buffer.from('abc\0')]]),
  'orientation-rational': () => tiff([[ORIENTATION, 5, 1, short(26)]], Buffer.from('0600000001000000', 'hex')),
  'orientation-bytes': () => tiff([[ORIENTATION, 7, 4, Buffer.from('0600', 'hex')]]),
  'orientation-two-values': () => tiff([[ORIENTATION, 3, 2, Buffer.of(6, 0, 3, 0)]]),
  'orientation-none': () => tiff([[ORIENTATION, 3, 0, short(6)]]),
  'orientation-9': () => tiff([[ORIENTATION, 3, 1, short(9)]]),
  'orientation-long': () => tiff([[ORIENTATION, 4, 1, short(6)]]),
  'orientation-type-unknown': () => tiff([[ORIENTATION, 99, 1, short(6)]]),
  'count-huge': () => tiff([[ORIENTATION, 3, 0x7fffffff, short(6)]]),
  'value-past-end': () =>
    tiff([
      [0x010f, 2, 200, Buffer.of(0, 1, 0, 0)],
      [ORIENTATION, 3, 1, short(6)],
    ]),
  'maker-past-end': () =>
    tiff([
      [ORIENTATION, 3, 1, short(6)],
      [0x8769, 4, 1, Buffer.of(0xff, 0xff, 0, 0)],
    ]),
};

/** The same, in each place where a format keeps it. */
export function exifDamage(insert: (bytes: Buffer, exif: Buffer) => Buffer | undefined): Record<string, Damage> {
  return Object.fromEntries(
    Object.entries(EXIF).map(([name, make]) => [`exif-${name}`, (bytes, random) => insert(bytes, make(random))]),
  );
}

const app1 = (exif: Buffer): Buffer => {
  const length = exif.length + 8;
  return concat('\xff\xe1', Buffer.of(length >> 8, length & 0xff), 'Exif\0\0', exif);
};

export const JPEG_EXIF_DAMAGE: Readonly<Record<string, Damage>> = {
  ...exifDamage((bytes, exif) => concat(bytes.subarray(0, 2), app1(exif), bytes.subarray(2))),
  // The order decides which one a reader takes.
  'exif-broken-then-intact': (bytes, random) =>
    concat(bytes.subarray(0, 2), app1(randomBytes(30, random)), app1(intact()), bytes.subarray(2)),
  'exif-intact-then-broken': (bytes, random) =>
    concat(bytes.subarray(0, 2), app1(intact()), app1(randomBytes(30, random)), bytes.subarray(2)),
  'exif-twice': (bytes) => concat(bytes.subarray(0, 2), app1(intact()), app1(intact()), bytes.subarray(2)),
  'exif-after-xmp': (bytes, random) =>
    concat(bytes.subarray(0, 2), xmp(), app1(randomBytes(30, random)), bytes.subarray(2)),
  'exif-broken-after-app0': (bytes, random) => {
    if (bytes.readUInt16BE(2) !== 0xffe0) return undefined;
    const end = 4 + bytes.readUInt16BE(4);
    return concat(bytes.subarray(0, end), app1(randomBytes(30, random)), bytes.subarray(end));
  },
  'exif-prefix-broken': (bytes) =>
    concat(bytes.subarray(0, 2), '\xff\xe1\x00\x10Exof\0\0II*\0\x08\0\0\0', bytes.subarray(2)),
};

const xmp = (): Buffer => {
  const text = 'http://ns.adobe.com/xap/1.0/\0<x:xmpmeta xmlns:x="adobe:ns:meta/"/>';
  return concat('\xff\xe1', Buffer.of(0, text.length + 2), text);
};
