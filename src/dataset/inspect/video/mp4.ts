/*
 * Checks the structure of MP4 and QuickTime files. Demuxers trust the sample tables: of a clip of 15 frames they report 15
 * packets, without an error, if the tables point outside the media data, and if there are zeros instead of frames.
 */
import type { FileBytes } from '../byte-source.js';
import { formatCount, StructureError, truncation } from '../inspection-error.js';
import { type Box, boxesOf, firstBox, requiredBox, uintAt } from '../isobmff.js';
import { hiddenFramesOf, shownFrom } from './edit-list.js';
import { type FragmentedTrack, NO_DEFAULTS, readFragment, type SampleDefaults } from './fragments.js';
import { FrameWalk } from './frame-walk.js';
import { MediaRanges } from './media-ranges.js';
import { readVideoEntries, type VideoEntry } from './sample-entries.js';
import { checkSamples } from './samples.js';
import type { Movie, Track } from './video-facts.js';

/** Ten hours of video have 20 MB of tables. A file with more than this is an attack, or too long for training. */
const MAX_MOOV_BYTES = 256 << 20;
const MAX_TRACKS = 256;
/** Durations in headers are rounded by less than this; truncation between two fragments loses more. */
const TOLERANCE_SECONDS = 0.5;
/** How much longer than in the header the frames may last together. Variable frame rates differ by one frame at most. */
const MAX_TIMES_FACTOR = 2;

/** The headers of boxes and the lists in fragments are read through a small window. */
const WINDOW_BYTES = 4096;

/** The boxes at the top level of the file. */
interface Layout {
  moov: Box | undefined;
  readonly media: MediaRanges;
  /** Of each fragment (`moof`): the offset of its header, of its content, and its end. Plain numbers, as there can be many. */
  readonly fragments: number[];
  /** The end of the last segment that an index (`sidx`) lists; 0 without an index. */
  indexedEnd: number;
}

/** A track by its header and its tables; its fragments are added later. */
interface TrackHeader extends FragmentedTrack {
  readonly id: number;
  readonly kind: Track['kind'];
  readonly timescale: number;
  /** The duration in the header, in units of the time scale; 0 if unknown. */
  readonly declared: number;
  /** The samples in the tables, not in fragments. */
  readonly table: ReturnType<typeof checkSamples>;
  /** Of the first video track: the samples in the tables that its edit list leaves out. */
  readonly hidden: number;
  /** The time at which its edit list begins, in units of the time scale, if the file has fragments. */
  readonly shownFrom: number;
  readonly name: string;
  readonly entry: VideoEntry | undefined;
  readonly size: { readonly width: number; readonly height: number; readonly isTurned: boolean };
}

/**
 * Checks that every box of an MP4 or QuickTime file lies inside the file, every sample of every track inside its media data,
 * and that each frame of the first video track can be one of its codec.
 *
 * @throws StructureError
 */
export function readMp4(file: FileBytes): Movie {
  const headers = file.cursor(WINDOW_BYTES);
  const layout = readLayout(headers);
  const { moov } = layout;
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
  const { timescale } = timing(file, movie);
  const tracks = readTracks(file, moov, { layout, timescale });
  const byId = new Map(tracks.map((track) => [track.id, track]));
  for (let at = 0; at < layout.fragments.length; at += 3) {
    const [start = 0, payload = 0, end = 0] = layout.fragments.slice(at, at + 3);
    readFragment(headers, { start, payload, end }, { tracks: byId, media: layout.media });
  }
  const isFragmented = layout.fragments.length > 0;
  const described = tracks.map((track) =>
    trackOf(file, track, { isFragmented, declaredFrames: framesIn(tracks, track) }),
  );
  const durationSeconds = Math.max(0, ...described.filter(({ kind }) => kind === 'video').map((each) => each.seconds));
  checkFragmentDuration(file, moov, { timescale, seconds: durationSeconds });
  return { tracks: described, durationSeconds };
}

function readLayout(file: FileBytes): Layout {
  const layout: Layout = { moov: undefined, media: new MediaRanges(), fragments: [], indexedEnd: 0 };
  let end = 0;
  try {
    for (const box of boxesOf(file, { payload: 0, end: file.size })) {
      if (box.type === 'moov') layout.moov ??= box;
      if (box.type === 'mdat') layout.media.add(box);
      if (box.type === 'moof') layout.fragments.push(box.start, box.payload, box.end);
      if (box.type === 'sidx') layout.indexedEnd = Math.max(layout.indexedEnd, indexedEndOf(file, box));
      end = box.end;
    }
  } catch (error) {
    if (!(error instanceof StructureError) || !isTrailer(file, { layout, end })) throw error;
  }
  return layout;
}

/**
 * Some cameras append data of their own to a finished file. As in FFmpeg, bytes that begin no box don't matter after the
 * header of a file without fragments: all its frames are in the tables, which are checked.
 */
function isTrailer(file: FileBytes, { layout, end }: { layout: Layout; end: number }): boolean {
  const { moov } = layout;
  if (moov === undefined || layout.fragments.length > 0 || firstBox(file, moov, 'mvex') !== undefined) return false;
  return !/^[\w\xa9 -]{4}$/.test(file.upTo(end + 4, 4).toString('latin1'));
}

/** The end of the last segment that a segment index lists (ISO/IEC 14496-12, 8.16.3). */
function indexedEndOf(file: FileBytes, box: Box): number {
  const version = file.at(box.payload, 1)[0] ?? 0;
  const at = box.payload + 12;
  const list = at + (version === 0 ? 8 : 16);
  const references = list + 4 <= box.end ? file.at(list + 2, 2).readUInt16BE(0) : 0;
  if (list + 4 + references * 12 > box.end)
    throw new StructureError('is damaged: its sidx box is shorter than its list');
  const first = version === 0 ? uintAt(file, at + 4, 4) : uintAt(file, at + 8, 8);
  let end = box.end + first;
  for (let reference = 0; reference < references; reference++) {
    end += uintAt(file, list + 4 + reference * 12, 4) & 0x7fffffff;
  }
  return end;
}

/** Reads the time fields, which `mvhd` and `mdhd` have in the same places. A duration of all ones is unknown: 0. */
function timing(file: FileBytes, box: Box): { timescale: number; duration: number } {
  const isLong = file.at(box.payload, 1)[0] === 1;
  const at = box.payload + (isLong ? 20 : 12);
  const duration = uintAt(file, at + 4, isLong ? 8 : 4);
  const isUnknown = duration >= (isLong ? 2 ** 63 : 2 ** 32 - 1);
  return { timescale: uintAt(file, at, 4), duration: isUnknown ? 0 : duration };
}

function trackDefaults(file: FileBytes, moov: Box): Map<number, SampleDefaults> {
  const defaults = new Map<number, SampleDefaults>();
  const extension = firstBox(file, moov, 'mvex');
  if (extension === undefined) return defaults;
  for (const box of boxesOf(file, extension)) {
    if (box.type !== 'trex') continue;
    if (defaults.size >= MAX_TRACKS) throw tooManyTracks();
    const bytes = file.at(box.payload + 4, 20);
    const description = bytes.readUInt32BE(4);
    defaults.set(bytes.readUInt32BE(0), {
      description,
      duration: bytes.readUInt32BE(8),
      bytes: bytes.readUInt32BE(12),
    });
  }
  return defaults;
}

function tooManyTracks(): StructureError {
  return new StructureError('is damaged: it has hundreds of tracks');
}

function readTracks(file: FileBytes, moov: Box, movie: { layout: Layout; timescale: number }): TrackHeader[] {
  const defaults = trackDefaults(file, moov);
  const tracks: TrackHeader[] = [];
  for (const box of boxesOf(file, moov)) {
    if (box.type !== 'trak') continue;
    if (tracks.length >= MAX_TRACKS) throw tooManyTracks();
    const isFirstVideo = !tracks.some(({ kind }) => kind === 'video');
    tracks.push(readTrack(file, box, { ...movie, defaults, isFirstVideo }));
  }
  return tracks;
}

function readTrack(
  file: FileBytes,
  box: Box,
  movie: { layout: Layout; timescale: number; defaults: ReadonlyMap<number, SampleDefaults>; isFirstVideo: boolean },
): TrackHeader {
  const header = requiredBox(file, box, 'tkhd');
  const isLong = file.at(header.payload, 1)[0] === 1;
  const id = uintAt(file, header.payload + (isLong ? 20 : 12), 4);
  const media = requiredBox(file, box, 'mdia');
  const { timescale, duration } = timing(file, requiredBox(file, media, 'mdhd'));
  const handler = file.at(requiredBox(file, media, 'hdlr').payload + 8, 4).toString('latin1');
  const kind = handler === 'vide' ? 'video' : handler === 'soun' ? 'audio' : 'other';
  const table = requiredBox(file, requiredBox(file, media, 'minf'), 'stbl');
  const stsd = requiredBox(file, table, 'stsd');
  const entries = kind === 'video' && movie.isFirstVideo ? readVideoEntries(file, stsd) : undefined;
  const walk =
    entries &&
    new FrameWalk(
      file,
      entries.map(({ check }) => check),
    );
  const samples = checkSamples(file, table, { media: movie.layout.media, walk });
  const times = { count: samples.count, timescale, movieTimescale: movie.timescale };
  return {
    id,
    kind,
    timescale,
    declared: duration,
    table: samples,
    hidden: walk === undefined ? 0 : hiddenFramesOf(file, { track: box, table }, times),
    name: entries?.[0]?.name ?? '',
    entry: entries?.[0],
    size: displaySize(file, header),
    defaults: movie.defaults.get(id) ?? NO_DEFAULTS,
    walk,
    shownFrom: movie.layout.fragments.length > 0 ? shownFrom(file, box) : 0,
    samples: 0,
    duration: 0,
    starts: undefined,
    ends: 0,
  };
}

/** The width and height in `tkhd` (16.16 fixed point), and whether its matrix turns the video by 90°. */
function displaySize(file: FileBytes, header: Box): TrackHeader['size'] {
  const bytes = header.end - header.payload < 84 ? Buffer.alloc(44) : file.at(header.end - 44, 44);
  const isTurned = bytes.readInt32BE(0) === 0 && bytes.readInt32BE(16) === 0;
  return { width: bytes.readUInt16BE(36), height: bytes.readUInt16BE(40), isTurned };
}

/**
 * OpenCV reads as many frames as the table of times lists. If it is empty, as in a file of fragments, OpenCV derives the number
 * from the duration that FFmpeg computes (7.1, `libavformat/mov.c`, `mov_read_trun`): each track lasts, from its first frame on,
 * for the time at which its last frame ends.
 */
function framesIn(tracks: readonly TrackHeader[], video: TrackHeader): number | undefined {
  const { table } = video;
  if (table.timed !== undefined && table.timed > 0) return table.timed;
  let [start, end] = [Number.POSITIVE_INFINITY, 0];
  for (const { kind, starts, ends, shownFrom, timescale } of tracks) {
    if (kind === 'other' || starts === undefined || timescale === 0) continue;
    start = Math.min(start, (starts - shownFrom) / timescale);
    end = Math.max(end, (starts + ends - 2 * shownFrom) / timescale);
  }
  const framesPerSecond = (video.samples / video.duration) * video.timescale;
  const frames = Math.round((end - start) * framesPerSecond);
  return frames > 0 && Number.isFinite(frames) ? frames : undefined;
}

function trackOf(
  file: FileBytes,
  header: TrackHeader,
  { isFragmented, declaredFrames }: { isFragmented: boolean; declaredFrames: number | undefined },
): Track {
  const { kind, name, table, timescale, entry } = header;
  const frames = table.count + header.samples;
  if (frames > file.size) {
    throw new StructureError(`is damaged: its tables list ${formatCount(frames)} frames, more than it has bytes`);
  }
  if (kind === 'video' && !isFragmented) checkTimes(header);
  // With fragments, the duration in the header may cover all samples, only those in the tables, or none.
  const covered = isFragmented ? table.duration + header.duration : header.declared || table.duration;
  // OpenCV and FFmpeg give frames the size in the description, and turn them by the matrix in the header.
  const { width, height } = entry?.width && entry.height ? entry : header.size;
  return {
    kind,
    codec: entry?.codec,
    codecName: name,
    frames,
    declaredFrames,
    hiddenFrames: header.hidden,
    seconds: timescale > 0 ? covered / timescale : 0,
    ...(header.size.isTurned ? { width: height, height: width } : { width, height }),
  };
}

/**
 * Encoders write the same duration twice, or nearly the same. OpenCV stops early where a changed bit puts frames far behind the
 * end of the clip, and the trainer reads with it.
 */
function checkTimes({ declared, timescale, table }: TrackHeader): void {
  if (declared === 0 || timescale === 0 || table.count <= 2 || table.timed !== table.count) return;
  if (table.duration <= MAX_TIMES_FACTOR * declared) return;
  const [summed, stated] = [table.duration, declared].map((units) => (units / timescale).toFixed(1));
  throw new StructureError(`is damaged: its frames last ${summed} s together, but its header says ${stated} s`);
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
