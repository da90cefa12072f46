import { CAPTION_FILES } from './captions.js';
import { DECODER_CLIPS } from './decoder-clips.js';
import { HEIFS } from './heif.js';
import type { HostileFile } from './hostile-file.js';
import { JPEGS } from './jpeg.js';
import { LEGACY_CLIPS } from './legacy-clips.js';
import { MATROSKAS } from './matroska.js';
import { flippedTables, MP4S } from './mp4.js';
import { OTHER_IMAGES } from './other-images.js';
import { PNGS } from './png.js';
import { WEBPS } from './webp.js';

/** All files, by family. */
export const FAMILIES: Readonly<Record<string, readonly HostileFile[]>> = {
  jpeg: JPEGS,
  png: PNGS,
  webp: WEBPS,
  other: OTHER_IMAGES,
  heif: HEIFS,
  mp4: MP4S,
  flipped: flippedTables('faststart.mp4'),
  matroska: MATROSKAS,
  legacy: LEGACY_CLIPS,
  decoder: DECODER_CLIPS,
  caption: CAPTION_FILES,
};
