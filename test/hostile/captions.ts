import { type HostileFile, joined, repeated, u8 } from './hostile-file.js';

const MEGABYTES = 100;
const LINE = Buffer.from('a red wagon on a siding overcast sky ');
const times = (piece: Buffer): number => Math.floor((MEGABYTES * 1e6) / piece.length);

/** Captions of a hundred megabytes. */
export const CAPTION_FILES: readonly HostileFile[] = [
  { filename: 'no-newline.txt', pieces: () => repeated(LINE, times(LINE)) },
  { filename: 'bad-byte-at-the-end.txt', pieces: () => joined(repeated(LINE, times(LINE)), u8(0xff)) },
  { filename: 'cut-character-at-the-end.txt', pieces: () => joined(repeated(LINE, times(LINE)), u8(0xf0, 0x9f, 0x9a)) },
  { filename: 'combining-marks.txt', pieces: () => repeated(Buffer.from('\u0301'), 50_000_000) },
  { filename: 'white-space.txt', pieces: () => repeated(Buffer.from(' \u2003\n'), 15_000_000) },
  { filename: 'emoji.txt', pieces: () => repeated(Buffer.from('🚂'), 25_000_000) },
  { filename: 'mojibake.txt', pieces: () => repeated(Buffer.from('CafÃ© '), 12_000_000) },
  { filename: 'open-tags.txt', pieces: () => repeated(Buffer.from('<'), 50_000_000) },
  { filename: 'nul-bytes.txt', pieces: () => repeated(u8(0), 100_000_000) },
];
