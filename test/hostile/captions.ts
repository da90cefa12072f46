import { type HostileFile, joined, repeated, u8 } from './hostile-file.js';

const LINE = Buffer.from('a red wagon on a siding overcast sky ');
const times = (megabytes: number): number => Math.floor((megabytes * 1e6) / LINE.length);

export const CAPTION_FILES: readonly HostileFile[] = [
  { filename: 'no-newline.txt', pieces: () => repeated(LINE, times(100)) },
  { filename: 'bad-byte-at-the-end.txt', pieces: () => joined(repeated(LINE, times(25)), u8(0xff)) },
  { filename: 'cut-character-at-the-end.txt', pieces: () => joined(repeated(LINE, times(25)), u8(0xf0, 0x9f, 0x9a)) },
  { filename: 'combining-marks.txt', pieces: () => repeated(Buffer.from('\u0301'), 12_000_000) },
  { filename: 'white-space.txt', pieces: () => repeated(Buffer.from(' \u2003\n'), 4_000_000) },
  { filename: 'emoji.txt', pieces: () => repeated(Buffer.from('🚂'), 6_000_000) },
  { filename: 'mojibake.txt', pieces: () => repeated(Buffer.from('CafÃ© '), 12_000_000) },
  { filename: 'open-tags.txt', pieces: () => repeated(Buffer.from('<'), 12_000_000) },
  { filename: 'nul-bytes.txt', pieces: () => repeated(u8(0), 25_000_000) },
];
