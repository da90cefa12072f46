import type { FileBytes } from '../byte-source.js';
import { StructureError, truncated } from '../inspection-error.js';
import { type EbmlElement, elementAt, elementsOf, float, trackNumber, unsigned } from './ebml.js';
import type { Movie, Track } from './movie.js';

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
/** What mediabunny reads whole. */
const HEADERS = new Set([SEEK_HEAD, INFO, TRACKS, CUES]);
const IN_CLUSTER = new Set([TIMESTAMP, SIMPLE_BLOCK, BLOCK_GROUP, 0xa7, 0xab, 0x5854, 0xaf, 0xec, 0xbf]);

/** Headers are parsed whole by the library that names the codec. */
const MAX_HEADER_BYTES = 16 << 20;
/** A recording may end a little before the duration its header was given; a cut loses whole clusters. */
const TOLERANCE_SECONDS = 1;

interface Recording {
  scale: number;
  promised: number;
  last: number;
  headerBytes: number;
  readonly tracks: Map<number, Track & { first: number; last: number }>;
}

/**
 * Walks every element of a Matroska or WebM file down to its blocks, reading their headers only: all of them must fit
 * their cluster, the clusters the segment, and the segment the file.
 *
 * @throws Damage
 */
export function readMatroska(whole: FileBytes): Movie {
  const file = whole.cursor(4096);
  const recording: Recording = {
    scale: 1_000_000,
    promised: 0,
    last: 0,
    headerBytes: 0,
    tracks: new Map(),
  };
  const header = elementAt(file, 0, file.size);
  const segment = elementAt(file, header.end ?? file.size, file.size);
  if (segment.id !== SEGMENT) throw new StructureError('is damaged: it has a Matroska header and no segment');
  const end = segment.end ?? file.size;
  for (let offset = segment.payload; offset < end; ) {
    const element = elementAt(file, offset, end);
    if (element.id === CLUSTER) offset = readCluster(file, { cluster: element, end, recording });
    else {
      if (element.end === undefined) throw new StructureError(`is damaged: the element at byte ${offset} has no size`);
      if (element.id === INFO) readInfo(file, element as Sized, recording);
      if (element.id === TRACKS) readTracks(file, element as Sized, recording);
      if (HEADERS.has(element.id)) recording.headerBytes += element.end - element.payload;
      offset = element.end;
    }
  }
  const seconds = recording.scale / 1e9;
  if (recording.promised * seconds > recording.last * seconds + TOLERANCE_SECONDS + longestFrame(recording) * seconds) {
    throw truncated({ needed: 0, size: 0, what: 'it ends before the duration in its header' });
  }
  const durationSeconds = (recording.promised || recording.last) * seconds;
  const tracks = [...recording.tracks.values()];
  for (const track of tracks) {
    // The last frame lasts as long as the others do on average.
    if (track.frames > 1) track.seconds = ((track.last - track.first) * seconds * track.frames) / (track.frames - 1);
  }
  // mediabunny reads clusters whole, so to list packets it would read the whole film; and it finds none in a recording
  // whose clusters have no size. The blocks have been counted here.
  return { tracks, durationSeconds, headerBytes: recording.headerBytes, listable: false };
}

type Sized = EbmlElement & { readonly end: number };

/** Where timestamps are far apart, as in a slide show, the last frame may last as long. */
function longestFrame({ tracks, last }: Recording): number {
  const frames = Math.max(1, ...[...tracks.values()].filter(({ kind }) => kind === 'video').map((each) => each.frames));
  return (2 * last) / frames;
}

function readInfo(file: FileBytes, info: Sized, recording: Recording): void {
  for (const element of elementsOf(file, info)) {
    if (element.id === TIMESTAMP_SCALE) recording.scale = unsigned(file, element);
    if (element.id === DURATION) recording.promised = float(file, element);
  }
}

function readTracks(file: FileBytes, tracks: Sized, recording: Recording): void {
  if (tracks.end - tracks.payload > MAX_HEADER_BYTES)
    throw new StructureError('is damaged: its track headers are absurdly long');
  for (const entry of elementsOf(file, tracks)) {
    if (entry.id !== TRACK_ENTRY) continue;
    let number = 0;
    let type = 0;
    let codec = '';
    for (const element of elementsOf(file, entry as Sized)) {
      if (element.id === TRACK_NUMBER) number = unsigned(file, element);
      if (element.id === TRACK_TYPE) type = unsigned(file, element);
      if (element.id === CODEC)
        codec = file.upTo(element.payload, Math.min(64, element.end! - element.payload)).toString('latin1');
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

/** Returns where the cluster ends, which one without a size does where an element of the segment follows. */
function readCluster(file: FileBytes, at: { cluster: EbmlElement; end: number; recording: Recording }): number {
  const { cluster, recording } = at;
  const end = cluster.end ?? at.end;
  let timestamp = 0;
  let offset = cluster.payload;
  while (offset < end) {
    const element = elementAt(file, offset, end);
    if (cluster.end === undefined && TOP_LEVEL.has(element.id)) break;
    if (element.end === undefined) throw new StructureError(`is damaged: the element at byte ${offset} has no size`);
    if (!IN_CLUSTER.has(element.id))
      throw new StructureError(`is damaged: byte ${offset} begins nothing that a cluster holds`);
    if (element.id === TIMESTAMP) timestamp = unsigned(file, element);
    if (element.id === SIMPLE_BLOCK) readBlock(file, element as Sized, { timestamp, recording });
    if (element.id === BLOCK_GROUP) {
      for (const part of elementsOf(file, element as Sized)) {
        if (part.id === BLOCK) readBlock(file, part as Sized, { timestamp, recording });
      }
    }
    offset = element.end;
  }
  return offset;
}

function readBlock(file: FileBytes, block: Sized, at: { timestamp: number; recording: Recording }): void {
  const { track, length } = trackNumber(file.upTo(block.payload, Math.min(8, block.end - block.payload)));
  if (block.payload + length + 3 > block.end) throw new StructureError('is damaged: one of its blocks has no content');
  const relative = file.at(block.payload + length, 2).readInt16BE(0);
  const known = at.recording.tracks.get(track);
  const time = at.timestamp + relative;
  at.recording.last = Math.max(at.recording.last, time);
  if (known === undefined) return;
  known.frames++;
  known.first = Math.min(known.first, time);
  known.last = Math.max(known.last, time);
}
