import type { FileBytes } from '../byte-source.js';
import { InspectionError, StructureError } from '../inspection-error.js';
import { type Box, type BoxRange, boxesOf } from '../isobmff.js';
import type { FrameCheck } from './codec/frame-check.js';
import { frameCheckOf, unknownCodecCheck } from './codec/frame-checks.js';
import { codecOfObjectType, codecOfSampleEntry, shownName, type VideoCodec } from './codec/video-codecs.js';

/** One description of samples of a video track (`stsd`, ISO/IEC 14496-12, 8.5.2 and 12.1.3). */
export interface VideoEntry {
  /** As in the file: `avc1`. */
  readonly name: string;
  /** `undefined` if the name is unknown here. */
  readonly codec: VideoCodec | undefined;
  readonly width: number;
  readonly height: number;
  readonly check: FrameCheck | undefined;
}

/** As in FFmpeg. */
const MAX_ENTRIES = 1024;
const MAX_CONFIGURATION_BYTES = 1 << 16;
/** The fields of a video's description, after which its boxes begin. */
const VISUAL_BYTES = 78;

/** The boxes that configure a decoder, and their codecs. */
const CONFIGURES: Record<string, readonly VideoCodec[]> = {
  avcC: ['avc'],
  hvcC: ['hevc'],
  vvcC: ['vvc'],
  av1C: ['av1'],
  vpcC: ['vp8', 'vp9'],
};

/** Reads the descriptions of a video track. @throws StructureError if a codec's name contradicts its configuration */
export function readVideoEntries(file: FileBytes, stsd: Box): VideoEntry[] {
  return [...entriesOf(file, stsd)].map((entry) => readEntry(file, entry));
}

function* entriesOf(file: FileBytes, stsd: Box): Generator<Box> {
  let entries = 0;
  for (const box of boxesOf(file, { payload: stsd.payload + 8, end: stsd.end })) {
    if (++entries > MAX_ENTRIES) throw new StructureError('is damaged: it lists more than a thousand codecs');
    yield box;
  }
}

function readEntry(file: FileBytes, entry: Box): VideoEntry {
  const { type: name } = entry;
  if (entry.end - entry.payload < VISUAL_BYTES) {
    throw new StructureError('is damaged: the description of its codec is incomplete');
  }
  if (name === 'encv') {
    const message = 'is encrypted (DRM), so the trainer cannot decode it. Upload a copy without encryption.';
    throw new InspectionError('VIDEO_CORRUPT', message);
  }
  const size = file.at(entry.payload + 24, 4);
  const [width, height] = [size.readUInt16BE(0), size.readUInt16BE(2)];
  const boxes = configurationsOf(file, { payload: entry.payload + VISUAL_BYTES, end: entry.end });
  const esds = boxes.get('esds');
  const codec = (esds && codecOfObjectType(objectTypeOf(esds))) ?? codecOfSampleEntry(name);
  const configurations = [...boxes.keys()].filter((type) => CONFIGURES[type] !== undefined);
  const matching = configurations.find((type) => codec !== undefined && CONFIGURES[type]?.includes(codec));
  const [other] = configurations;
  if (other !== undefined && matching === undefined) {
    throw new StructureError(`is damaged: its codec ${shownName(name)} does not match its configuration "${other}"`);
  }
  const configuration = boxes.get(matching ?? '') ?? esds ?? boxes.get('glbl');
  const check =
    codec === undefined ? unknownCodecCheck(file, shownName(name)) : frameCheckOf(file, { codec, configuration });
  return { name, codec, width, height, check };
}

/**
 * The boxes in a description, by type. As in FFmpeg, what follows them need not be a box: QuickTime writes color tables and
 * zeros there.
 */
function configurationsOf(file: FileBytes, range: BoxRange): Map<string, Buffer> {
  const boxes = new Map<string, Buffer>();
  for (let at = range.payload; at + 8 <= range.end; ) {
    const header = file.at(at, 8);
    const bytes = header.readUInt32BE(0);
    const type = header.toString('latin1', 4, 8);
    if (bytes < 8 || at + bytes > range.end) break;
    if (CONFIGURES[type] !== undefined || type === 'esds' || type === 'glbl') {
      boxes.set(type, Buffer.from(file.at(at + 8, Math.min(bytes - 8, MAX_CONFIGURATION_BYTES))));
    }
    at += bytes;
  }
  return boxes;
}

/** The object type in an elementary stream descriptor (ISO/IEC 14496-1, 7.2.6); 0 if it is not found. */
function objectTypeOf(esds: Buffer): number {
  let at = 4;
  const enter = (tag: number): boolean => {
    if (esds[at++] !== tag) return false;
    while (((esds[at++] ?? 0) & 0x80) !== 0);
    return true;
  };
  if (enter(3)) {
    const flags = esds[at + 2] ?? 0;
    at += 3 + ((flags & 0x80) === 0 ? 0 : 2) + ((flags & 0x20) === 0 ? 0 : 2);
    if ((flags & 0x40) !== 0) at += 1 + (esds[at] ?? 0);
  } else {
    at = 4;
  }
  return enter(4) ? (esds[at] ?? 0) : 0;
}
