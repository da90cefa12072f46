import type { FileBytes } from '../byte-source.js';
import { StructureError } from '../inspection-error.js';
import type { Track } from './video-facts.js';

const WINDOW_BYTES = 4096;
const HEADER_BYTES = 8;
const IDENTIFIER = /^[\x20-\x7e]{4}$/;
const LISTS = ['RIFF', 'LIST'];
/** A program that writes to a pipe can't fill in the sizes, and leaves one of these. */
const UNKNOWN_SIZES = [0, 0xffffffff];
/** The frames are in a list in a list in the file, or in one of those for a group of frames. */
const MAX_DEPTH = 4;
/** The type of a stream (`fccType`) and its length in frames (`dwLength`) in its header. */
const STREAM_HEADER_BYTES = 36;
const LENGTH_AT = 32;

/**
 * Counts the frames of an AVI file (Microsoft, "AVI RIFF File Reference", and OpenDML 1.02), up to what is not a chunk.
 *
 * @throws StructureError if the file ends before its header says, or has none of the frames that it lists
 */
export function readAvi(wholeFile: FileBytes): Pick<Track, 'frames' | 'declaredFrames'> {
  const file = wholeFile.cursor(WINDOW_BYTES);
  const bytes = file.at(4, 4).readUInt32LE(0);
  if (!UNKNOWN_SIZES.includes(bytes)) file.requireSize(HEADER_BYTES + bytes);
  let [streams, frames] = [0, 0];
  let [video, declaredFrames]: [string?, number?] = [];
  for (const { id, payload, end } of chunksOf(file, { from: 0, to: file.size, depth: 0 })) {
    if (id === 'strh') {
      const header = file.upTo(payload, STREAM_HEADER_BYTES);
      if (video === undefined && header.toString('latin1', 0, 4) === 'vids' && header.length === STREAM_HEADER_BYTES) {
        video = String(streams).padStart(2, '0');
        declaredFrames = header.readUInt32LE(LENGTH_AT);
      }
      streams++;
    }
    // An empty chunk repeats the frame before it, and OpenCV reads no frame of it. The other one changes a palette.
    else if (end > payload && video !== undefined && id.startsWith(video) && id !== `${video}pc`) frames++;
  }
  if (declaredFrames !== undefined && frames === 0) throw new StructureError('is damaged: it has no frames of video');
  return { frames, declaredFrames };
}

/** Yields the chunks of a part of the file, with those in lists. */
function* chunksOf(
  file: FileBytes,
  { from, to, depth }: { from: number; to: number; depth: number },
): Generator<{ id: string; payload: number; end: number }> {
  for (let at = from; at + HEADER_BYTES <= to; ) {
    const header = file.at(at, HEADER_BYTES);
    const id = header.toString('latin1', 0, 4);
    const bytes = header.readUInt32LE(4);
    if (!IDENTIFIER.test(id)) return;
    const isList = LISTS.includes(id);
    const payload = at + HEADER_BYTES;
    const end = isList && UNKNOWN_SIZES.includes(bytes) ? to : Math.min(to, payload + bytes);
    if (!isList) yield { id, payload, end };
    else if (depth < MAX_DEPTH) yield* chunksOf(file, { from: payload + 4, to: end, depth: depth + 1 });
    // Some programs write no byte after a chunk of odd length.
    const isPadded = end % 2 === 1 && !IDENTIFIER.test(file.upTo(end, 4).toString('latin1'));
    at = isPadded ? end + 1 : end;
  }
}
