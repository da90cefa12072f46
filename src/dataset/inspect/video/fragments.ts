import type { FileBytes } from '../byte-source.js';
import { StructureError, truncated } from '../inspection-error.js';
import { type Box, boxesOf, firstBox } from '../isobmff.js';

/** What holds for a track's samples where a fragment says nothing else (`trex`). */
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
 * file's media data.
 *
 * @throws Damage
 */
export function readFragment(
  file: FileBytes,
  fragment: Box,
  film: { defaults: ReadonlyMap<number, TrackDefaults>; totals: Map<number, FragmentTotals>; media: readonly Box[] },
): void {
  // Without an offset of its own, a run goes on where the one before it ended, in whatever track that was.
  let end = fragment.start;
  for (const traf of boxesOf(file, { start: fragment.payload, end: fragment.end })) {
    if (traf.type !== 'traf') continue;
    const header = firstBox(file, traf, 'tfhd');
    if (header === undefined) throw new StructureError('is damaged: one of its fragments belongs to no track');
    const { track, base, defaults } = readHeader(file, header, { fragment, defaults: film.defaults });
    const totals = film.totals.get(track) ?? { samples: 0, duration: 0 };
    film.totals.set(track, totals);
    for (const run of boxesOf(file, { start: traf.payload, end: traf.end })) {
      if (run.type !== 'trun') continue;
      const found = readRun(file, run, defaults);
      const start = found.offset === undefined ? end : base + found.offset;
      end = start + found.bytes;
      if (end > file.size) throw truncated({ needed: end, size: file.size, what: 'a fragment of it' });
      if (!film.media.some((box) => start >= box.payload && end <= box.end) && found.bytes > 0) {
        throw new StructureError('is damaged: a fragment of it points outside the media data');
      }
      totals.samples += found.samples;
      totals.duration += found.duration;
    }
  }
}

function readHeader(
  file: FileBytes,
  header: Box,
  film: { fragment: Box; defaults: ReadonlyMap<number, TrackDefaults> },
) {
  const flags = file.at(header.payload + 1, 3).readUIntBE(0, 3);
  const track = file.at(header.payload + 4, 4).readUInt32BE(0);
  let at = header.payload + 8;
  let base = film.fragment.start;
  let { duration, bytes } = film.defaults.get(track) ?? { duration: 0, bytes: 0 };
  if ((flags & BASE_OFFSET) !== 0) {
    base = Number(file.at(at, 8).readBigUInt64BE(0));
    at += 8;
  }
  if ((flags & DESCRIPTION) !== 0) at += 4;
  if ((flags & DEFAULT_DURATION) !== 0) {
    duration = file.at(at, 4).readUInt32BE(0);
    at += 4;
  }
  if ((flags & DEFAULT_BYTES) !== 0) bytes = file.at(at, 4).readUInt32BE(0);
  return { track, base, defaults: { duration, bytes } };
}

function readRun(file: FileBytes, run: Box, defaults: TrackDefaults) {
  const flags = file.at(run.payload + 1, 3).readUIntBE(0, 3);
  const samples = file.at(run.payload + 4, 4).readUInt32BE(0);
  let at = run.payload + 8;
  let offset: number | undefined;
  if ((flags & DATA_OFFSET) !== 0) {
    offset = file.at(at, 4).readInt32BE(0);
    at += 4;
  }
  if ((flags & FIRST_FLAGS) !== 0) at += 4;
  const durations = (flags & SAMPLE_DURATION) !== 0;
  const sizes = (flags & SAMPLE_BYTES) !== 0;
  const fields = [durations, sizes, (flags & SAMPLE_FLAGS) !== 0, (flags & SAMPLE_COMPOSITION) !== 0];
  const entryBytes = 4 * fields.filter(Boolean).length;
  if (at + samples * entryBytes > run.end)
    throw new StructureError('is damaged: a fragment lists more frames than it can');
  if (!durations && !sizes)
    return { offset, samples, bytes: samples * defaults.bytes, duration: samples * defaults.duration };
  let [bytes, duration] = [0, 0];
  for (let sample = 0; sample < samples; sample++, at += entryBytes) {
    const entry = file.at(at, entryBytes);
    duration += durations ? entry.readUInt32BE(0) : defaults.duration;
    bytes += sizes ? entry.readUInt32BE(durations ? 4 : 0) : defaults.bytes;
  }
  return { offset, samples, bytes, duration };
}
