import type { FileBytes } from '../byte-source.js';

/** The object in the header of an ASF (WMV) file that has its size (Microsoft, "Advanced Systems Format", 3.2). */
const FILE_PROPERTIES = Buffer.from('a1dcab8c47a9cf118ee400c00c205365', 'hex');
const MAX_ASF_HEADER_BYTES = 1 << 16;
const BROADCAST = 1;
/** If the file is smaller by more, FFmpeg ignores the duration (7.1, `libavformat/asfdec_f.c`), and the trainer reads one frame. */
const MAX_MISSING_SHARE = 0.05;

/** @throws StructureError if an ASF file, such as WMV, is smaller than its header says */
export function requireWholeAsf(file: FileBytes): void {
  const headerEnd = Number(file.at(16, 8).readBigUInt64LE(0));
  file.requireSize(headerEnd);
  const header = file.upTo(0, Math.min(headerEnd, MAX_ASF_HEADER_BYTES));
  const at = header.indexOf(FILE_PROPERTIES);
  if (at === -1 || at + 92 > header.length || (header.readUInt32LE(at + 88) & BROADCAST) !== 0) return;
  const bytes = Number(header.readBigUInt64LE(at + 40));
  if (bytes > file.size * (1 + MAX_MISSING_SHARE)) file.requireSize(bytes);
}
