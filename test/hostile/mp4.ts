import { concat, u32, u64 } from '../fixtures/bytes.js';
import { greyVideo, type Size, sized } from './h264.js';
import { filesOf, generated, joined, many, repeated } from './hostile-file.js';
import { box, FTYP, fullBox, moovOf, nested, sampleEntry, type Tables, trackOf, VIDEO } from './movie.js';

/** Key frames of one size, of which each has a chunk of its own unless the tables say otherwise. */
const FRAME = sized(VIDEO.key);
const MDAT = box('mdat', FRAME);
const START = FTYP.length + 8;

/** A table with one entry, or with so many that are the same. */
const table = (entry: readonly number[], count = 1): Buffer => concat(u32(count), many(u32(...entry), count));

function plain(frames: number, changed: Partial<Tables> = {}): Tables {
  const own = { stts: table([frames, 40]), stsc: table([1, 1, 1]), stsz: u32(FRAME.length, frames) };
  return { ...own, stco: table([START], frames), ...changed };
}

/** `ftyp`, one frame as media data, and what follows. */
const after = (...parts: readonly (Buffer | Iterable<Buffer>)[]): Iterable<Buffer> => joined(FTYP, MDAT, ...parts);
const clip = (frames: number, changed: Partial<Tables> = {}, edits?: Buffer) =>
  after(moovOf(trackOf(plain(frames, changed), edits === undefined ? {} : { edits })));
const TRACK = trackOf(plain(1));
const MOOV = moovOf(TRACK);

const withTable = (type: string, ...payload: Buffer[]) => clip(10, { others: [fullBox(type, 0, 0, ...payload)] });
const withEdits = (count: number, duration: number) =>
  clip(10, {}, box('edts', fullBox('elst', 0, 0, table([duration, 0, 0x10000], count))));
const fragment = (run: Buffer): Buffer =>
  box('moof', fullBox('mfhd', 0, 0, u32(1)), box('traf', fullBox('tfhd', 0, 0x20000, u32(1)), run));
/** A run of so many samples, right after its fragment. */
const runOf = (samples: number): Buffer => {
  const { length } = fragment(fullBox('trun', 0, 1, u32(1, 0)));
  return fullBox('trun', 0, 1, u32(samples, length + 8));
};

/** Fragments whose runs claim so many samples; these need no bytes of the file. */
function fragments(count: number, run: Buffer): Iterable<Buffer> {
  const extended = box('mvex', fullBox('trex', 0, 0, u32(1, 1, 40, FRAME.length, 0)));
  const empty: Tables = { stts: u32(0), stsc: u32(0), stsz: u32(0, 0), stco: u32(0) };
  return joined(FTYP, moovOf(trackOf(empty), extended), repeated(concat(fragment(run), MDAT), count));
}

/** A clip whose frames are said to lie in another file. */
function externalData(): Buffer[] {
  const [inside, outside] = [fullBox('url ', 0, 1), fullBox('url ', 0, 0, Buffer.from('file:///etc/passwd\0'))];
  const at = MOOV.indexOf(inside);
  const grown = concat(MOOV.subarray(0, at), outside, MOOV.subarray(at + inside.length));
  for (const type of ['moov', 'trak', 'mdia', 'minf', 'dinf', 'dref']) {
    const size = grown.indexOf(type) - 4;
    grown.writeUInt32BE(grown.readUInt32BE(size) + outside.length - inside.length, size);
  }
  return [FTYP, MDAT, grown];
}

const MILLIONS = 1_500_000;

const MP4S = filesOf({
  'frames-in-another-file.mp4': externalData,
  'bare-indexes.mp4': () => joined(FTYP, repeated(box('sidx'), 400_000), MDAT, MOOV),
  'times-of-billions.mp4': () => clip(10, { stts: table([0xffff_fff0, 1]) }),
  'chunks-of-billions.mp4': () => clip(10, { stsc: table([1, 0xffff_fff0, 1]) }),
  'million-frames-in-one-place.mp4': () => clip(MILLIONS),
  'compositions.mp4': () => withTable('ctts', table([0xffff_ffff, 1], 900_000)),
  'edits.mp4': () => withEdits(600_000, 1),
  'nested-boxes.mp4': () => after(moovOf(TRACK, nested('udta', 500_000))),
  'zero-size-boxes.mp4': () => after(MOOV, Buffer.from('\0\0\0\0free'), repeated(Buffer.alloc(8), 1_000_000)),
  'runs-of-billions.mp4': () => fragments(10, runOf(0xffff_fff0)),
  'tens-of-thousands-of-fragments.mp4': () => fragments(40_000, runOf(1)),
  'large-box-of-the-largest-size.mp4': () => [FTYP, concat(u32(1), 'mdat', u64(0xffff_ffff_ffff_ffffn))],
});

/** A clip of one grey key frame, and of frames that copy it: each costs a decoder a whole picture, and the file ten bytes. */
function copies(across: number, down: number, frames: number, references = 1): Iterable<Buffer> {
  const video = greyVideo({ across, down, references });
  const frame = (index: number) => sized(index === 0 ? video.key : video.copy(index));
  return decoded(sampleEntry('avc1', video, [across * 16, down * 16]), frames, frame);
}

/** Key frames of several sizes by turns, each with its own parameters in front of it. */
function turns(frames: number, ...sizes: Size[]): Iterable<Buffer> {
  const videos = sizes.map(greyVideo);
  const pictures = videos.map(({ sequence, picture, key }) => concat(sized(sequence), sized(picture), sized(key)));
  const [{ across, down }] = sizes as [Size];
  const entry = sampleEntry('avc3', videos[0]!, [across * 16, down * 16]);
  return decoded(entry, frames, (index) => pictures[index % pictures.length]!);
}

function decoded(entry: Buffer, frames: number, frame: (index: number) => Buffer): Iterable<Buffer> {
  const sizes = Array.from({ length: frames }, (_, index) => frame(index).length);
  const tables = {
    stts: table([frames, 40]),
    stsc: table([1, frames, 1]),
    stsz: concat(u32(0, frames), ...generated(frames, (index) => u32(sizes[index]!))),
    stco: table([START]),
  };
  const total = sizes.reduce((sum, each) => sum + each, 0);
  return joined(FTYP, concat(u32(total + 8), 'mdat'), generated(frames, frame), moovOf(trackOf(tables, { entry })));
}

/** Clips that are intact, and that a decoder needs very long or very much memory for. */
const DECODER_CLIPS = filesOf({
  // Two such clips at once, or one beside a large image, take ffmpeg and the server beyond 500 MB.
  'references-4k.mp4': () => copies(256, 144, 60, 16),
  'copies-8k.mp4': () => copies(480, 270, 20_000),
  'sizes-by-turns.mp4': () => turns(200, { across: 4, down: 4 }, { across: 480, down: 270 }),
});

export const CLIP_FAMILIES = { mp4: MP4S, decoder: DECODER_CLIPS };
