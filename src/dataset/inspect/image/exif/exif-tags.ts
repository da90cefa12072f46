/* The types that Pillow writes tags with (11.1, `TiffTags.py`); others get a type that fits the value. */

/** Directories that Pillow writes, by the tag of their pointer. */
export const EXIF_POINTER = 34665;
export const GPS_POINTER = 34853;
export const INTEROPERABILITY_POINTER = 40965;
export type ExifGroup = 'first' | typeof EXIF_POINTER | typeof GPS_POINTER | typeof INTEROPERABILITY_POINTER;

export interface ExifTagType {
  readonly type: number;
  readonly isSingle: boolean;
}

const [BYTE, ASCII, SHORT, LONG, RATIONAL, UNDEFINED, SIGNED_RATIONAL, DOUBLE] = [1, 2, 3, 4, 5, 7, 10, 12];

type Row = readonly [type: number, isSingle: boolean, tags: readonly number[]];

const FIRST: readonly Row[] = [
  [LONG, true, [254, 256, 257, 278, 288, 289, 292, 293, 322, 323, 513, 514, EXIF_POINTER, GPS_POINTER]],
  [LONG, true, [INTEROPERABILITY_POINTER, 45057, 45060, 45313, 45569, 45572]],
  [LONG, false, [273, 279, 324, 325, 330, 519, 520, 521, 50838]],
  [SHORT, true, [255, 259, 262, 263, 264, 265, 266, 274, 277, 284, 290, 296, 317, 332, 334, 512, 515, 531, 50741]],
  [SHORT, false, [258, 280, 281, 291, 297, 301, 320, 321, 336, 338, 339, 342, 517, 518, 530]],
  [ASCII, true, [269, 270, 271, 272, 285, 305, 306, 315, 316, 333, 337, 33432]],
  [RATIONAL, true, [282, 283, 286, 287, 45570, 45571, 45574, 50780]],
  [RATIONAL, false, [318, 319, 529, 532]],
  [SIGNED_RATIONAL, true, [45573, 45575, 45576, 45577, 45578, 45579, 45580, 45581]],
  [DOUBLE, false, [340, 341]],
  [UNDEFINED, true, [347, 33723, 34675, 36864, 37724, 40960, 41730, 45056, 45058, 50839]],
  [UNDEFINED, false, [45059]],
  [BYTE, true, [700, 34377]],
];
const EXIF: readonly Row[] = [
  [UNDEFINED, true, [36864, 40960, 41730]],
  [LONG, true, [INTEROPERABILITY_POINTER]],
];
const GPS: readonly Row[] = [
  [BYTE, true, [0, 5]],
  [ASCII, false, [1, 3, 8, 9, 10, 12, 14, 16, 18, 19, 21, 23, 25, 29]],
  [RATIONAL, false, [2, 4, 7, 20, 22]],
  [RATIONAL, true, [6, 11, 13, 15, 17, 24, 26]],
  [UNDEFINED, false, [27, 28]],
  [SHORT, true, [30]],
];
const INTEROPERABILITY: readonly Row[] = [
  [ASCII, true, [1]],
  [UNDEFINED, true, [2]],
];

function tableOf(rows: readonly Row[]): ReadonlyMap<number, ExifTagType> {
  return new Map(rows.flatMap(([type, isSingle, tags]) => tags.map((tag) => [tag, { type, isSingle }] as const)));
}

const TABLES: Record<ExifGroup, ReadonlyMap<number, ExifTagType>> = {
  first: tableOf(FIRST),
  [EXIF_POINTER]: tableOf(EXIF),
  [GPS_POINTER]: tableOf(GPS),
  [INTEROPERABILITY_POINTER]: tableOf(INTEROPERABILITY),
};

export function exifTagType(group: ExifGroup, tag: number): ExifTagType | undefined {
  return TABLES[group].get(tag);
}
