import { box } from './boxes.js';
import { configuration, type GreyVideo, greyVideo, sized } from './h264.js';
import { generated, type HostileFile, joined, u16, u32, u32s } from './hostile-file.js';
import { FTYP, moovOf, trackOf } from './movie.js';

interface Sizes {
  readonly across: number;
  readonly down: number;
  readonly references?: number;
}

/** A clip of one grey key frame, and of frames that copy it: each costs a decoder a whole picture, and the file ten bytes. */
function copies(size: Sizes, frames: number): Iterable<Buffer> {
  const video = greyVideo(size);
  const [key, copy] = [sized(video.key), (index: number) => sized(video.copy(index))];
  const sizes = Array.from({ length: frames }, (_, index) => (index === 0 ? key.length : copy(index & 15).length));
  return clipOf(video, {
    sizes,
    bytes: joined(
      key,
      generated(frames - 1, (index) => copy(index + 1)),
    ),
    size,
  });
}

/** Key frames of two sizes by turns, each with its own parameters in front of it. */
function turns(sizes: readonly Sizes[], frames: number): Iterable<Buffer> {
  const videos = sizes.map((size) => greyVideo(size));
  const pictures = videos.map(({ sequence, picture, key }) =>
    Buffer.concat([sized(sequence), sized(picture), sized(key)]),
  );
  const one = (index: number) => pictures[index % pictures.length]!;
  const lengths = Array.from({ length: frames }, (_, index) => one(index).length);
  return clipOf(videos[0]!, { sizes: lengths, bytes: generated(frames, one), size: sizes[0]!, entry: 'avc3' });
}

function clipOf(
  video: GreyVideo,
  {
    sizes,
    bytes,
    size,
    entry = 'avc1',
  }: { sizes: readonly number[]; bytes: Iterable<Buffer>; size: Sizes; entry?: string },
): Iterable<Buffer> {
  const [width, height] = [size.across * 16, size.down * 16];
  const visual = Buffer.concat([
    Buffer.alloc(6),
    u16(1),
    Buffer.alloc(16),
    u16(width),
    u16(height),
    u32s(0x480000, 0x480000, 0),
    u16(1),
    Buffer.alloc(32),
    u16(24),
    u16(0xffff),
  ]);
  const total = sizes.reduce((sum, each) => sum + each, 0);
  const tables = {
    stts: u32s(1, sizes.length, 40),
    stsc: u32s(1, 1, sizes.length, 1),
    stsz: Buffer.concat([u32s(0, sizes.length), ...generated(sizes.length, (index) => u32(sizes[index]!))]),
    stco: u32s(1, FTYP.length + 8),
  };
  const track = trackOf(tables, { entry: box(entry, visual, box('avcC', configuration(video))) });
  return joined(FTYP, u32(total + 8), Buffer.from('mdat'), bytes, moovOf(track));
}

/**
 * Sixteen pictures of 4096 × 2304 to refer to. Two such clips at once, or one beside a large image, take ffmpeg and the server
 * beyond 500 MB.
 */
const manyReferences = () => copies({ across: 256, down: 144, references: 16 }, 60);

/** Clips that are intact, and that a decoder needs very long or very much memory for. */
export const DECODER_CLIPS: readonly HostileFile[] = [
  { filename: 'references-4k.mp4', pieces: manyReferences, isExtra: true },
  { filename: 'copies-8k.mp4', pieces: () => copies({ across: 480, down: 270 }, 20_000) },
  { filename: 'references-8k.mp4', pieces: () => copies({ across: 480, down: 270, references: 16 }, 40) },
  { filename: 'copies-of-16k.mp4', pieces: () => copies({ across: 1000, down: 1000 }, 100) },
  { filename: 'copies-of-one-block.mp4', pieces: () => copies({ across: 1, down: 1 }, 400_000) },
  {
    filename: 'sizes-by-turns.mp4',
    pieces: () =>
      turns(
        [
          { across: 4, down: 4 },
          { across: 480, down: 270 },
        ],
        200,
      ),
    isExtra: true,
  },
  {
    filename: 'four-sizes-by-turns.mp4',
    pieces: () =>
      turns(
        [
          { across: 1, down: 1 },
          { across: 1, down: 1000 },
          { across: 1000, down: 1 },
          { across: 60, down: 60 },
        ],
        5000,
      ),
  },
];
