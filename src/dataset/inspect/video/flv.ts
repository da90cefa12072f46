import type { FileBytes } from '../byte-source.js';
import { StructureError } from '../inspection-error.js';
import type { Track } from './video-facts.js';

const WINDOW_BYTES = 4096;
const TAG_HEADER_BYTES = 11;
/** Each tag is followed by its size. */
const SIZE_BYTES = 4;
const [AUDIO, VIDEO, SCRIPT] = [8, 9, 18];
/** The name of a number in the metadata, with its length before it and its type after it. */
const DURATION = Buffer.from('\0\x08duration\0', 'latin1');
const MAX_METADATA_BYTES = 4096;

/**
 * Counts the frames of an FLV file (Adobe, "Video File Format Specification", version 10.1, annex E), up to what is not a tag.
 *
 * @throws StructureError if the last tag is truncated, or none has a frame
 */
export function readFlv(wholeFile: FileBytes): Pick<Track, 'frames' | 'declaredFrames'> {
  const file = wholeFile.cursor(WINDOW_BYTES);
  let [frames, first, last, declaredSeconds] = [0, Number.POSITIVE_INFINITY, 0, 0];
  for (let at = file.at(5, 4).readUInt32BE(0) + SIZE_BYTES; at < file.size; ) {
    const header = file.at(at, TAG_HEADER_BYTES);
    const type = (header[0] ?? 0) & 0x1f;
    const bytes = header.readUIntBE(1, 3);
    const time = header.readUIntBE(4, 3) + (header[7] ?? 0) * 2 ** 24;
    const payload = at + TAG_HEADER_BYTES;
    if (![AUDIO, VIDEO, SCRIPT].includes(type)) break;
    file.requireSize(payload + bytes);
    if (type === SCRIPT) declaredSeconds ||= durationIn(file.upTo(payload, Math.min(MAX_METADATA_BYTES, bytes)));
    if (type === VIDEO && isFrame(file.upTo(payload, Math.min(2, bytes)))) {
      frames++;
      first = Math.min(first, time);
      last = Math.max(last, time);
    }
    at = payload + bytes + SIZE_BYTES;
  }
  if (frames === 0) throw new StructureError('is damaged: it has no frames of video');
  // Without a duration, FFmpeg takes the time of the last tag.
  const seconds = (last - first) / 1000;
  const isDeclared = declaredSeconds > 0 && seconds > 0;
  return { frames, declaredFrames: isDeclared ? Math.round((declaredSeconds * (frames - 1)) / seconds) : undefined };
}

function durationIn(metadata: Buffer): number {
  const at = metadata.indexOf(DURATION) + DURATION.length;
  return at > DURATION.length && at + 8 <= metadata.length ? metadata.readDoubleBE(at) : 0;
}

const [AVC, COMMAND] = [7, 5];
const ENHANCED = 0x80;

/** Whether a tag has a frame, not the configuration of a decoder or a command. */
function isFrame([first = 0, second = 0]: Buffer): boolean {
  const [kind, codec] = [(first >> 4) & 7, first & 15];
  if (kind === COMMAND) return false;
  // In the enhanced form, the codec's place has the type of the packet: 1 and 3 are frames.
  if ((first & ENHANCED) !== 0) return codec === 1 || codec === 3;
  return codec !== AVC || second === 1;
}
