import type { FileBytes } from '../byte-source.js';
import { StructureError } from '../inspection-error.js';
import { type Box, boxesOf, firstBox, uintAt } from '../isobmff.js';

/** The defaults for a track's samples in fragments (`trex`). */
export interface TrackDefaults {
  /** In units of the track's time scale. */
  readonly duration: number;
  readonly bytes: number;
}

export interface FragmentTotals {
  samples: number;
  duration: number;
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
 * Reads one movie fragment (ISO/IEC 14496-12, 8.8), adds its samples to the totals, and checks that they lie inside the
 * media data of the file.
 *
 * @throws StructureError
 */
export function readFragment(
  file: FileBytes,
  fragment: Box,
  movie: { defaults: ReadonlyMap<number, TrackDefaults>; totals: Map<number, FragmentTotals>; media: readonly Box[] },
): void {
  // A run without an offset begins at the end of the run before it, even if that belongs to another track.
  let end = fragment.start;
  for (const traf of boxesOf(file, fragment)) {
    if (traf.type !== 'traf') continue;
    const header = firstBox(file, traf, 'tfhd');
    if (header === undefined) throw new StructureError('is damaged: one of its fragments belongs to no track');
    const { track, base, defaults } = readTrackHeader(file, header, { fragment, defaults: movie.defaults });
    const totals = movie.totals.get(track) ?? { samples: 0, duration: 0 };
    movie.totals.set(track, totals);
    for (const run of boxesOf(file, traf)) {
      if (run.type !== 'trun') continue;
      const samples = readRun(file, run, defaults);
      const start = samples.offset === undefined ? end : base + samples.offset;
      end = start + samples.bytes;
      file.requireSize(end);
      if (!movie.media.some((box) => start >= box.payload && end <= box.end) && samples.bytes > 0) {
        throw new StructureError('is damaged: one of its fragments points outside the media data');
      }
      totals.samples += samples.count;
      totals.duration += samples.duration;
    }
  }
}

function readTrackHeader(
  file: FileBytes,
  header: Box,
  context: { fragment: Box; defaults: ReadonlyMap<number, TrackDefaults> },
) {
  const flags = file.at(header.payload + 1, 3).readUIntBE(0, 3);
  const track = uintAt(file, header.payload + 4, 4);
  let at = header.payload + 8;
  let base = context.fragment.start;
  let { duration, bytes } = context.defaults.get(track) ?? { duration: 0, bytes: 0 };
  if ((flags & BASE_OFFSET) !== 0) {
    base = uintAt(file, at, 8);
    at += 8;
  }
  if ((flags & DESCRIPTION) !== 0) at += 4;
  if ((flags & DEFAULT_DURATION) !== 0) {
    duration = uintAt(file, at, 4);
    at += 4;
  }
  if ((flags & DEFAULT_BYTES) !== 0) bytes = uintAt(file, at, 4);
  return { track, base, defaults: { duration, bytes } };
}

function readRun(file: FileBytes, run: Box, defaults: TrackDefaults) {
  const flags = file.at(run.payload + 1, 3).readUIntBE(0, 3);
  const count = uintAt(file, run.payload + 4, 4);
  let at = run.payload + 8;
  let offset: number | undefined;
  if ((flags & DATA_OFFSET) !== 0) {
    offset = file.at(at, 4).readInt32BE(0);
    at += 4;
  }
  if ((flags & FIRST_FLAGS) !== 0) at += 4;
  const hasDurations = (flags & SAMPLE_DURATION) !== 0;
  const hasSizes = (flags & SAMPLE_BYTES) !== 0;
  const fields = [hasDurations, hasSizes, (flags & SAMPLE_FLAGS) !== 0, (flags & SAMPLE_COMPOSITION) !== 0];
  const entryBytes = 4 * fields.filter(Boolean).length;
  if (at + count * entryBytes > run.end) {
    throw new StructureError('is damaged: one of its fragments is shorter than its list of frames');
  }
  if (!hasDurations && !hasSizes) {
    return { offset, count, bytes: count * defaults.bytes, duration: count * defaults.duration };
  }
  let [bytes, duration] = [0, 0];
  for (let sample = 0; sample < count; sample++, at += entryBytes) {
    const entry = file.at(at, entryBytes);
    duration += hasDurations ? entry.readUInt32BE(0) : defaults.duration;
    bytes += hasSizes ? entry.readUInt32BE(hasDurations ? 4 : 0) : defaults.bytes;
  }
  return { offset, count, bytes, duration };
}
