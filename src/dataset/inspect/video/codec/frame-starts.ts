/*
 * What the frames of other codecs than H.264 and HEVC prove by their first bytes and by the lengths in them. Each rule holds
 * for all frames that FFmpeg decodes without an error.
 */
import type { FileBytes } from '../../byte-source.js';
import { damagedFrame, type FrameCheck } from './frame-check.js';
import type { VideoCodec } from './video-codecs.js';

/** Returns whether the bytes from `start` to `end` can be a frame. */
type FrameRule = (file: FileBytes, start: number, end: number) => boolean;

const RULES: Partial<Record<VideoCodec, FrameRule>> = {
  vp8: isVp8,
  vp9: isVp9,
  av1: isAv1,
  mpeg4: (file, start, end) =>
    beginsLike(file.upTo(start, Math.min(64, end - start)), /^\0*(?:\0\0\x01|\0\0[\x80-\x83])/),
  mpeg2: (file, start, end) => beginsLike(file.upTo(start, Math.min(64, end - start)), /^\0*\0\0\x01/),
  h263: (file, start, end) => beginsLike(file.upTo(start, Math.min(8, end - start)), /^\0\0[\x80-\x83]/),
  mjpeg: (file, start, end) => beginsLike(file.upTo(start, Math.min(8, end - start)), /^\xff\xd8\xff/),
  png: (file, start, end) => beginsLike(file.upTo(start, Math.min(8, end - start)), /^\x89PNG\r\n\x1a\n/),
  prores: isProRes,
  dnxhd: isDnxhd,
};

/** A check of each frame of a codec; `undefined` if its frames prove nothing. */
export function frameStartCheck(file: FileBytes, codec: VideoCodec): FrameCheck | undefined {
  const isFrame = RULES[codec];
  if (isFrame === undefined) return undefined;
  return (start, end) => {
    if (end > start && !isFrame(file, start, end)) throw damagedFrame(file, start, end);
  };
}

/** Encoders of MPEG-4 write a few bytes for a frame that repeats the one before. */
const MIN_JUDGED_BYTES = 8;

function beginsLike(bytes: Buffer, pattern: RegExp): boolean {
  return bytes.length < MIN_JUDGED_BYTES || pattern.test(bytes.toString('latin1'));
}

/** RFC 6386, section 9.1: a tag with the length of the first partition, and a start code in each key frame. */
function isVp8(file: FileBytes, start: number, end: number): boolean {
  const bytes = file.upTo(start, Math.min(10, end - start));
  if (bytes.length < 3) return true;
  const tag = bytes.readUIntLE(0, 3);
  const isKey = (tag & 1) === 0;
  if (isKey && (bytes.length < 10 || bytes.readUIntBE(3, 3) !== 0x9d012a)) return false;
  return start + (isKey ? 10 : 3) + (tag >> 5) <= end;
}

/** VP9 bitstream specification 0.6, section 6.2 and annex B: one frame, or several before an index of their lengths. */
function isVp9(file: FileBytes, start: number, end: number): boolean {
  const last = file.at(end - 1, 1)[0] ?? 0;
  const frames = (last & 7) + 1;
  const sizeBytes = ((last >> 3) & 3) + 1;
  const indexAt = end - 2 - frames * sizeBytes;
  if ((last & 0xe0) !== 0xc0 || indexAt < start || file.at(indexAt, 1)[0] !== last) return isVp9Frame(file, start, end);
  const index = Buffer.from(file.at(indexAt + 1, frames * sizeBytes));
  let at = start;
  for (let frame = 0; frame < frames; frame++) {
    const next = at + index.readUIntLE(frame * sizeBytes, sizeBytes);
    if (next > indexAt || (next > at && !isVp9Frame(file, at, next))) return false;
    at = next;
  }
  return true;
}

function isVp9Frame(file: FileBytes, start: number, end: number): boolean {
  const bytes = file.upTo(start, Math.min(5, end - start));
  const first = bytes[0] ?? 0;
  if (first >> 6 !== 2) return false;
  const isProfile3 = (first & 0x30) === 0x30;
  const flags = isProfile3 ? first << 1 : first;
  const showsExisting = (flags & 8) !== 0;
  const isKey = (flags & 4) === 0;
  if (showsExisting || !isKey || isProfile3) return true;
  return bytes.length === 5 && bytes.readUIntBE(1, 3) === 0x498342;
}

const AV1_FRAME_TYPES = [3, 6, 8];
const MAX_LEB128_BYTES = 8;

/** AV1 bitstream specification, section 5.3: units, each with its length, which add up to the frame. One is a picture. */
function isAv1(file: FileBytes, start: number, end: number): boolean {
  let hasPicture = false;
  for (let at = start; at < end; ) {
    const bytes = file.upTo(at, Math.min(2 + MAX_LEB128_BYTES, end - at));
    const header = bytes[0] ?? 0;
    const type = (header >> 3) & 15;
    const payload = at + ((header & 4) === 0 ? 1 : 2);
    // No encoder writes units of the reserved type 0: these are zeros.
    if (type === 0 || header > 127 || payload > end) return false;
    hasPicture ||= AV1_FRAME_TYPES.includes(type);
    // Without a length, the unit is the last one.
    if ((header & 2) === 0) return hasPicture;
    const length = leb128(bytes.subarray(payload - at));
    if (length === undefined || payload + length.bytes + length.value > end) return false;
    at = payload + length.bytes + length.value;
  }
  return hasPicture;
}

function leb128(bytes: Buffer): { value: number; bytes: number } | undefined {
  let value = 0;
  for (let at = 0; at < MAX_LEB128_BYTES; at++) {
    const byte = bytes[at];
    if (byte === undefined) return undefined;
    value += (byte & 127) * 128 ** at;
    if (byte < 128) return { value, bytes: at + 1 };
  }
  return undefined;
}

/** SMPTE RDD 36, section 5: the length of the frame, its mark, its header, then pictures whose slices have lengths. */
function isProRes(file: FileBytes, start: number, end: number): boolean {
  if (end - start < 28) return false;
  const header = Buffer.from(file.at(start, 28));
  const size = header.readUInt32BE(0);
  if (size > end - start || header.toString('latin1', 4, 8) !== 'icpf') return false;
  const pictures = ((header[20] ?? 0) >> 2) & 3 ? 2 : 1;
  let at = start + 8 + header.readUInt16BE(8);
  for (let picture = 0; picture < pictures; picture++) {
    if (at + 8 > end) return false;
    const bytes = file.at(at, 8);
    const [headerBytes, pictureBytes, slices] = [(bytes[0] ?? 0) >> 3, bytes.readUInt32BE(1), bytes.readUInt16BE(5)];
    const tableEnd = at + headerBytes + slices * 2;
    if (tableEnd > end || at + pictureBytes > end) return false;
    const table = file.at(at + headerBytes, slices * 2);
    let sliceBytes = 0;
    for (let slice = 0; slice < slices; slice++) sliceBytes += table.readUInt16BE(slice * 2);
    if (tableEnd + sliceBytes > at + pictureBytes) return false;
    at += pictureBytes;
  }
  return true;
}

/** SMPTE ST 2019-1, section 7: each frame begins with the length of its header and a mark. */
function isDnxhd(file: FileBytes, start: number, end: number): boolean {
  const bytes = file.upTo(start, Math.min(8, end - start));
  if (bytes.length < 8) return false;
  const headerBytes = bytes.readUInt32BE(0);
  return headerBytes >= 0x280 && headerBytes <= 0x2170 && [1, 2, 3].includes(bytes[4] ?? 0);
}
