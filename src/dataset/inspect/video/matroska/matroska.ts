/*
 * Checks the structure of Matroska and WebM files. Demuxers report no error for a truncated file: of a clip of 15 packets,
 * cut to 90 %, they list fewer.
 */
import type { FileBytes } from '../../byte-source.js';
import { formatCount, StructureError, truncation } from '../../inspection-error.js';
import { ClusterChecksums } from './cluster-checksum.js';
import {
  type EbmlElement,
  elementAt,
  elementsOf,
  floatValue,
  requireSized,
  type SizedElement,
  trackNumber,
  unsignedValue,
} from './ebml.js';
import { type MatroskaTrack, readTrackEntry } from './matroska-track.js';
import type { Movie } from '../video-facts.js';

/** Element identifiers of RFC 9559, section 5. */
const SEGMENT = 0x18538067;
const INFO = 0x1549a966;
const TIMESTAMP_SCALE = 0x2ad7b1;
const DURATION = 0x4489;
const TRACKS = 0x1654ae6b;
const TRACK_ENTRY = 0xae;
const CLUSTER = 0x1f43b675;
const TIMESTAMP = 0xe7;
const SIMPLE_BLOCK = 0xa3;
const BLOCK_GROUP = 0xa0;
const BLOCK = 0xa1;
const SEEK_HEAD = 0x114d9b74;
const CUES = 0x1c53bb6b;
const TOP_LEVEL = new Set([SEEK_HEAD, INFO, TRACKS, CLUSTER, CUES, 0x1941a469, 0x1043a770, 0x1254c367]);
const IN_CLUSTER = new Set([TIMESTAMP, SIMPLE_BLOCK, BLOCK_GROUP, 0xa7, 0xab, 0x5854, 0xaf, 0xec, 0xbf]);

const DEFAULT_SCALE = 1_000_000;
const MAX_TRACKS_BYTES = 16 << 20;
const MAX_TRACKS = 256;
/** Ten hours of video with sound have 3 million blocks. An element can have two bytes. */
const MAX_ELEMENTS = 20_000_000;
/** Bits of a block's flags that say how several frames share it. */
const LACING = 0x06;
/** A recording may end slightly before the duration in its header; truncation loses whole clusters. */
const TOLERANCE_SECONDS = 1;

interface Recording {
  /** Nanoseconds of one unit of the timestamps. */
  scale: number;
  /** The duration in the header; 0 without one. */
  declared: number;
  /** The last timestamp of any block. */
  last: number;
  elements: number;
  trackEntries: number;
  readonly checksums: ClusterChecksums;
  readonly tracks: Map<number, MatroskaTrack>;
}

/**
 * Reads every element of a Matroska or WebM file down to the headers of its blocks, checks that each block lies inside its
 * cluster, each cluster inside the segment, and the segment inside the file, and that each frame of the first video track can
 * be one of its codec.
 *
 * @throws StructureError
 */
export function readMatroska(wholeFile: FileBytes): Movie {
  const file = wholeFile.cursor(4096);
  const recording: Recording = {
    scale: DEFAULT_SCALE,
    declared: 0,
    last: 0,
    elements: 0,
    trackEntries: 0,
    checksums: new ClusterChecksums(wholeFile),
    tracks: new Map(),
  };
  const header = elementAt(file, 0, file.size);
  const segment = elementAt(file, header.end ?? file.size, file.size);
  if (segment.id !== SEGMENT) throw new StructureError('is damaged: its Matroska header is not followed by a segment');
  const end = segment.end ?? file.size;
  for (let offset = segment.payload; offset < end; ) {
    const next = nextElement(file, { offset, end, recording });
    if (next.id === CLUSTER) offset = readCluster(file, { cluster: next, end, recording });
    else {
      const element = requireSized(next, offset);
      if (element.id === INFO) readInfo(file, element, recording);
      if (element.id === TRACKS) readTracks(file, element, recording);
      offset = element.end;
    }
  }
  const seconds = recording.scale / 1e9;
  if (recording.declared * seconds > recording.last * seconds + TOLERANCE_SECONDS + longestFrame(recording) * seconds) {
    throw truncation('it ends before the duration in its header');
  }
  const durationSeconds = (recording.declared || recording.last) * seconds;
  const tracks = [...recording.tracks.values()];
  for (const track of tracks) {
    // The last frame counts as long as the others on average.
    if (track.frames > 1) track.seconds = ((track.last - track.first) * seconds * track.frames) / (track.frames - 1);
  }
  const declaredSeconds = recording.declared * seconds;
  return {
    tracks: tracks.map((track) => ({ ...track, declaredFrames: framesIn(declaredSeconds, track) })),
    durationSeconds,
  };
}

/** Matroska has no number of frames. OpenCV divides the duration of the whole clip by that of a frame. */
function framesIn(declaredSeconds: number, { frames, seconds, frameSeconds }: MatroskaTrack): number | undefined {
  const each = frameSeconds || seconds / frames;
  return each > 0 ? Math.round(declaredSeconds / each) : undefined;
}

/** Reads the header of an element, at most `MAX_ELEMENTS` of them in a file. */
function nextElement(file: FileBytes, at: { offset: number; end: number; recording: Recording }): EbmlElement {
  countElement(at.recording);
  return elementAt(file, at.offset, at.end);
}

function countElement(recording: Recording): void {
  if (++recording.elements > MAX_ELEMENTS) throw new StructureError('is damaged: it has many millions of elements');
}

/** Twice the average duration of a frame: with few frames, as in a slide show, the last one may last long. */
function longestFrame({ tracks, last }: Recording): number {
  const frames = Math.max(1, ...[...tracks.values()].filter(({ kind }) => kind === 'video').map((each) => each.frames));
  return (2 * last) / frames;
}

/** Reads the scale and the duration. FFmpeg ignores a scale of zero and a duration that is not a number of units. */
function readInfo(file: FileBytes, info: SizedElement, recording: Recording): void {
  for (const element of elementsOf(file, info)) {
    if (element.id === TIMESTAMP_SCALE) recording.scale = unsignedValue(file, element) || DEFAULT_SCALE;
    if (element.id !== DURATION) continue;
    const declared = floatValue(file, element);
    recording.declared = Number.isFinite(declared) && declared > 0 ? declared : 0;
  }
}

function readTracks(file: FileBytes, tracks: SizedElement, recording: Recording): void {
  if (tracks.end - tracks.payload > MAX_TRACKS_BYTES) {
    throw new StructureError('is damaged: its track headers are impossibly long');
  }
  for (const entry of elementsOf(file, tracks)) {
    if (entry.id !== TRACK_ENTRY) continue;
    if (++recording.trackEntries > MAX_TRACKS) throw new StructureError('is damaged: it has hundreds of tracks');
    const checksVideo = ![...recording.tracks.values()].some(({ kind }) => kind === 'video');
    const track = readTrackEntry(file, entry, { checksVideo });
    recording.tracks.set(track.number, track);
  }
}

/** Returns the end of the cluster. One of unknown size ends at the next element that belongs to the segment. */
function readCluster(file: FileBytes, at: { cluster: EbmlElement; end: number; recording: Recording }): number {
  const { cluster, recording } = at;
  const end = cluster.end ?? at.end;
  let timestamp = 0;
  let offset = cluster.payload;
  while (offset < end) {
    const next = nextElement(file, { offset, end, recording });
    if (cluster.end === undefined && TOP_LEVEL.has(next.id)) break;
    const element = requireSized(next, offset);
    if (!IN_CLUSTER.has(element.id)) {
      throw new StructureError(`is damaged: the element at byte ${formatCount(offset)} does not belong in a cluster`);
    }
    if (element.id === TIMESTAMP) timestamp = unsignedValue(file, element);
    if (element.id === SIMPLE_BLOCK) readBlock(file, element, { timestamp, recording });
    if (element.id === BLOCK_GROUP) {
      for (const part of elementsOf(file, element)) {
        countElement(recording);
        if (part.id === BLOCK) readBlock(file, part, { timestamp, recording });
      }
    }
    offset = element.end;
  }
  if (cluster.end !== undefined) recording.checksums.check({ ...cluster, end: cluster.end });
  return offset;
}

function readBlock(file: FileBytes, block: SizedElement, at: { timestamp: number; recording: Recording }): void {
  const { track: number, length } = trackNumber(file.upTo(block.payload, Math.min(8, block.end - block.payload)));
  const start = block.payload + length + 3;
  if (start > block.end) throw new StructureError('is damaged: one of its blocks is empty');
  const fields = file.at(block.payload + length, 3);
  const isLaced = ((fields[2] ?? 0) & LACING) !== 0;
  const track = at.recording.tracks.get(number);
  const time = at.timestamp + fields.readInt16BE(0);
  at.recording.last = Math.max(at.recording.last, time);
  if (track === undefined) return;
  track.frames++;
  track.first = Math.min(track.first, time);
  track.last = Math.max(track.last, time);
  const check = isLaced ? undefined : track.walk?.checkFor(1);
  if (check !== undefined) track.walk?.checkRun(check, { start, frames: 1, bytesOf: () => block.end - start });
}
