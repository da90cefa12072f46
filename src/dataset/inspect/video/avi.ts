import type { FileBytes } from '../byte-source.js';
import { StructureError } from '../inspection-error.js';
import type { Track } from './video-facts.js';

const WINDOW_BYTES = 4096;
/** Scanned at once for the next chunk: few, since each false one begins a new scan. */
const SCAN_BYTES = 256;
const HEADER_BYTES = 8;
const LISTS = ['RIFF', 'LIST'];
/** The header of a list, with its type, after which its chunks follow. */
const LIST_HEADER_BYTES = 12;
const IDENTIFIER = /^[\x20-\x7e]{4}$/;
/** The identifier of a frame or of sound, with the number of its stream. */
const STREAM_CHUNK = /\d\d(?:dc|db|wb)/;
/** Ten hours of video with sound have 3 million. A chunk can have eight bytes. */
const MAX_CHUNKS = 20_000_000;
/** A program that writes to a pipe can't fill in the size, and leaves one of these. */
const UNKNOWN_SIZES = [0, 0xffffffff];
/** The type of a stream (`fccType`) and its length in frames (`dwLength`) in its header. */
const STREAM_HEADER_BYTES = 36;
const LENGTH_AT = 32;

/**
 * Counts the frames of an AVI file (Microsoft, "AVI RIFF File Reference", and OpenDML 1.02). As in FFmpeg, the sizes of lists do
 * not matter, and after bytes that are not a chunk it goes on at the next one of a stream.
 *
 * @throws StructureError if the file ends before its header says, or has none of the frames that it lists
 */
export function readAvi(wholeFile: FileBytes): Pick<Track, 'frames' | 'declaredFrames'> {
  const file = wholeFile.cursor(WINDOW_BYTES);
  const size = file.at(4, 4).readUInt32LE(0);
  if (!UNKNOWN_SIZES.includes(size)) file.requireSize(HEADER_BYTES + size);
  let [streams, frames] = [0, 0];
  let [video, declaredFrames]: [string?, number?] = [];
  for (let at = 0, chunks = 0; at + HEADER_BYTES <= file.size && chunks < MAX_CHUNKS; chunks++) {
    const header = file.at(at, HEADER_BYTES);
    const id = header.toString('latin1', 0, 4);
    const payload = at + HEADER_BYTES;
    const end = payload + header.readUInt32LE(4);
    if (LISTS.includes(id)) {
      at += LIST_HEADER_BYTES;
      continue;
    }
    if (!IDENTIFIER.test(id) || end > file.size) {
      at = nextStreamChunk(file, at + 1);
      continue;
    }
    if (id === 'strh') {
      const stream = file.upTo(payload, STREAM_HEADER_BYTES);
      if (video === undefined && stream.toString('latin1', 0, 4) === 'vids' && stream.length === STREAM_HEADER_BYTES) {
        video = String(streams).padStart(2, '0');
        declaredFrames = stream.readUInt32LE(LENGTH_AT);
      }
      streams++;
    }
    // An empty chunk repeats the frame before it, and OpenCV reads no frame of it. The other one changes a palette.
    else if (end > payload && video !== undefined && id.startsWith(video) && id !== `${video}pc`) frames++;
    // Some programs write no byte after a chunk of odd length.
    const isPadded = end % 2 === 1 && !IDENTIFIER.test(file.upTo(end, 4).toString('latin1'));
    at = isPadded ? end + 1 : end;
  }
  if (declaredFrames !== undefined && frames === 0) throw new StructureError('is damaged: it has no frames of video');
  return { frames, declaredFrames };
}

/** The next chunk of a stream from byte `from` on, or the end of the file. */
function nextStreamChunk(file: FileBytes, from: number): number {
  for (let at = from; at + HEADER_BYTES <= file.size; ) {
    const bytes = file.upTo(at, SCAN_BYTES);
    const found = bytes.toString('latin1').search(STREAM_CHUNK);
    if (found !== -1) return at + found;
    // An identifier may begin in the last three bytes.
    at += Math.max(1, bytes.length - 3);
  }
  return file.size;
}
