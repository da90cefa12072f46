import type { FileBytes } from '../../byte-source.js';
import { StructureError } from '../../inspection-error.js';
import type { FrameCheck } from '../codec/frame-check.js';
import { frameCheckOf, unknownCodecCheck } from '../codec/frame-checks.js';
import { codecOfMatroska, shownName, type VideoCodec } from '../codec/video-codecs.js';
import { elementsOf, floatValue, type SizedElement, unsignedValue } from './ebml.js';
import { FrameWalk } from '../frame-walk.js';
import type { Track } from '../video-facts.js';

/** Element identifiers of RFC 9559, section 5.1.4. */
const TRACK_NUMBER = 0xd7;
const TRACK_TYPE = 0x83;
const DEFAULT_DURATION = 0x23e383;
const CODEC = 0x86;
const CODEC_PRIVATE = 0x63a2;
const CONTENT_ENCODINGS = 0x6d80;
const VIDEO = 0xe0;
const WIDTH = 0xb0;
const HEIGHT = 0xba;
const PROJECTION = 0x7670;
const ROLL = 0x7675;

const MAX_NAME_BYTES = 64;
const MAX_PRIVATE_BYTES = 1 << 16;

/** A track, the timestamps of its first and last block, and the check of its frames. */
export interface MatroskaTrack extends Track {
  readonly number: number;
  first: number;
  last: number;
  /** The duration of a frame in the header; 0 without one. */
  readonly frameSeconds: number;
  readonly walk: FrameWalk | undefined;
}

/** Reads a `TrackEntry`. `checksVideo`: whether the frames of a video track are to be checked. @throws StructureError */
export function readTrackEntry(
  file: FileBytes,
  entry: SizedElement,
  { checksVideo }: { checksVideo: boolean },
): MatroskaTrack {
  let [number, type, name, isEncoded, frameSeconds] = [0, 0, '', false, 0];
  let size = { width: 0, height: 0 };
  let configuration: Buffer | undefined;
  for (const element of elementsOf(file, entry)) {
    const bytes = element.end - element.payload;
    if (element.id === TRACK_NUMBER) number = unsignedValue(file, element);
    if (element.id === TRACK_TYPE) type = unsignedValue(file, element);
    if (element.id === DEFAULT_DURATION) frameSeconds = unsignedValue(file, element) / 1e9;
    if (element.id === CODEC) name = textOf(file.at(element.payload, Math.min(MAX_NAME_BYTES, bytes)));
    if (element.id === CODEC_PRIVATE && bytes > 0) {
      configuration = Buffer.from(file.at(element.payload, Math.min(MAX_PRIVATE_BYTES, bytes)));
    }
    if (element.id === CONTENT_ENCODINGS) isEncoded = true;
    if (element.id === VIDEO) size = sizeOf(file, element);
  }
  const kind = type === 1 ? 'video' : type === 2 ? 'audio' : 'other';
  const codec = kind === 'video' ? codecOf(name, configuration) : undefined;
  // Compressed frames, also those of which only the common first bytes are left out, can't be judged by their first bytes.
  const isChecked = kind === 'video' && checksVideo && !isEncoded;
  const check = isChecked ? checkOf(file, { name, codec, configuration }) : undefined;
  const walk = check && new FrameWalk(file, [check]);
  const times = { first: Number.POSITIVE_INFINITY, last: 0 };
  return { number, kind, codec, codecName: name, frames: 0, seconds: 0, frameSeconds, ...size, ...times, walk };
}

function checkOf(
  file: FileBytes,
  { name, codec, configuration }: { name: string; codec: VideoCodec | undefined; configuration: Buffer | undefined },
): FrameCheck | undefined {
  return codec === undefined ? unknownCodecCheck(file, shownName(name)) : frameCheckOf(file, { codec, configuration });
}

function textOf(bytes: Buffer): string {
  return bytes.toString('latin1').replace(/\0+$/, '');
}

/** @throws StructureError for an unknown name with the configuration of a codec: FFmpeg can't decode it */
function codecOf(name: string, configuration: Buffer | undefined): VideoCodec | undefined {
  const codec = codecOfMatroska(name);
  if (codec !== undefined || configuration === undefined) return codec;
  if (CONFIGURATIONS.some((isConfiguration) => isConfiguration(configuration))) {
    throw new StructureError(`is damaged: its codec ${shownName(name)} does not match its configuration`);
  }
  return codec;
}

/** Version 1, reserved bits set, and one sequence parameter set (type 7) at the place of the first. */
function isAvcConfiguration(bytes: Buffer): boolean {
  const [version = 0, , , , lengths = 0, sets = 0, , , unit = 0] = bytes;
  return version === 1 && lengths >> 2 === 0x3f && sets >> 5 === 7 && (unit & 31) === 7;
}

function isHevcConfiguration(bytes: Buffer): boolean {
  const arrays = bytes[22] ?? 0;
  return bytes.length > 23 && bytes[0] === 1 && (bytes[13] ?? 0) >> 4 === 15 && arrays > 0 && arrays < 8;
}

function isAv1Configuration(bytes: Buffer): boolean {
  return bytes[0] === 0x81 && bytes.length >= 4 && (bytes.length === 4 || bytes[4] === 0x0a);
}

function isMpeg4Configuration(bytes: Buffer): boolean {
  return bytes.length > 4 && bytes.readUInt32BE(0) === 0x1b0;
}

const CONFIGURATIONS = [isAvcConfiguration, isHevcConfiguration, isAv1Configuration, isMpeg4Configuration];

/** The size of the frames, swapped if players turn them by 90°. */
function sizeOf(file: FileBytes, video: SizedElement): { width: number; height: number } {
  let [width, height, roll] = [0, 0, 0];
  for (const element of elementsOf(file, video)) {
    if (element.id === WIDTH) width = unsignedValue(file, element);
    if (element.id === HEIGHT) height = unsignedValue(file, element);
    if (element.id !== PROJECTION) continue;
    for (const part of elementsOf(file, element)) if (part.id === ROLL) roll = floatValue(file, part);
  }
  return Math.abs(roll) % 180 === 90 ? { width: height, height: width } : { width, height };
}
