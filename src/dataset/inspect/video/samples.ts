import type { FileBytes } from '../byte-source.js';
import { formatCount, StructureError } from '../inspection-error.js';
import { type Box, firstBox } from '../isobmff.js';

/**
 * Codecs whose samples never begin with sixteen zero bytes, by the type of the sample entry. `units`: each sample consists
 * of NAL units, each after its length.
 */
const KNOWN_STARTS: Record<string, 'units' | 'bytes'> = {
  avc1: 'units',
  avc3: 'units',
  hvc1: 'units',
  hev1: 'units',
  vp08: 'bytes',
  vp09: 'bytes',
  av01: 'bytes',
  mp4v: 'bytes',
};
/** The samples whose first bytes are read, spread over the video. Each costs one small read. */
const MAX_SAMPLES_READ = 1000;
const CURSOR_BYTES = 1 << 15;

/**
 * Follows a track's sample tables (ISO/IEC 14496-12, 8.5 to 8.7) and checks that every chunk of samples lies inside the
 * media data of the file. All tables are read at once in small pieces, so that memory does not grow with them.
 *
 * @throws StructureError
 */
export function checkSamples(
  file: FileBytes,
  table: Box,
  movie: { media: readonly Box[]; codec: string },
): { count: number; duration: number } {
  const sizes = sizesOf(file, table);
  const duration = durationOf(file, table, sizes.count);
  if (sizes.count === 0) return { count: 0, duration };
  const chunks = chunkOffsets(file, table);
  const perChunk = samplesPerChunk(file, table);
  const isInside = insideOf(movie.media);
  const checkStart = KNOWN_STARTS[movie.codec] === undefined ? undefined : startCheckOf(file, movie.codec);
  const stride = Math.max(1, Math.ceil(sizes.count / MAX_SAMPLES_READ));
  let sample = 0;
  let nextChecked = 0;
  for (let chunk = 0; chunk < chunks.count && sample < sizes.count; chunk++) {
    const start = chunks.at(chunk);
    const samples = Math.min(perChunk(chunk), sizes.count - sample);
    let end = start;
    if (sizes.uniform > 0) {
      end += samples * sizes.uniform;
      if (checkStart !== undefined && end <= file.size) checkStart(start, sizes.uniform);
    } else {
      for (let index = 0; index < samples; index++) {
        const bytes = sizes.at(sample + index);
        if (checkStart !== undefined && sample + index >= nextChecked && end + bytes <= file.size) {
          nextChecked += stride;
          checkStart(end, bytes);
        }
        end += bytes;
      }
    }
    file.requireSize(end);
    if (!isInside(start, end)) {
      throw new StructureError('is damaged: its tables point to frames outside the media data');
    }
    sample += samples;
  }
  if (sample < sizes.count) {
    const frames = `${formatCount(sizes.count)} frames but locate only ${formatCount(sample)}`;
    throw new StructureError(`is damaged: its tables list ${frames}`);
  }
  return { count: sizes.count, duration };
}

/** Returns whether a range lies inside one of the `mdat` boxes. Tries the last match first, since chunks follow each other. */
function insideOf(media: readonly Box[]): (start: number, end: number) => boolean {
  let last = media[0];
  return (start, end) => {
    if (last !== undefined && start >= last.payload && end <= last.end) return true;
    const found = media.find((box) => start >= box.payload && end <= box.end);
    last = found ?? last;
    return found !== undefined;
  };
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

/** The number of samples in each chunk. Call it with chunk numbers in rising order, from 0. */
function samplesPerChunk(file: FileBytes, table: Box): (chunk: number) => number {
  const { count, entry } = openTable(file, firstBox(file, table, 'stsc'), { contents: 'chunks', entryBytes: 12 });
  if (count === 0) throw new StructureError('is damaged: its table of chunks is empty');
  let run = 0;
  const firstChunk = (index: number) => entry(index).readUInt32BE(0) - 1;
  return (chunk) => {
    while (run + 1 < count && firstChunk(run + 1) <= chunk) run++;
    return entry(run).readUInt32BE(4);
  };
}

/** The duration of all samples, in units of the track's time scale. */
function durationOf(file: FileBytes, table: Box, samples: number): number {
  const runs = openTable(file, firstBox(file, table, 'stts'), { contents: 'frame times', entryBytes: 8 });
  let [timed, duration] = [0, 0];
  for (let index = 0; index < runs.count; index++) {
    const run = runs.entry(index);
    timed += run.readUInt32BE(0);
    duration += run.readUInt32BE(0) * run.readUInt32BE(4);
  }
  if (timed < samples) {
    const frames = `${formatCount(samples)} frames but times for only ${formatCount(timed)}`;
    throw new StructureError(`is damaged: it has ${frames}`);
  }
  return duration;
}

/** Opens a table of entries of equal size, which follow their number. An entry is valid until the next one is read. */
function openTable(
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

/** Checks the first bytes of a sample: an incomplete download has zeros there. */
function startCheckOf(file: FileBytes, codec: string): (start: number, bytes: number) => void {
  const cursor = file.cursor(512);
  return (start, bytes) => {
    const head = cursor.upTo(start, Math.min(bytes, 16));
    if (head.length < 8) return;
    if (head.every((byte) => byte === 0)) {
      throw new StructureError(`is damaged: at byte ${formatCount(start)} it has zeros instead of a frame`);
    }
    // Nearly all writers use lengths of four bytes; files with shorter ones are not checked.
    if (KNOWN_STARTS[codec] === 'units' && head[0] === 0 && head.readUInt32BE(0) > bytes) {
      throw new StructureError(`is damaged: at byte ${formatCount(start)} it has other data instead of a frame`);
    }
  };
}
