import { InspectionError } from '../inspection-error.js';
import { decodeExifValues, type ExifBlock, readExifDirectory } from './exif/exif-directory.js';
import { isRewritable } from './exif/exif-rewrite.js';

const ORIENTATION = 0x0112;
const EXIF_IDENTIFIER = Buffer.from('Exif\0\0', 'latin1');
/** Headers that Pillow accepts (11.1, `TiffImagePlugin.PREFIXES`), without BigTIFF's. */
const HEADERS = ['MM\0*', 'II*\0', 'MM*\0', 'II\0*', 'MM\0+'];
const BIG_TIFF = 'II+\0';

/** No photo's fields refer to bytes farther away. */
export const MAX_EXIF_BYTES = 1 << 24;

/**
 * The trainer applies the orientation by Pillow's `exif_transpose`, and drops the image if that raises (ai-toolkit
 * `toolkit/data_transfer_object/data_loader.py`). @throws InspectionError where it raises, as for an invalid header
 */
export function orientationOf(exif: Buffer): number {
  const block = exifBlockOf(exif);
  const orientation = block === undefined ? undefined : storedOrientation(block);
  if (block !== undefined && isTurned(orientation)) requireRewritable(block);
  return validOrientation(orientation ?? 1);
}

/** `undefined` without the tag; a value that is not a number counts as 1. */
export function storedOrientation(block: ExifBlock): number | undefined {
  const field = readExifDirectory(block, block.firstDirectory).get(ORIENTATION);
  if (field === undefined) return undefined;
  const values = decodeExifValues(block, field);
  if (values.kind === 'integers' || values.kind === 'floats') return values.items[0] ?? 1;
  if (values.kind !== 'rationals') return 1;
  const [numerator = 1, denominator = 1] = values.items[0] ?? [];
  return numerator / denominator;
}

export const isTurned = (orientation: number | undefined): boolean =>
  orientation !== undefined && validOrientation(orientation) !== 1;

/** Pillow writes the EXIF data of a turned image again. @throws InspectionError where that raises */
export function requireRewritable(block: ExifBlock): void {
  if (!isRewritable(block)) throw brokenExif('a field of it has a value of the wrong type');
}

/** `undefined` for empty data. @throws InspectionError for an invalid header */
export function exifBlockOf(exif: Buffer): ExifBlock | undefined {
  let bytes = exif;
  while (bytes.length > 0 && bytes.subarray(0, 6).equals(EXIF_IDENTIFIER)) bytes = bytes.subarray(6);
  if (bytes.length === 0) return undefined;
  const header = bytes.toString('latin1', 0, 4);
  if (header === BIG_TIFF) throw brokenExif('it is in the BigTIFF format');
  if (!HEADERS.includes(header)) throw brokenExif('its header is invalid');
  if (bytes.length < 8) throw brokenExif('it ends within its header');
  const isLittleEndian = header.startsWith('II');
  return { bytes, isLittleEndian, firstDirectory: isLittleEndian ? bytes.readUInt32LE(4) : bytes.readUInt32BE(4) };
}

/** For metadata that keeps the trainer from opening an intact picture. */
export function brokenExif(reason: string): InspectionError {
  return new InspectionError('IMAGE_CORRUPT', `has damaged EXIF data: ${reason}. ${SAVE_WITHOUT_EXIF}`);
}

const SAVE_WITHOUT_EXIF =
  'The trainer would leave the picture out. Remove the EXIF data, for example by saving the picture again, and upload it again.';

export function validOrientation(value: number): number {
  return Number.isInteger(value) && value >= 1 && value <= 8 ? value : 1;
}

/** As shown: orientations 5 to 8 swap the sides (EXIF 2.3, tag 274). */
export function oriented(image: { width: number; height: number; orientation: number }) {
  const { width, height } = image;
  return image.orientation >= 5 ? { width: height, height: width } : { width, height };
}
