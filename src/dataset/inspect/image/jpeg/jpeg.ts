import type { FileBytes } from '../../byte-source.js';
import { InspectionError, StructureError, truncation } from '../../inspection-error.js';
import type { ImageHeader } from '../image-header.js';
import { ApplicationSegments } from './application-segments.js';
import {
  ARITHMETIC,
  invalidLength,
  type JpegFrame,
  type JpegScan,
  readFrame,
  readScan,
  SAVE_AS_ORDINARY,
  undecodable,
} from './frame.js';
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
  for (;;) {
    const marker = nextMarker(file, offset);
    offset = marker.end;
    if (marker.code === END_OF_IMAGE) break;
    // libjpeg-turbo skips it; Pillow, which reads the markers before the first scan, can't.
    if (marker.code === TEM && scans.length > 0) continue;
    if (marker.code === START_OF_IMAGE) throw new StructureError('is damaged: a second image begins inside it');
    if (isUnknown(marker.code)) throw new StructureError('is damaged: it contains an unknown JPEG marker');
    const length = file.at(offset, 2).readUInt16BE(0);
    if (length < 2) throw invalidLength();
    const segment = file.at(offset, length).subarray(2);
    offset += length;
    if (isFrame(marker.code)) {
      if (frame !== undefined) throw new StructureError('is damaged: it has two frame headers');
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
      if (frame === undefined) throw new StructureError('is damaged: image data precedes its frame header');
      if (isComplete(frame, scans[0])) throw new StructureError('is damaged: it has more image data than pixels');
      const scan = readScan(segment, frame, tables);
      if (scan.components.some(({ component }) => !quantization.has(component.quantization))) {
        throw new StructureError('is damaged: one of its quantization tables is missing');
      }
      scans.push({ ...scan, offset, restartInterval });
      if (scans.length > MAX_SCANS) {
        throw new InspectionError('IMAGE_CORRUPT', `has more than ${MAX_SCANS} scans. ${SAVE_AS_ORDINARY}`);
      }
    }
  }
  if (frame === undefined || scans.length === 0) throw new StructureError('is damaged: it contains no image');
  const { width, height } = frame;
  const foundFrame = frame;
  const provePixels = async () => walkScans(file, foundFrame, scans);
  metadata.checkIndex();
  const orientation = metadata.orientation();
  return { width, height, orientation, animated: false, decoderBytes: coefficientBytes(frame), provePixels };
}

/** Skips entropy-coded data, stuffed zeros, restart markers and fill bytes. */
function nextMarker(file: FileBytes, offset: number): { code: number; end: number } {
  let from = offset;
  for (;;) {
    const bytes = file.upTo(from, 1 << 16);
    const found = bytes.indexOf(0xff);
    const code = found === -1 ? undefined : bytes[found + 1];
    if (bytes.length === 0 || (code === undefined && from + bytes.length >= file.size)) {
      throw truncation('the end of the image is missing');
    }
    if (found === -1) from += bytes.length;
    else if (code === undefined || code === 0xff) from += Math.max(found, code === undefined ? 0 : found + 1);
    else if (code === 0x00 || (code >= 0xd0 && code <= 0xd7)) from += found + 2;
    else return { code, end: from + found + 2 };
  }
}

/** B.2.4.1: 64 values of one or two bytes after each table's number. */
function addQuantizationTables(segment: Buffer, defined: Set<number>): void {
  for (let at = 0; at < segment.length; ) {
    const [bytes, id] = [((segment[at] ?? 0) >> 4) + 1, (segment[at] ?? 0) & 15];
    at += 1 + 64 * bytes;
    if (bytes > 2 || id > 3 || at > segment.length) {
      throw new StructureError('is damaged: one of its quantization tables is invalid');
    }
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
