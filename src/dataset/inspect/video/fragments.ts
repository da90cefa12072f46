import type { FileBytes } from '../byte-source.js';
import { StructureError } from '../inspection-error.js';
import { type Box, type BoxRange, boxesOf, firstBox, uintAt } from '../isobmff.js';
import type { FrameCheck } from './codec/frame-check.js';
import type { FrameWalk } from './frame-walk.js';
import type { MediaRanges } from './media-ranges.js';

/** The defaults for a track's samples in fragments (`trex`). */
export interface SampleDefaults {
  /** In units of the track's time scale. */
  readonly duration: number;
  readonly bytes: number;
  /** The number of the description of the samples, from 1. */
  readonly description: number;
}

/** A track that the header of the movie declares, and what its fragments add up to. */
export interface FragmentedTrack {
  readonly defaults: SampleDefaults;
  readonly walk: FrameWalk | undefined;
  samples: number;
  duration: number;
  /** The times at which the first of its samples in fragments is shown and the last one ends, without an edit list. */
  starts: number | undefined;
  ends: number;
}

const BASE_OFFSET = 0x1;
const DESCRIPTION = 0x2;
const DEFAULT_DURATION = 0x8;
const DEFAULT_BYTES = 0x10;
const DATA_OFFSET = 0x1;
const FIRST_FLAGS = 0x4;
const SAMPLE_DURATION = 0x100;
const SAMPLE_BYTES = 0x200;
const SAMPLE_FLAGS = 0x400;
const SAMPLE_COMPOSITION = 0x800;

/**
 * Reads one movie fragment (ISO/IEC 14496-12, 8.8), adds its samples to its tracks, checks that they lie inside the media
 * data of the file, and checks each frame of the video.
 *
 * @throws StructureError
 */
export function readFragment(
  file: FileBytes,
  fragment: BoxRange & { readonly start: number },
  movie: { tracks: ReadonlyMap<number, FragmentedTrack>; media: MediaRanges },
): void {
  // A run without an offset begins at the end of the run before it, even if that belongs to another track.
  let end = fragment.start;
  for (const traf of boxesOf(file, fragment)) {
    if (traf.type !== 'traf') continue;
    const header = firstBox(file, traf, 'tfhd');
    if (header === undefined) throw new StructureError('is damaged: one of its fragments belongs to no track');
    const { track, base, defaults } = readTrackHeader(file, header, { fragment, tracks: movie.tracks });
    let time = track && (decodeTime(file, traf) ?? track.ends);
    const check = track?.walk && (track.walk.checkFor(defaults.description) ?? track.walk.checkFor(1));
    for (const run of boxesOf(file, traf)) {
      if (run.type !== 'trun') continue;
      const samples = readRun(file, run, defaults);
      const start = samples.offset === undefined ? end : base + samples.offset;
      end = start + samples.bytes;
      if (start < 0) throw outside();
      file.requireSize(end);
      if (samples.bytes > 0 && !movie.media.contains(start, end)) throw outside();
      if (track === undefined || time === undefined) continue;
      track.samples += samples.count;
      track.duration += samples.duration;
      track.starts ??= time + samples.firstOffset;
      time += samples.duration;
      track.ends = time;
      if (check !== undefined) checkFrames(track.walk, check, { start, ...samples });
    }
  }
}

/** The time of the first sample of a fragment; `undefined` if it follows the fragment before it. */
function decodeTime(file: FileBytes, traf: Box): number | undefined {
  const box = firstBox(file, traf, 'tfdt');
  return box && uintAt(file, box.payload + 4, file.at(box.payload, 1)[0] === 1 ? 8 : 4);
}

function outside(): StructureError {
  return new StructureError('is damaged: one of its fragments points outside the media data');
}

function checkFrames(
  walk: FrameWalk | undefined,
  check: FrameCheck,
  run: { start: number; count: number; bytes: number; bytesOf: (index: number) => number },
): void {
  if (run.bytes > 0) walk?.checkRun(check, { start: run.start, frames: run.count, bytesOf: run.bytesOf });
}

function readTrackHeader(
  file: FileBytes,
  header: Box,
  context: { fragment: { readonly start: number }; tracks: ReadonlyMap<number, FragmentedTrack> },
) {
  const flags = file.at(header.payload + 1, 3).readUIntBE(0, 3);
  const track = context.tracks.get(uintAt(file, header.payload + 4, 4));
  let at = header.payload + 8;
  let base = context.fragment.start;
  let { duration, bytes, description } = track?.defaults ?? NO_DEFAULTS;
  if ((flags & BASE_OFFSET) !== 0) {
    base = uintAt(file, at, 8);
    at += 8;
  }
  if ((flags & DESCRIPTION) !== 0) {
    description = uintAt(file, at, 4);
    at += 4;
  }
  if ((flags & DEFAULT_DURATION) !== 0) {
    duration = uintAt(file, at, 4);
    at += 4;
  }
  if ((flags & DEFAULT_BYTES) !== 0) bytes = uintAt(file, at, 4);
  return { track, base, defaults: { duration, bytes, description } };
}

export const NO_DEFAULTS: SampleDefaults = { duration: 0, bytes: 0, description: 1 };

function readRun(wholeFile: FileBytes, run: Box, defaults: SampleDefaults) {
  const flags = wholeFile.at(run.payload + 1, 3).readUIntBE(0, 3);
  const count = uintAt(wholeFile, run.payload + 4, 4);
  let at = run.payload + 8;
  let offset: number | undefined;
  if ((flags & DATA_OFFSET) !== 0) {
    offset = wholeFile.at(at, 4).readInt32BE(0);
    at += 4;
  }
  if ((flags & FIRST_FLAGS) !== 0) at += 4;
  const hasDurations = (flags & SAMPLE_DURATION) !== 0;
  const hasSizes = (flags & SAMPLE_BYTES) !== 0;
  const hasOffsets = (flags & SAMPLE_COMPOSITION) !== 0;
  const fields = [hasDurations, hasSizes, (flags & SAMPLE_FLAGS) !== 0, hasOffsets];
  const entryBytes = 4 * fields.filter(Boolean).length;
  const list = at;
  if (list + count * entryBytes > run.end) {
    throw new StructureError('is damaged: one of its fragments is shorter than its list of frames');
  }
  const sizeAt = hasDurations ? 4 : 0;
  const bytesOf = (index: number): number =>
    hasSizes ? wholeFile.at(list + index * entryBytes + sizeAt, 4).readUInt32BE(0) : defaults.bytes;
  const firstOffset = hasOffsets && count > 0 ? wholeFile.at(list + entryBytes - 4, 4).readInt32BE(0) : 0;
  if (!hasDurations && !hasSizes) {
    return { offset, count, bytes: count * defaults.bytes, duration: count * defaults.duration, bytesOf, firstOffset };
  }
  let [bytes, duration] = [0, 0];
  for (let sample = 0; sample < count; sample++) {
    const entry = wholeFile.at(list + sample * entryBytes, entryBytes);
    duration += hasDurations ? entry.readUInt32BE(0) : defaults.duration;
    bytes += hasSizes ? entry.readUInt32BE(sizeAt) : defaults.bytes;
  }
  return { offset, count, bytes, duration, bytesOf, firstOffset };
}
