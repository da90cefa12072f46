import type { FileBytes } from '../byte-source.js';
import { formatCount, StructureError, truncated } from '../inspection-error.js';
import { type Box, boxesOf, firstBox } from '../isobmff.js';
import { type FragmentTotals, readFragment, type TrackDefaults } from './fragments.js';
import type { Movie, Track } from './movie.js';
import { checkSamples } from './samples.js';

/** Ten hours of film have 20 MB of tables; beyond this, the file is an attack or of no use for training. */
const MAX_MOOV_BYTES = 256 << 20;
const MOST_TRACKS = 256;
/** Headers round; a cut at the border of a fragment loses more. */
const TOLERANCE_SECONDS = 0.5;

interface Layout {
  moov: Box | undefined;
  readonly media: Box[];
  readonly fragments: Box[];
  /** Where the segments end that an index (`sidx`) promises. */
  indexed: number;
}

/**
 * Checks an MP4 or QuickTime file by its boxes and sample tables: every box must fit the file, every sample of every
 * track must lie in media data that are there.
 *
 * @throws Damage
 */
export function readMp4(file: FileBytes): Movie {
  const layout = layOut(file);
  const { moov, fragments } = layout;
  if (moov === undefined) {
    throw truncated({
      needed: 0,
      size: 0,
      what: 'the box "moov" that describes the film, often the last one, is missing',
    });
  }
  if (moov.end - moov.payload > MAX_MOOV_BYTES) {
    throw new StructureError(
      `has ${formatCount(moov.end - moov.payload)} bytes of tables, more than a training clip can need`,
    );
  }
  if (layout.indexed > file.size) {
    throw truncated({ needed: layout.indexed, size: file.size, what: 'the last part in its index' });
  }
  const movie = firstBox(file, moov, 'mvhd');
  if (movie === undefined) throw new StructureError('is damaged: the header of the film is missing');
  const header = timing(file, movie);
  const defaults = trackDefaults(file, moov);
  const totals = new Map<number, FragmentTotals>();
  for (const fragment of fragments) readFragment(file, fragment, { defaults, totals, media: layout.media });
  const tracks: Track[] = [];
  let seconds = 0;
  let firstSamples = 0;
  for (const box of boxesOf(file, { start: moov.payload, end: moov.end })) {
    if (box.type !== 'trak') continue;
    if (tracks.length >= MOST_TRACKS) throw new StructureError('is damaged: it has hundreds of tracks');
    const { track, tabled } = readTrack(file, box, { layout, totals });
    tracks.push(track);
    firstSamples += tabled;
    if (track.kind === 'video') seconds = Math.max(seconds, track.seconds);
  }
  checkPromise(file, moov, { timescale: header.timescale, seconds, fragmented: fragments.length > 0 });
  // Where samples stand both in the film's tables and in fragments, mediabunny lists the former only.
  const hybrid = fragments.length > 0 && firstSamples > 0;
  const headerBytes = moov.end - moov.payload;
  return { tracks, durationSeconds: seconds, headerBytes, listable: !hybrid };
}

function layOut(file: FileBytes): Layout {
  const layout: Layout = { moov: undefined, media: [], fragments: [], indexed: 0 };
  for (const box of boxesOf(file, { start: 0, end: file.size })) {
    if (box.type === 'moov') layout.moov ??= box;
    if (box.type === 'mdat') layout.media.push(box);
    if (box.type === 'moof') layout.fragments.push(box);
    if (box.type === 'sidx') layout.indexed = Math.max(layout.indexed, indexedEnd(file, box));
  }
  return layout;
}

/** The end of the last part that a segment index lists (ISO/IEC 14496-12, 8.16.3). */
function indexedEnd(file: FileBytes, box: Box): number {
  const version = file.at(box.payload, 1)[0] ?? 0;
  const at = box.payload + 12;
  const first = version === 0 ? file.at(at + 4, 4).readUInt32BE(0) : Number(file.at(at + 8, 8).readBigUInt64BE(0));
  const list = at + (version === 0 ? 8 : 16);
  const references = file.at(list + 2, 2).readUInt16BE(0);
  let end = box.end + first;
  for (let reference = 0; reference < references; reference++) {
    end += file.at(list + 4 + reference * 12, 4).readUInt32BE(0) & 0x7fffffff;
  }
  return end;
}

/** `mvhd` and `mdhd` begin alike. */
function timing(file: FileBytes, box: Box): { timescale: number; duration: number } {
  const version = file.at(box.payload, 1)[0] ?? 0;
  if (version === 1) {
    const bytes = file.at(box.payload + 20, 12);
    return { timescale: bytes.readUInt32BE(0), duration: Number(bytes.readBigUInt64BE(4)) };
  }
  const bytes = file.at(box.payload + 12, 8);
  return { timescale: bytes.readUInt32BE(0), duration: bytes.readUInt32BE(4) };
}

function trackDefaults(file: FileBytes, moov: Box): Map<number, TrackDefaults> {
  const defaults = new Map<number, TrackDefaults>();
  const extension = firstBox(file, moov, 'mvex');
  if (extension === undefined) return defaults;
  for (const box of boxesOf(file, { start: extension.payload, end: extension.end })) {
    if (box.type !== 'trex') continue;
    const bytes = file.at(box.payload + 4, 20);
    defaults.set(bytes.readUInt32BE(0), { duration: bytes.readUInt32BE(8), bytes: bytes.readUInt32BE(12) });
  }
  return defaults;
}

function readTrack(
  file: FileBytes,
  box: Box,
  film: { layout: Layout; totals: ReadonlyMap<number, FragmentTotals> },
): { track: Track; tabled: number } {
  const header = need(file, box, 'tkhd');
  const version = file.at(header.payload, 1)[0] ?? 0;
  const id = file.at(header.payload + (version === 1 ? 20 : 12), 4).readUInt32BE(0);
  const media = need(file, box, 'mdia');
  const { timescale, duration } = timing(file, need(file, media, 'mdhd'));
  const handler = file.at(need(file, media, 'hdlr').payload + 8, 4).toString('latin1');
  const kind = handler === 'vide' ? 'video' : handler === 'soun' ? 'audio' : 'other';
  const table = need(file, need(file, media, 'minf'), 'stbl');
  const description = need(file, table, 'stsd');
  const codec =
    description.end - description.payload >= 16 ? file.at(description.payload + 12, 4).toString('latin1') : '';
  const samples = checkSamples(file, table, { media: film.layout.media, codec });
  const more = film.totals.get(id) ?? { samples: 0, duration: 0 };
  // With fragments, the header's duration may be of them all, of the first samples only, or nothing.
  const covered = film.layout.fragments.length > 0 ? samples.duration + more.duration : duration || samples.duration;
  return {
    track: {
      kind,
      codec,
      frames: samples.count + more.samples,
      seconds: timescale > 0 ? covered / timescale : 0,
      ...sizeShown(file, header),
    },
    tabled: samples.count,
  };
}

function need(file: FileBytes, parent: Box, type: string): Box {
  const box = firstBox(file, parent, type);
  if (box === undefined) throw new StructureError(`is damaged: the ${type} box of one of its tracks is missing`);
  return box;
}

/** The end of `tkhd`: a matrix, which turns a phone's pictures upright, and the sides as 16.16 fixed point. */
function sizeShown(file: FileBytes, header: Box): { width: number; height: number } {
  const bytes = file.at(header.end - 44, 44);
  const [width, height] = [bytes.readUInt16BE(36), bytes.readUInt16BE(40)];
  const onItsSide = bytes.readInt32BE(0) === 0 && bytes.readInt32BE(16) === 0;
  return onItsSide ? { width: height, height: width } : { width, height };
}

/** A fragmented file may promise its duration (`mehd`); then a cut between two fragments shows. */
function checkPromise(
  file: FileBytes,
  moov: Box,
  film: { timescale: number; seconds: number; fragmented: boolean },
): void {
  const extension = firstBox(file, moov, 'mvex');
  const box = extension && firstBox(file, extension, 'mehd');
  if (box === undefined || film.timescale === 0) return;
  const version = file.at(box.payload, 1)[0] ?? 0;
  const duration =
    version === 1
      ? Number(file.at(box.payload + 4, 8).readBigUInt64BE(0))
      : file.at(box.payload + 4, 4).readUInt32BE(0);
  const promised = duration / film.timescale;
  if (promised > film.seconds + TOLERANCE_SECONDS) {
    const what = `${film.seconds.toFixed(1)} of the ${promised.toFixed(1)} seconds in its header are there`;
    throw truncated({ needed: 0, size: 0, what });
  }
}
