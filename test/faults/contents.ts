import { jpeg } from '../fixtures/media.js';

const plain = await jpeg();

/** A segment of a JPEG says its own length in 16 bits. */
const MAX_COMMENT_BYTES = 65_533;

/** A valid JPEG whose bytes differ for each note; `padding` adds about that many bytes. */
export function notedJpeg(note: string, padding = 0): Buffer {
  const text = Buffer.from(`${note} `.padEnd(padding, `${note} `));
  const comments: Buffer[] = [];
  for (let at = 0; at < text.length; at += MAX_COMMENT_BYTES) {
    const piece = text.subarray(at, at + MAX_COMMENT_BYTES);
    const head = Buffer.from([0xff, 0xfe, 0, 0]);
    head.writeUInt16BE(piece.length + 2, 2);
    comments.push(head, piece);
  }
  return Buffer.concat([plain.subarray(0, 2), ...comments, plain.subarray(2)]);
}

/** A valid file of that name whose bytes differ for each note. */
export function contentOf(filename: string, note: string, padding = 0): Buffer {
  return filename.endsWith('.txt') ? Buffer.from(`${note} `.padEnd(padding, 'a red wagon ')) : notedJpeg(note, padding);
}

/** A caption of exactly this many bytes, in pieces. */
export function* captionPieces(bytes: number): Generator<Buffer> {
  const piece = Buffer.alloc(64 * 1024, 'a red wagon on a siding, overcast sky\n');
  for (let left = bytes; left > 0; left -= piece.length) yield piece.subarray(0, Math.min(left, piece.length));
}
