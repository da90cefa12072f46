import type { FileBytes } from '../byte-source.js';
import { StructureError, truncation } from '../inspection-error.js';
import { checkDimensions, type ImageHeader } from './image-header.js';
import { orientationOf } from './orientation.js';

const END_OF_IMAGE = 0xd9;
const START_OF_SCAN = 0xda;
const APP1 = 0xe1;
/** SOF0 to SOF15 without DHT (C4), JPG (C8) and DAC (CC), which lie among them: ITU-T T.81, table B.1. */
const isFrame = (marker: number) => marker >= 0xc0 && marker <= 0xcf && ![0xc4, 0xc8, 0xcc].includes(marker);
const isProgressive = (marker: number) => [0xc2, 0xc6, 0xca, 0xce].includes(marker);
const standsAlone = (marker: number) => marker === 0x01 || (marker >= 0xd0 && marker <= 0xd8);

/**
 * Follows all markers and scans to the end-of-image marker and ignores the bytes after it: cameras append previews and
 * other data there, and Pillow opens such files.
 *
 * @throws StructureError, InspectionError
 */
export function readJpeg(file: FileBytes): ImageHeader {
  let frame: { width: number; height: number; decoderBytes: number } | undefined;
  let orientation = 1;
  let scans = 0;
  let offset = 2;
  for (;;) {
    const marker = nextMarker(file, offset);
    offset = marker.end;
    if (marker.code === END_OF_IMAGE) break;
    if (standsAlone(marker.code)) continue;
    const length = file.at(offset, 2).readUInt16BE(0);
    if (length < 2) throw new StructureError('is damaged: one of its JPEG segments has an invalid length');
    const segment = file.at(offset, length);
    if (isFrame(marker.code)) frame ??= readFrame(segment, isProgressive(marker.code));
    if (marker.code === APP1 && segment.toString('latin1', 2, 8) === 'Exif\0\0') {
      orientation = orientationOf(segment.subarray(2));
    }
    if (marker.code === START_OF_SCAN) scans++;
    offset += length;
  }
  if (frame === undefined || scans === 0) throw new StructureError('is damaged: it contains no image');
  return { ...frame, orientation, animated: false };
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

function readFrame(segment: Buffer, progressive: boolean): { width: number; height: number; decoderBytes: number } {
  const components = segment[7] ?? 0;
  if (segment.length < 8 + components * 3) throw new StructureError('is damaged: its JPEG frame header is too short');
  const height = segment.readUInt16BE(3);
  const width = segment.readUInt16BE(5);
  checkDimensions(width, height);
  return { width, height, decoderBytes: progressive ? coefficientBytes(segment, width * height) : 0 };
}

/** libjpeg holds every coefficient of a progressive image, two bytes each, until it has read the last scan. */
function coefficientBytes(segment: Buffer, pixels: number): number {
  const sampling = Array.from({ length: segment[7] ?? 0 }, (_, component) => segment[9 + component * 3] ?? 0x11);
  const across = Math.max(1, ...sampling.map((factors) => factors >> 4));
  const down = Math.max(1, ...sampling.map((factors) => factors & 15));
  const samples = sampling.reduce((sum, factors) => sum + (factors >> 4) * (factors & 15), 0) / (across * down);
  return 2 * pixels * samples;
}
