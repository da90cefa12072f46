import type { FileBytes } from '../../byte-source.js';
import { InspectionError, StructureError, truncation } from '../../inspection-error.js';
import { checkDimensions, type ImageHeader } from '../image-header.js';
import { ApplicationSegments } from './application-segments.js';
import type { JpegComponent, JpegFrame, JpegScan } from './frame.js';
import { HuffmanTables } from './huffman.js';
import { walkScans } from './scan.js';

/** Markers: ITU-T T.81, table B.1. */
const START_OF_IMAGE = 0xd8;
const END_OF_IMAGE = 0xd9;
const START_OF_SCAN = 0xda;
const HUFFMAN_TABLES = 0xc4;
const QUANTIZATION_TABLES = 0xdb;
const RESTART_INTERVAL = 0xdd;
const ARITHMETIC_TABLES = 0xcc;
const isApplicationSegment = (marker: number) => marker >= 0xe0 && marker <= 0xef;
const PROGRESSIVE = 0xc2;
/** Reserved for extensions. */
const JPG = 0xc8;
/** SOF0 to SOF15. */
const isFrame = (marker: number) =>
  marker >= 0xc0 && marker <= 0xcf && ![HUFFMAN_TABLES, JPG, ARITHMETIC_TABLES].includes(marker);
/** For the temporary use of arithmetic coding. It has no content. */
const TEM = 0x01;

/** Encoders write about ten scans, and each costs a decoder a pass over the image. */
const MAX_SCANS = 500;

/**
 * Reads all markers up to the end of the image and ignores the bytes after it: cameras append previews and other data there,
 * and Pillow opens such files. Only `provePixels` of the result reads the image data.
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
    // Pillow, which reads the markers before the first scan, opens no file with one there. libjpeg-turbo skips it.
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
      metadata.checkProfile();
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

/** The next marker from `offset` on. Skips entropy-coded data, stuffed zeros, restart markers and fill bytes. */
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

const SAVE_AS_ORDINARY = 'Save it as an ordinary JPEG and upload it again.';

/** Markers that libjpeg-turbo does not know, and ends at (`jdmarker.c`, `read_markers`): reserved ones and those of extensions. */
const isUnknown = (marker: number) =>
  marker < 0xc0 || marker === JPG || marker === 0xde || marker === 0xdf || (marker >= 0xf0 && marker < 0xfe);

/**
 * Rejects variants of JPEG that Pillow can't read, or not everywhere. libjpeg-turbo can be built without arithmetic decoding, and
 * gets 64 KiB at a time from Pillow, after which its arithmetic decoder can't wait for more (`jdarith.c`, `JERR_CANT_SUSPEND`).
 * Versions before 3 decode no lossless JPEG. Pillow itself opens no samples of more than 8 bits.
 */
function checkDecodable(code: number, bitsPerSample: number): void {
  if (code >= 0xc9) throw undecodable(ARITHMETIC);
  if (code > PROGRESSIVE)
    throw undecodable('is a lossless or hierarchical JPEG, which the trainer may not be able to read');
  if (bitsPerSample !== 8) throw undecodable(`has ${bitsPerSample} bits per sample, which the trainer can't read`);
}

const ARITHMETIC = 'uses arithmetic coding, of which the trainer reads small files at most';

/** @param reason the rest of a sentence that begins with the file's name */
function undecodable(reason: string): InspectionError {
  return new InspectionError('IMAGE_CORRUPT', `${reason}. ${SAVE_AS_ORDINARY}`);
}

/** libjpeg-turbo ends at headers with bytes too few or too many (`jdmarker.c`, `JERR_BAD_LENGTH`). */
function invalidLength(): StructureError {
  return new StructureError('is damaged: one of its JPEG segments has an invalid length');
}

/** Whether the first scan has the whole image. libjpeg-turbo then ends at a second one (`jdinput.c`, `JERR_EOI_EXPECTED`). */
function isComplete(frame: JpegFrame, first: JpegScan | undefined): boolean {
  return !frame.isProgressive && first?.components.length === frame.components.length;
}

/** B.2.2 */
function readFrame(segment: Buffer, code: number): JpegFrame {
  const count = segment[5] ?? 0;
  if (count < 1 || segment.length !== 6 + count * 3) throw invalidLength();
  if (count === 2 || count > 4) throw undecodable(`has ${count} colour channels`);
  checkDecodable(code, segment[0] ?? 0);
  const height = segment.readUInt16BE(1);
  const width = segment.readUInt16BE(3);
  checkDimensions(width, height);
  const components = Array.from({ length: count }, (_, i): JpegComponent => {
    const factors = segment[7 + i * 3] ?? 0;
    const [id, quantization] = [segment[6 + i * 3] ?? 0, segment[8 + i * 3] ?? 0];
    return { id, across: factors >> 4, down: factors & 15, quantization };
  });
  if (components.some(({ across, down }) => across < 1 || across > 4 || down < 1 || down > 4)) {
    throw new StructureError('is damaged: its JPEG frame header has invalid sampling factors');
  }
  return { width, height, isProgressive: code === PROGRESSIVE, components };
}

/** All coefficients with all their bits, as in every sequential scan. */
const SEQUENTIAL = { first: 0, last: 63, high: 0, low: 0 };

/** libjpeg-turbo rejects a higher one (`jdphuff.c`, `start_pass_phuff_decoder`). */
const MAX_LOW_BIT = 13;

/** Of a scan of several components (B.2.3); libjpeg-turbo rejects more. */
const MAX_MCU_BLOCKS = 10;

/** B.2.3 */
function readScan(
  segment: Buffer,
  frame: JpegFrame,
  tables: HuffmanTables,
): Omit<JpegScan, 'offset' | 'restartInterval'> {
  const count = segment[0] ?? 0;
  if (count < 1 || count > 4 || segment.length !== 4 + count * 2) throw invalidLength();
  const [first, last, bits] = [segment[1 + count * 2] ?? 0, segment[2 + count * 2] ?? 0, segment[3 + count * 2] ?? 0];
  const band = frame.isProgressive ? { first, last, high: bits >> 4, low: bits & 15 } : SEQUENTIAL;
  const { high, low } = band;
  const isBand = first === 0 ? last === 0 : count === 1 && first <= last && last <= 63;
  if (frame.isProgressive && !(isBand && low <= MAX_LOW_BIT && (high === 0 || low === high - 1))) {
    throw new StructureError('is damaged: a JPEG scan header names invalid coefficients');
  }
  const components = Array.from({ length: count }, (_, i) => {
    const component = frame.components.find(({ id }) => id === segment[1 + i * 2]);
    if (component === undefined) throw new StructureError('is damaged: a JPEG scan header names an unknown component');
    const table = segment[2 + i * 2] ?? 0;
    const needsDc = band.first === 0 && high === 0;
    const needsAc = band.last > 0;
    return {
      component,
      dc: needsDc ? tables.find('dc', table >> 4, frame) : undefined,
      ac: needsAc ? tables.find('ac', table & 15, frame) : undefined,
    };
  });
  const blocks = components.reduce((sum, { component }) => sum + component.across * component.down, 0);
  if (new Set(components.map(({ component }) => component)).size < count || (count > 1 && blocks > MAX_MCU_BLOCKS)) {
    throw new StructureError('is damaged: a JPEG scan header names too many components');
  }
  return { components, ...band };
}

/** libjpeg holds every coefficient of a progressive image, two bytes each, until it has read the last scan. */
function coefficientBytes({ isProgressive, width, height, components }: JpegFrame): number {
  if (!isProgressive) return 0;
  const across = Math.max(...components.map((component) => component.across));
  const down = Math.max(...components.map((component) => component.down));
  const samples = components.reduce((sum, component) => sum + component.across * component.down, 0) / (across * down);
  return 2 * width * height * samples;
}
