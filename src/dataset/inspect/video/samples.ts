import type { FileBytes } from '../byte-source.js';
import { formatCount, StructureError } from '../inspection-error.js';
import { type Box, firstBox } from '../isobmff.js';
import type { FrameWalk } from './frame-walk.js';
import type { MediaRanges } from './media-ranges.js';

const CURSOR_BYTES = 1 << 15;

/**
 * Follows a track's sample tables (ISO/IEC 14496-12, 8.5 to 8.7) and checks that every chunk of samples lies inside the
 * media data of the file, and each frame of a video. All tables are read at once in small pieces, so that memory does not
 * grow with them.
 *
 * @returns `timed`: how many samples the table of times has; `undefined` if it is empty
 * @throws StructureError
 */
export function checkSamples(
  file: FileBytes,
  table: Box,
  movie: { media: MediaRanges; walk: FrameWalk | undefined },
): { count: number; duration: number; timed: number | undefined } {
  const { media, walk } = movie;
  const sizes = sizesOf(file, table);
  if (sizes.uniform > 0 && sizes.count > file.size) {
    throw new StructureError(`is damaged: its tables list ${formatCount(sizes.count)} frames, more than it has bytes`);
  }
  const { duration, timed } = timesOf(file, table);
  if (sizes.count === 0) return { count: 0, duration, timed };
  if (walk !== undefined && timed === undefined)
    throw new StructureError('is damaged: its table of frame times is empty');
  const chunks = chunkOffsets(file, table);
  const runOf = chunkRuns(file, table);
  let sample = 0;
  for (let chunk = 0; chunk < chunks.count && sample < sizes.count; chunk++) {
    const start = chunks.at(chunk);
    const run = runOf(chunk);
    // FFmpeg also reads a file whose last chunk is said to have more samples than there are.
    const frames = Math.min(run.samples, sizes.count - sample);
    let bytes = frames * sizes.uniform;
    if (sizes.uniform === 0) for (let index = 0; index < frames; index++) bytes += sizes.at(sample + index);
    file.requireSize(start + bytes);
    if (!media.contains(start, start + bytes)) {
      throw new StructureError('is damaged: its tables point to frames outside the media data');
    }
    walk?.requireDescription(run.description);
    const check = walk?.checkFor(run.description);
    if (check !== undefined) {
      const first = sample;
      walk?.checkRun(check, { start, frames, bytesOf: (index) => sizes.uniform || sizes.at(first + index) });
    }
    sample += frames;
  }
  if (sample < sizes.count) {
    const frames = `${formatCount(sizes.count)} frames but locate only ${formatCount(sample)}`;
    throw new StructureError(`is damaged: its tables list ${frames}`);
  }
  return { count: sizes.count, duration, timed };
}

function sizesOf(file: FileBytes, table: Box): { count: number; uniform: number; at: (index: number) => number } {
  const box = firstBox(file, table, 'stsz') ?? firstBox(file, table, 'stz2');
  if (box === undefined) throw new StructureError('is damaged: its table of frame sizes is missing');
  const cursor = file.cursor(CURSOR_BYTES);
  const header = Buffer.from(cursor.at(box.payload, 12));
  const samples = header.readUInt32BE(8);
  const compact = box.type === 'stz2';
  const uniform = compact ? 0 : header.readUInt32BE(4);
  const bits = compact ? (header[7] ?? 0) : 32;
  const list = box.payload + 12;
  if (![4, 8, 16, 32].includes(bits)) throw new StructureError('is damaged: its table of frame sizes is invalid');
  if (uniform === 0) requireInside(box, list + (samples * bits) / 8);
  const at = (index: number): number => {
    if (bits === 32) return cursor.at(list + index * 4, 4).readUInt32BE(0);
    if (bits === 16) return cursor.at(list + index * 2, 2).readUInt16BE(0);
    const byte = cursor.at(list + ((index * bits) >> 3), 1)[0] ?? 0;
    return bits === 8 ? byte : index % 2 === 0 ? byte >> 4 : byte & 15;
  };
  return { count: samples, uniform, at };
}

function chunkOffsets(file: FileBytes, table: Box): { count: number; at: (index: number) => number } {
  const box = firstBox(file, table, 'stco') ?? firstBox(file, table, 'co64');
  const bytes = box?.type === 'stco' ? 4 : 8;
  const { count, entry } = openTable(file, box, { contents: 'frame positions', entryBytes: bytes });
  return {
    count,
    at: (index) => (bytes === 4 ? entry(index).readUInt32BE(0) : Number(entry(index).readBigUInt64BE(0))),
  };
}

/** The number of samples in each chunk, and of their description. Call it with chunk numbers in rising order, from 0. */
function chunkRuns(file: FileBytes, table: Box): (chunk: number) => { samples: number; description: number } {
  const { count, entry } = openTable(file, firstBox(file, table, 'stsc'), { contents: 'chunks', entryBytes: 12 });
  if (count === 0) throw new StructureError('is damaged: its table of chunks is empty');
  const firstChunk = (index: number) => entry(index).readUInt32BE(0) - 1;
  // FFmpeg opens no file of which the first chunk is not described.
  if (firstChunk(0) > 0) throw new StructureError('is damaged: its table of chunks does not begin with the first one');
  let run = 0;
  return (chunk) => {
    while (run + 1 < count && firstChunk(run + 1) <= chunk) run++;
    const fields = entry(run);
    return { samples: fields.readUInt32BE(4), description: fields.readUInt32BE(8) };
  };
}

/**
 * The duration of all samples, in units of the track's time scale. The table may time more or fewer samples than there are:
 * FFmpeg reads all of them, unless it is empty.
 *
 * @returns `timed`: how many samples it times; `undefined` if it is empty
 */
function timesOf(file: FileBytes, table: Box): { duration: number; timed: number | undefined } {
  const runs = openTable(file, firstBox(file, table, 'stts'), { contents: 'frame times', entryBytes: 8 });
  let [duration, timed] = [0, 0];
  for (let index = 0; index < runs.count; index++) {
    const run = runs.entry(index);
    timed += run.readUInt32BE(0);
    duration += run.readUInt32BE(0) * run.readUInt32BE(4);
  }
  return { duration, timed: runs.count > 0 ? timed : undefined };
}

/** Opens a table of entries of equal size, which follow their number. An entry is valid until the next one is read. */
export function openTable(
  file: FileBytes,
  box: Box | undefined,
  { contents, entryBytes }: { contents: string; entryBytes: number },
): { count: number; entry: (index: number) => Buffer } {
  if (box === undefined) throw new StructureError(`is damaged: its table of ${contents} is missing`);
  const cursor = file.cursor(CURSOR_BYTES);
  const count = cursor.at(box.payload + 4, 4).readUInt32BE(0);
  const list = box.payload + 8;
  requireInside(box, list + count * entryBytes);
  return { count, entry: (index) => cursor.at(list + index * entryBytes, entryBytes) };
}

function requireInside(box: Box, end: number): void {
  if (end > box.end) throw new StructureError(`is damaged: its ${box.type} table is longer than the box around it`);
}
