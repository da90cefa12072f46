/*
 * Checks the structure of MP4 and QuickTime files. mediabunny (1.61.0) reads both, but trusts the sample tables: of a clip
 * of 15 frames it reports 15 packets, without an error, if the file is cut to 40 % of its bytes, if the tables point outside
 * the media data, and if there are zeros instead of frames.
 */
import type { FileBytes } from '../byte-source.js';
import { formatCount, StructureError, truncation } from '../inspection-error.js';
import { type Box, boxesOf, firstBox, requiredBox, uintAt } from '../isobmff.js';
import { type FragmentTotals, readFragment, type TrackDefaults } from './fragments.js';
import { checkSamples } from './samples.js';
import type { Movie, Track } from './video-facts.js';

/** Ten hours of video have 20 MB of tables. A file with more than this is an attack, or too long for training. */
const MAX_MOOV_BYTES = 256 << 20;
const MAX_TRACKS = 256;
/** Durations in headers are rounded by less than this; truncation between two fragments loses more. */
const TOLERANCE_SECONDS = 0.5;

/** The boxes at the top level of the file. */
interface Layout {
  moov: Box | undefined;
  readonly media: Box[];
  readonly fragments: Box[];
  /** The end of the last segment that an index (`sidx`) lists; 0 without an index. */
  indexedEnd: number;
}

/**
 * Checks that every box of an MP4 or QuickTime file lies inside the file, and every sample of every track inside its media
 * data.
 *
 * @throws StructureError
 */
export function readMp4(file: FileBytes): Movie {
  const layout = readLayout(file);
  const { moov, fragments } = layout;
  if (moov === undefined) {
    throw truncation('its "moov" box, which describes the video and is often the last one, is missing');
  }
  if (moov.end - moov.payload > MAX_MOOV_BYTES) {
    const bytes = formatCount(moov.end - moov.payload);
    throw new StructureError(`has ${bytes} bytes of tables, more than a training clip needs`);
  }
  if (layout.indexedEnd > file.size) {
    const missing = formatCount(layout.indexedEnd - file.size);
    throw truncation(`its index lists ${missing} bytes more than the file has`);
  }
  const movie = firstBox(file, moov, 'mvhd');
  if (movie === undefined) throw new StructureError('is damaged: its mvhd box, the header of the video, is missing');
  const header = timing(file, movie);
  const defaults = trackDefaults(file, moov);
  const totals = new Map<number, FragmentTotals>();
  for (const fragment of fragments) readFragment(file, fragment, { defaults, totals, media: layout.media });
  const tracks: Track[] = [];
  let seconds = 0;
  let samplesInTables = 0;
  for (const box of boxesOf(file, moov)) {
    if (box.type !== 'trak') continue;
    if (tracks.length >= MAX_TRACKS) throw new StructureError('is damaged: it has hundreds of tracks');
    const { track, tableSamples } = readTrack(file, box, { layout, totals });
    tracks.push(track);
    samplesInTables += tableSamples;
    if (track.kind === 'video') seconds = Math.max(seconds, track.seconds);
  }
  checkFragmentDuration(file, moov, { timescale: header.timescale, seconds });
  // Of a file with samples both in its tables and in fragments, mediabunny lists only those in the tables.
  const isHybrid = fragments.length > 0 && samplesInTables > 0;
  const headerBytes = moov.end - moov.payload;
  return { tracks, durationSeconds: seconds, headerBytes, isListable: !isHybrid };
}

function readLayout(file: FileBytes): Layout {
  const layout: Layout = { moov: undefined, media: [], fragments: [], indexedEnd: 0 };
  for (const box of boxesOf(file, { payload: 0, end: file.size })) {
    if (box.type === 'moov') layout.moov ??= box;
    if (box.type === 'mdat') layout.media.push(box);
    if (box.type === 'moof') layout.fragments.push(box);
    if (box.type === 'sidx') layout.indexedEnd = Math.max(layout.indexedEnd, indexedEndOf(file, box));
  }
  return layout;
}

/** The end of the last segment that a segment index lists (ISO/IEC 14496-12, 8.16.3). */
function indexedEndOf(file: FileBytes, box: Box): number {
  const version = file.at(box.payload, 1)[0] ?? 0;
  const at = box.payload + 12;
  const first = version === 0 ? uintAt(file, at + 4, 4) : uintAt(file, at + 8, 8);
  const list = at + (version === 0 ? 8 : 16);
  const references = file.at(list + 2, 2).readUInt16BE(0);
  let end = box.end + first;
  for (let reference = 0; reference < references; reference++) {
    end += uintAt(file, list + 4 + reference * 12, 4) & 0x7fffffff;
  }
  return end;
}

/** Reads the time fields, which `mvhd` and `mdhd` have in the same places. */
function timing(file: FileBytes, box: Box): { timescale: number; duration: number } {
  const isLong = file.at(box.payload, 1)[0] === 1;
  const at = box.payload + (isLong ? 20 : 12);
  return { timescale: uintAt(file, at, 4), duration: uintAt(file, at + 4, isLong ? 8 : 4) };
}

function trackDefaults(file: FileBytes, moov: Box): Map<number, TrackDefaults> {
  const defaults = new Map<number, TrackDefaults>();
  const extension = firstBox(file, moov, 'mvex');
  if (extension === undefined) return defaults;
  for (const box of boxesOf(file, extension)) {
    if (box.type !== 'trex') continue;
    const bytes = file.at(box.payload + 4, 20);
    defaults.set(bytes.readUInt32BE(0), { duration: bytes.readUInt32BE(8), bytes: bytes.readUInt32BE(12) });
  }
  return defaults;
}

function readTrack(
  file: FileBytes,
  box: Box,
  movie: { layout: Layout; totals: ReadonlyMap<number, FragmentTotals> },
): { track: Track; tableSamples: number } {
  const header = requiredBox(file, box, 'tkhd');
  const isLong = file.at(header.payload, 1)[0] === 1;
  const id = uintAt(file, header.payload + (isLong ? 20 : 12), 4);
  const media = requiredBox(file, box, 'mdia');
  const { timescale, duration } = timing(file, requiredBox(file, media, 'mdhd'));
  const handler = file.at(requiredBox(file, media, 'hdlr').payload + 8, 4).toString('latin1');
  const kind = handler === 'vide' ? 'video' : handler === 'soun' ? 'audio' : 'other';
  const table = requiredBox(file, requiredBox(file, media, 'minf'), 'stbl');
  const { payload, end } = requiredBox(file, table, 'stsd');
  const codec = end - payload >= 16 ? file.at(payload + 12, 4).toString('latin1') : '';
  const samples = checkSamples(file, table, { media: movie.layout.media, codec });
  const fragments = movie.totals.get(id) ?? { samples: 0, duration: 0 };
  // With fragments, the duration in the header may cover all samples, only those in the tables, or none.
  const isFragmented = movie.layout.fragments.length > 0;
  const covered = isFragmented ? samples.duration + fragments.duration : duration || samples.duration;
  return {
    track: {
      kind,
      codec,
      frames: samples.count + fragments.samples,
      seconds: timescale > 0 ? covered / timescale : 0,
      ...displaySize(file, header),
    },
    tableSamples: samples.count,
  };
}

/** The width and height at the end of `tkhd` (16.16 fixed point), swapped if its matrix turns the video by 90°. */
function displaySize(file: FileBytes, header: Box): { width: number; height: number } {
  const bytes = file.at(header.end - 44, 44);
  const [width, height] = [bytes.readUInt16BE(36), bytes.readUInt16BE(40)];
  const isTurned = bytes.readInt32BE(0) === 0 && bytes.readInt32BE(16) === 0;
  return isTurned ? { width: height, height: width } : { width, height };
}

/** Detects truncation between two fragments, if the header gives the duration of all fragments (`mehd`). */
function checkFragmentDuration(file: FileBytes, moov: Box, movie: { timescale: number; seconds: number }): void {
  const extension = firstBox(file, moov, 'mvex');
  const box = extension && firstBox(file, extension, 'mehd');
  if (box === undefined || movie.timescale === 0) return;
  const isLong = file.at(box.payload, 1)[0] === 1;
  const declared = uintAt(file, box.payload + 4, isLong ? 8 : 4) / movie.timescale;
  if (declared > movie.seconds + TOLERANCE_SECONDS) {
    throw truncation(`it has ${movie.seconds.toFixed(1)} of the ${declared.toFixed(1)} seconds in its header`);
  }
}
