import type { FileBytes } from '../byte-source.js';
import { formatCount, StructureError, truncated } from '../inspection-error.js';
import { type Box, firstBox } from '../isobmff.js';

/** Sample entries whose samples never begin with sixteen zeros, and whether they are chains of lengths and units. */
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
/** Spread over the film; each costs one small read. */
const SAMPLES_LOOKED_INTO = 1000;
const CURSOR_BYTES = 1 << 15;

/**
 * Follows a track's sample tables (ISO/IEC 14496-12, 8.5 to 8.7) and checks that every chunk of samples lies inside the
 * media data of the file. The tables are read in small pieces side by side, whatever their size.
 *
 * @throws Damage
 */
export function checkSamples(
  file: FileBytes,
  table: Box,
  film: { media: readonly Box[]; codec: string },
): { count: number; duration: number } {
  const sizes = sizesOf(file, table);
  const duration = durationOf(file, table, sizes.count);
  if (sizes.count === 0) return { count: 0, duration };
  const chunks = chunkOffsets(file, table);
  const perChunk = samplesPerChunk(file, table);
  const inside = within(film.media);
  const look = KNOWN_STARTS[film.codec] === undefined ? undefined : looker(file, film.codec);
  const stride = Math.max(1, Math.ceil(sizes.count / SAMPLES_LOOKED_INTO));
  let sample = 0;
  let next = 0;
  for (let chunk = 0; chunk < chunks.count && sample < sizes.count; chunk++) {
    const start = chunks.at(chunk);
    const samples = Math.min(perChunk(chunk), sizes.count - sample);
    let end = start;
    if (sizes.uniform > 0) {
      end += samples * sizes.uniform;
      if (look !== undefined && end <= file.size && sizes.uniform > 0) look(start, sizes.uniform);
    } else {
      for (let index = 0; index < samples; index++) {
        const bytes = sizes.at(sample + index);
        if (look !== undefined && sample + index >= next && end + bytes <= file.size) {
          next += stride;
          look(end, bytes);
        }
        end += bytes;
      }
    }
    if (end > file.size) throw truncated({ needed: end, size: file.size, what: 'a frame in its tables' });
    if (!inside(start, end)) throw new StructureError('is damaged: its tables point to frames outside the media data');
    sample += samples;
  }
  if (sample < sizes.count) {
    throw new StructureError(
      `is damaged: its tables promise ${formatCount(sizes.count)} frames and place only ${formatCount(sample)}`,
    );
  }
  return { count: sizes.count, duration };
}

/** Whether a range lies in one of the `mdat` boxes; the one hit last is tried first, since chunks follow each other. */
function within(media: readonly Box[]): (start: number, end: number) => boolean {
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
  if (box === undefined) throw new StructureError('is damaged: the table of frame sizes is missing');
  const cursor = file.cursor(CURSOR_BYTES);
  const header = Buffer.from(cursor.at(box.payload, 12));
  const samples = header.readUInt32BE(8);
  const compact = box.type === 'stz2';
  const uniform = compact ? 0 : header.readUInt32BE(4);
  const bits = compact ? (header[7] ?? 0) : 32;
  const list = box.payload + 12;
  if (![4, 8, 16, 32].includes(bits)) throw new StructureError('is damaged: its table of frame sizes makes no sense');
  if (uniform === 0) fitIn(box, list + (samples * bits) / 8);
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
  if (box === undefined) throw new StructureError('is damaged: the table of places is missing');
  const cursor = file.cursor(CURSOR_BYTES);
  const chunks = cursor.at(box.payload + 4, 4).readUInt32BE(0);
  const bytes = box.type === 'stco' ? 4 : 8;
  const list = box.payload + 8;
  fitIn(box, list + chunks * bytes);
  const at = (index: number): number => {
    const entry = cursor.at(list + index * bytes, bytes);
    return bytes === 4 ? entry.readUInt32BE(0) : Number(entry.readBigUInt64BE(0));
  };
  return { count: chunks, at };
}

/** How many samples each chunk has; to be asked for rising chunk numbers, from 0. */
function samplesPerChunk(file: FileBytes, table: Box): (chunk: number) => number {
  const box = firstBox(file, table, 'stsc');
  if (box === undefined) throw new StructureError('is damaged: the table of chunks is missing');
  const cursor = file.cursor(CURSOR_BYTES);
  const runs = cursor.at(box.payload + 4, 4).readUInt32BE(0);
  const list = box.payload + 8;
  fitIn(box, list + runs * 12);
  if (runs === 0) throw new StructureError('is damaged: the table of chunks is empty');
  let run = 0;
  const firstChunk = (index: number) => cursor.at(list + index * 12, 4).readUInt32BE(0) - 1;
  return (chunk) => {
    while (run + 1 < runs && firstChunk(run + 1) <= chunk) run++;
    return cursor.at(list + run * 12 + 4, 4).readUInt32BE(0);
  };
}

/** In units of the track's time scale. */
function durationOf(file: FileBytes, table: Box, samples: number): number {
  const box = firstBox(file, table, 'stts');
  if (box === undefined) throw new StructureError('is damaged: the table of times is missing');
  const cursor = file.cursor(CURSOR_BYTES);
  const runs = cursor.at(box.payload + 4, 4).readUInt32BE(0);
  const list = box.payload + 8;
  fitIn(box, list + runs * 8);
  let [timed, duration] = [0, 0];
  for (let run = 0; run < runs; run++) {
    const entry = cursor.at(list + run * 8, 8);
    timed += entry.readUInt32BE(0);
    duration += entry.readUInt32BE(0) * entry.readUInt32BE(4);
  }
  if (timed < samples) {
    throw new StructureError(
      `is damaged: it has ${formatCount(samples)} frames and times for only ${formatCount(timed)}`,
    );
  }
  return duration;
}

function fitIn(box: Box, end: number): void {
  if (end > box.end) throw new StructureError(`is damaged: its ${box.type} table is longer than the box it is in`);
}

/** Looks at the first bytes of a sample: a download with holes in it has zeros there. @throws Damage */
function looker(file: FileBytes, codec: string): (start: number, bytes: number) => void {
  const cursor = file.cursor(512);
  return (start, bytes) => {
    const head = cursor.upTo(start, Math.min(bytes, 16));
    if (head.length < 8) return;
    if (head.every((byte) => byte === 0)) {
      throw new StructureError(`is damaged: from byte ${formatCount(start)} on it holds zeros where a frame should be`);
    }
    // Four bytes of length are what everybody writes; other lengths are rare and then not judged.
    if (KNOWN_STARTS[codec] === 'units' && head[0] === 0 && head.readUInt32BE(0) > bytes) {
      throw new StructureError(`is damaged: at byte ${formatCount(start)} there is something else than a frame`);
    }
  };
}
