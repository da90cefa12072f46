/*
 * Checks the structure of Matroska and WebM files. mediabunny (1.61.0) reads both, but reports no error for a truncated
 * file: of a clip of 15 packets, cut to 90 %, it lists none. And to list packets it reads the whole file.
 */
import type { FileBytes } from '../byte-source.js';
import { formatCount, StructureError, truncation } from '../inspection-error.js';
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
import type { Movie, Track } from './video-facts.js';

/** Element identifiers of RFC 9559, section 5. */
const SEGMENT = 0x18538067;
const INFO = 0x1549a966;
const TIMESTAMP_SCALE = 0x2ad7b1;
const DURATION = 0x4489;
const TRACKS = 0x1654ae6b;
const TRACK_ENTRY = 0xae;
const TRACK_NUMBER = 0xd7;
const TRACK_TYPE = 0x83;
const CODEC = 0x86;
const CLUSTER = 0x1f43b675;
const TIMESTAMP = 0xe7;
const SIMPLE_BLOCK = 0xa3;
const BLOCK_GROUP = 0xa0;
const BLOCK = 0xa1;
const SEEK_HEAD = 0x114d9b74;
const CUES = 0x1c53bb6b;
const TOP_LEVEL = new Set([SEEK_HEAD, INFO, TRACKS, CLUSTER, CUES, 0x1941a469, 0x1043a770, 0x1254c367]);
/** Elements that mediabunny holds in memory. */
const HEADERS = new Set([SEEK_HEAD, INFO, TRACKS, CUES]);
const IN_CLUSTER = new Set([TIMESTAMP, SIMPLE_BLOCK, BLOCK_GROUP, 0xa7, 0xab, 0x5854, 0xaf, 0xec, 0xbf]);

const MAX_TRACKS_BYTES = 16 << 20;
/** A recording may end slightly before the duration in its header; truncation loses whole clusters. */
const TOLERANCE_SECONDS = 1;

interface Recording {
  /** Nanoseconds of one unit of the timestamps. */
  scale: number;
  /** The duration in the header; 0 without one. */
  declared: number;
  /** The last timestamp of any block. */
  last: number;
  headerBytes: number;
  readonly tracks: Map<number, Track & { first: number; last: number }>;
}

/**
 * Reads every element of a Matroska or WebM file down to the headers of its blocks, and checks that each block lies inside
 * its cluster, each cluster inside the segment, and the segment inside the file.
 *
 * @throws StructureError
 */
export function readMatroska(wholeFile: FileBytes): Movie {
  const file = wholeFile.cursor(4096);
  const recording: Recording = { scale: 1_000_000, declared: 0, last: 0, headerBytes: 0, tracks: new Map() };
  const header = elementAt(file, 0, file.size);
  const segment = elementAt(file, header.end ?? file.size, file.size);
  if (segment.id !== SEGMENT) throw new StructureError('is damaged: its Matroska header is not followed by a segment');
  const end = segment.end ?? file.size;
  for (let offset = segment.payload; offset < end; ) {
    const next = elementAt(file, offset, end);
    if (next.id === CLUSTER) offset = readCluster(file, { cluster: next, end, recording });
    else {
      const element = requireSized(next, offset);
      if (element.id === INFO) readInfo(file, element, recording);
      if (element.id === TRACKS) readTracks(file, element, recording);
      if (HEADERS.has(element.id)) recording.headerBytes += element.end - element.payload;
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
  // To list packets, mediabunny would read the whole file, and it finds none in clusters of unknown size.
  return { tracks, durationSeconds, headerBytes: recording.headerBytes, isListable: false };
}

/** Twice the average duration of a frame: with few frames, as in a slide show, the last one may last long. */
function longestFrame({ tracks, last }: Recording): number {
  const frames = Math.max(1, ...[...tracks.values()].filter(({ kind }) => kind === 'video').map((each) => each.frames));
  return (2 * last) / frames;
}

function readInfo(file: FileBytes, info: SizedElement, recording: Recording): void {
  for (const element of elementsOf(file, info)) {
    if (element.id === TIMESTAMP_SCALE) recording.scale = unsignedValue(file, element);
    if (element.id === DURATION) recording.declared = floatValue(file, element);
  }
}

function readTracks(file: FileBytes, tracks: SizedElement, recording: Recording): void {
  if (tracks.end - tracks.payload > MAX_TRACKS_BYTES) {
    throw new StructureError('is damaged: its track headers are impossibly long');
  }
  for (const entry of elementsOf(file, tracks)) {
    if (entry.id !== TRACK_ENTRY) continue;
    let number = 0;
    let type = 0;
    let codec = '';
    for (const element of elementsOf(file, entry)) {
      if (element.id === TRACK_NUMBER) number = unsignedValue(file, element);
      if (element.id === TRACK_TYPE) type = unsignedValue(file, element);
      const bytes = element.end - element.payload;
      if (element.id === CODEC) codec = file.upTo(element.payload, Math.min(64, bytes)).toString('latin1');
    }
    recording.tracks.set(number, {
      kind: type === 1 ? 'video' : type === 2 ? 'audio' : 'other',
      frames: 0,
      seconds: 0,
      codec,
      first: Number.POSITIVE_INFINITY,
      last: 0,
    });
  }
}

/** Returns the end of the cluster. One of unknown size ends at the next element that belongs to the segment. */
function readCluster(file: FileBytes, at: { cluster: EbmlElement; end: number; recording: Recording }): number {
  const { cluster, recording } = at;
  const end = cluster.end ?? at.end;
  let timestamp = 0;
  let offset = cluster.payload;
  while (offset < end) {
    const next = elementAt(file, offset, end);
    if (cluster.end === undefined && TOP_LEVEL.has(next.id)) break;
    const element = requireSized(next, offset);
    if (!IN_CLUSTER.has(element.id)) {
      throw new StructureError(`is damaged: the element at byte ${formatCount(offset)} does not belong in a cluster`);
    }
    if (element.id === TIMESTAMP) timestamp = unsignedValue(file, element);
    if (element.id === SIMPLE_BLOCK) readBlock(file, element, { timestamp, recording });
    if (element.id === BLOCK_GROUP) {
      for (const part of elementsOf(file, element)) {
        if (part.id === BLOCK) readBlock(file, part, { timestamp, recording });
      }
    }
    offset = element.end;
  }
  return offset;
}

function readBlock(file: FileBytes, block: SizedElement, at: { timestamp: number; recording: Recording }): void {
  const { track: number, length } = trackNumber(file.upTo(block.payload, Math.min(8, block.end - block.payload)));
  if (block.payload + length + 3 > block.end) throw new StructureError('is damaged: one of its blocks is empty');
  const relative = file.at(block.payload + length, 2).readInt16BE(0);
  const track = at.recording.tracks.get(number);
  const time = at.timestamp + relative;
  at.recording.last = Math.max(at.recording.last, time);
  if (track === undefined) return;
  track.frames++;
  track.first = Math.min(track.first, time);
  track.last = Math.max(track.last, time);
}
