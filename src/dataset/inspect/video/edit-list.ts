import type { FileBytes } from '../byte-source.js';
import { type Box, firstBox, uintAt } from '../isobmff.js';
import { openTable } from './samples.js';

/** Encoders write one edit, or two with a pause before it. */
const MAX_EDITS = 16;

interface TrackTimes {
  readonly count: number;
  /** Units a second, of the track. */
  readonly timescale: number;
  /** Units a second, of the durations of edits. */
  readonly movieTimescale: number;
}

/**
 * The frames of a track that its edit list (ISO/IEC 14496-12, 8.6.6) leaves out: those shown before its first time and from its
 * last time on. Camera apps trim a clip this way, and ffmpeg when it copies a part. 0 for a list of several parts of the clip.
 */
export function hiddenFramesOf(
  file: FileBytes,
  boxes: { track: Box; table: Box },
  { count, timescale, movieTimescale }: TrackTimes,
): number {
  const shown = shownPart(file, boxes.track);
  if (shown === undefined || timescale === 0 || movieTimescale === 0) return 0;
  const { start, duration } = shown;
  const end = duration === 0 ? Number.POSITIVE_INFINITY : start + (duration / movieTimescale) * timescale;
  const offsets = firstBox(file, boxes.table, 'ctts');
  const offsetOf =
    offsets === undefined ? () => 0 : valuesIn(file, offsets, { contents: 'frame offsets', isSigned: true });
  const durationOf = valuesIn(file, firstBox(file, boxes.table, 'stts'), { contents: 'frame times', isSigned: false });
  let [decodedAt, hidden] = [0, 0];
  for (let sample = 0; sample < count; sample++) {
    const shownAt = decodedAt + offsetOf();
    if (shownAt < start || shownAt >= end) hidden++;
    decodedAt += durationOf();
  }
  return hidden;
}

/** The time of a track at which its edit list begins, in units of the track; 0 without one. */
export function shownFrom(file: FileBytes, track: Box): number {
  return shownPart(file, track)?.start ?? 0;
}

/** The only part of a track that is shown, in units of the track and of the movie; `undefined` if it has none or several. */
function shownPart(file: FileBytes, track: Box): { start: number; duration: number } | undefined {
  const edits = firstBox(file, track, 'edts');
  const list = edits && firstBox(file, edits, 'elst');
  if (list === undefined || list.end - list.payload < 8) return undefined;
  const isLong = file.at(list.payload, 1)[0] === 1;
  const bytes = isLong ? 8 : 4;
  const count = uintAt(file, list.payload + 4, 4);
  const parts: { start: number; duration: number }[] = [];
  for (let edit = 0; edit < Math.min(count, MAX_EDITS); edit++) {
    const at = list.payload + 8 + edit * (2 * bytes + 4);
    if (at + 2 * bytes + 4 > list.end) return undefined;
    const start = isLong ? Number(file.at(at + 8, 8).readBigInt64BE(0)) : file.at(at + 4, 4).readInt32BE(0);
    // A time of −1 is a pause.
    if (start >= 0) parts.push({ start, duration: uintAt(file, at, bytes) });
  }
  return parts.length === 1 ? parts[0] : undefined;
}

/** Reads a table of runs of equal values: each call returns the value of the next sample, and the last one from its end on. */
function valuesIn(
  file: FileBytes,
  box: Box | undefined,
  { contents, isSigned }: { contents: string; isSigned: boolean },
): () => number {
  const { count, entry } = openTable(file, box, { contents, entryBytes: 8 });
  let [run, left, value] = [0, 0, 0];
  return () => {
    while (left === 0 && run < count) {
      const fields = entry(run++);
      left = fields.readUInt32BE(0);
      value = isSigned ? fields.readInt32BE(4) : fields.readUInt32BE(4);
    }
    if (left > 0) left--;
    return value;
  };
}
