import type { FileBytes } from '../../byte-source.js';
import { damaged, type StructureError, truncation } from '../../inspection-error.js';
import type { ImageHeader } from '../../inspection.js';
import {
  decodeExifValues,
  type ExifBlock,
  exifBlockOf,
  MAX_EXIF_BYTES,
  orientationOf,
  readExifDirectory,
} from '../exif.js';
import { ARITHMETIC, invalidLength, type JpegFrame, type JpegScan, readFrame, readScan, undecodable } from './frame.js';
import { HuffmanTables } from './huffman.js';
import { walkScans } from './scan.js';

/** ITU-T T.81, table B.1. */
const START_OF_IMAGE = 0xd8;
const END_OF_IMAGE = 0xd9;
const START_OF_SCAN = 0xda;
const HUFFMAN_TABLES = 0xc4;
const QUANTIZATION_TABLES = 0xdb;
const RESTART_INTERVAL = 0xdd;
const ARITHMETIC_TABLES = 0xcc;
const isApplicationSegment = (marker: number) => marker >= 0xe0 && marker <= 0xef;
/** Reserved for extensions. */
const JPG = 0xc8;
/** SOF0 to SOF15. */
const isFrame = (marker: number) =>
  marker >= 0xc0 && marker <= 0xcf && ![HUFFMAN_TABLES, JPG, ARITHMETIC_TABLES].includes(marker);
/** Temporary use in arithmetic coding; it has no content. */
const TEM = 0x01;

/** Encoders write about ten, and each costs a decoder a pass over the image. */
const MAX_SCANS = 500;

/**
 * Ignores bytes after the end of the image, where cameras append previews. Only `provePixels` of the result reads the image data.
 *
 * @throws StructureError, InspectionError
 */
export function readJpeg(file: FileBytes): ImageHeader {
  const tables = new HuffmanTables();
  const quantization = new Set<number>();
  const scans: JpegScan[] = [];
  let frame: JpegFrame | undefined;
  const metadata = new ApplicationSegments();
  let restartInterval = 0;
  let offset = 2;
  let maySkip = true;
  for (;;) {
    const marker = nextMarker(file, offset, maySkip);
    offset = marker.end;
    maySkip = marker.code === START_OF_SCAN || scans.length === 0;
    if (marker.code === END_OF_IMAGE) break;
    // libjpeg-turbo skips it; Pillow, which reads the markers before the first scan, can't.
    if (marker.code === TEM && scans.length > 0) continue;
    if (marker.code === START_OF_IMAGE) throw damaged('a second image begins inside it');
    if (isUnknown(marker.code)) throw damaged('it contains an unknown JPEG marker');
    const length = file.at(offset, 2).readUInt16BE(0);
    if (length < 2) throw invalidLength();
    const segment = file.at(offset, length).subarray(2);
    offset += length;
    if (isFrame(marker.code)) {
      if (frame !== undefined) throw damaged('it has two frame headers');
      frame = readFrame(segment, marker.code);
    } else if (marker.code === QUANTIZATION_TABLES) addQuantizationTables(segment, quantization);
    else if (marker.code === HUFFMAN_TABLES) tables.read(segment);
    else if (marker.code === ARITHMETIC_TABLES) throw undecodable(ARITHMETIC);
    else if (marker.code === RESTART_INTERVAL) {
      if (segment.length !== 2) throw invalidLength();
      restartInterval = segment.readUInt16BE(0);
    } else if (isApplicationSegment(marker.code)) {
      if (scans.length === 0) metadata.add(marker.code, segment);
    } else if (marker.code === START_OF_SCAN) {
      if (frame === undefined) throw damaged('image data precedes its frame header');
      if (isComplete(frame, scans[0])) throw damaged('it has more image data than pixels');
      const scan = readScan(segment, frame, tables);
      if (scan.components.some(({ component }) => !quantization.has(component.quantization))) {
        throw damaged('one of its quantization tables is missing');
      }
      scans.push({ ...scan, offset, restartInterval });
      if (scans.length > MAX_SCANS) throw undecodable(`has more than ${MAX_SCANS} scans`);
    }
  }
  if (frame === undefined || scans.length === 0) throw damaged('it contains no image');
  const { width, height } = frame;
  const foundFrame = frame;
  const provePixels = async () => walkScans(file, foundFrame, scans);
  metadata.checkIndex();
  const orientation = metadata.orientation();
  return { width, height, orientation, animated: false, decoderBytes: coefficientBytes(frame), provePixels };
}

/**
 * Skips fill bytes; with `maySkip`, entropy-coded data, stuffed zeros and restart markers too. What else stands between the segments
 * after the first scan is a scan without its marker, which libjpeg skips as well. @throws StructureError
 */
function nextMarker(file: FileBytes, offset: number, maySkip: boolean): { code: number; end: number } {
  let from = offset;
  for (;;) {
    const bytes = file.upTo(from, 1 << 16);
    const found = bytes.indexOf(0xff);
    const code = found === -1 ? undefined : bytes[found + 1];
    if (bytes.length === 0 || (code === undefined && from + bytes.length >= file.size)) {
      throw truncation('the end of the image is missing');
    }
    const isSkipped = code === 0x00 || (code !== undefined && code >= 0xd0 && code <= 0xd7);
    if (!maySkip && (found !== 0 || isSkipped)) throw damaged('the marker of a scan is missing');
    if (found === -1) from += bytes.length;
    else if (code === undefined || code === 0xff) from += Math.max(found, code === undefined ? 0 : found + 1);
    else if (isSkipped) from += found + 2;
    else return { code, end: from + found + 2 };
  }
}

/** B.2.4.1: 64 values of one or two bytes after each table's number. */
function addQuantizationTables(segment: Buffer, defined: Set<number>): void {
  for (let at = 0; at < segment.length; ) {
    const [bytes, id] = [((segment[at] ?? 0) >> 4) + 1, (segment[at] ?? 0) & 15];
    at += 1 + 64 * bytes;
    if (bytes > 2 || id > 3 || at > segment.length) throw damaged('one of its quantization tables is invalid');
    defined.add(id);
  }
}

/** Reserved or of extensions; libjpeg-turbo ends at them (`jdmarker.c`, `read_markers`). */
const isUnknown = (marker: number) =>
  marker < 0xc0 || marker === JPG || marker === 0xde || marker === 0xdf || (marker >= 0xf0 && marker < 0xfe);

/** libjpeg-turbo ends at a second scan of a complete image (`jdinput.c`, `JERR_EOI_EXPECTED`). */
function isComplete(frame: JpegFrame, first: JpegScan | undefined): boolean {
  return !frame.isProgressive && first?.components.length === frame.components.length;
}

/** libjpeg holds all coefficients of a progressive image, two bytes each. */
function coefficientBytes({ isProgressive, width, height, components }: JpegFrame): number {
  if (!isProgressive) return 0;
  const across = Math.max(...components.map((component) => component.across));
  const down = Math.max(...components.map((component) => component.down));
  const samples = components.reduce((sum, component) => sum + component.across * component.down, 0) / (across * down);
  return 2 * width * height * samples;
}

const APP0 = 0xe0;
const APP1 = 0xe1;
const APP2 = 0xe2;
const APP14 = 0xee;
const JFIF_UNIT = 7;
const NUMBER_OF_PICTURES = 0xb001;
const PICTURES = 0xb002;
const PICTURE_BYTES = 16;

/** Segments before the first scan, as Pillow reads them (11.1, `JpegImagePlugin.py`); it raises on some that are too short. */
class ApplicationSegments {
  private readonly exif: Buffer[] = [];
  private exifBytes = 0;
  private hasDensity = false;
  private index: Buffer | undefined;

  /** @param segment without marker and length. @throws StructureError if Pillow rejects it */
  add(marker: number, segment: Buffer): void {
    const startsWith = (text: string) => segment.toString('latin1', 0, text.length) === text;
    if (marker === APP0 && startsWith('JFIF')) this.addDensity(segment);
    else if (marker === APP1 && startsWith('Exif\0\0')) {
      const part = this.exif.length === 0 ? segment : segment.subarray(6);
      this.exifBytes += part.length;
      if (this.exifBytes <= MAX_EXIF_BYTES) this.exif.push(Buffer.from(part));
    } else if (marker === APP2 && startsWith('MPF\0')) this.index = Buffer.from(segment.subarray(4));
    else if (marker === APP14 && startsWith('Adobe') && segment.length < 7) throw tooShort('Adobe');
  }

  /**
   * Pillow can't open a multi-picture file (CIPA DC-007) that counts more pictures than it lists, and reads other faulty indexes as
   * a single picture. @throws StructureError
   */
  checkIndex(): void {
    const block = this.index && unlessUnreadable(this.index);
    if (this.index === undefined || block === undefined) return;
    const fields = readExifDirectory(block, block.firstDirectory);
    const [number, pictures] = [NUMBER_OF_PICTURES, PICTURES].map((tag) => {
      const field = fields.get(tag);
      return field && decodeExifValues(block, field);
    });
    if (number?.kind !== 'integers' || pictures?.kind !== 'bytes') return;
    const formatAt = this.index.toString('latin1', 0, 4) === 'MM\0*' ? 0 : 3;
    for (let picture = 0; picture < (number.items[0] ?? 0); picture++) {
      const at = picture * PICTURE_BYTES;
      if (at + PICTURE_BYTES > pictures.bytes.length) throw tooShort('MPF');
      const isJpeg = ((pictures.bytes[at + formatAt] ?? 0) & 7) === 0;
      if (!isJpeg) return;
    }
  }

  /** @throws InspectionError where Pillow's `exif_transpose` raises */
  orientation(): number {
    if (this.exif.length === 0) return 1;
    const exif = Buffer.concat(this.exif);
    // Without a JFIF density, Pillow reads EXIF data on opening, ignores an invalid header, and never reads it again.
    return this.hasDensity || unlessUnreadable(exif) !== undefined ? orientationOf(exif) : 1;
  }

  private addDensity(segment: Buffer): void {
    if (segment.length < 7) throw tooShort('JFIF');
    if (segment.length >= 12 && [1, 2].includes(segment[JFIF_UNIT] ?? 0)) this.hasDensity = true;
  }
}

function unlessUnreadable(bytes: Buffer): ExifBlock | undefined {
  try {
    return exifBlockOf(bytes);
  } catch {
    return undefined;
  }
}

function tooShort(segment: string): StructureError {
  return damaged(`its ${segment} segment is too short`);
}
