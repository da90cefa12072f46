import { CLIP_FAMILIES } from './mp4.js';
import { HEIFS } from './heif.js';
import { filesOf, type HostileFile, joined, repeated } from './hostile-file.js';
import { JPEGS } from './jpeg.js';
import { LEGACY_CLIPS } from './legacy-clips.js';
import { MATROSKAS } from './matroska.js';
import { OTHER_IMAGES, WEBPS } from './other-images.js';
import { PNGS } from './png.js';

const LINE = Buffer.from('a red wagon on a siding overcast sky ');
const LINES_OF_25_MB = Math.floor(25e6 / LINE.length);
const again = (text: string, times: number) => () => repeated(Buffer.from(text), times);

const CAPTIONS = filesOf({
  'no-newline.txt': () => repeated(LINE, Math.floor(100e6 / LINE.length)),
  'bad-byte-at-the-end.txt': () => joined(repeated(LINE, LINES_OF_25_MB), Buffer.of(0xff)),
  'white-space.txt': again(' \u2003\n', 4_000_000),
  'nul-bytes.txt': again('\0', 25_000_000),
});

/** All files, by family. */
export const FAMILIES: Readonly<Record<string, readonly HostileFile[]>> = {
  jpeg: JPEGS,
  png: PNGS,
  webp: WEBPS,
  other: OTHER_IMAGES,
  heif: HEIFS,
  mp4: CLIP_FAMILIES.mp4,
  matroska: MATROSKAS,
  legacy: LEGACY_CLIPS,
  decoder: CLIP_FAMILIES.decoder,
  caption: CAPTIONS,
};
