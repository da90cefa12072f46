import type { FileBytes } from '../../byte-source.js';
import { StructureError } from '../../inspection-error.js';
import type { FrameCheck } from './frame-check.js';
import { frameStartCheck } from './frame-starts.js';
import { type NalCodec, nalLengthBytes, nalUnitCheck, startCodeCheck } from './nal-units.js';
import type { VideoCodec } from './video-codecs.js';

/** The codec of a track, and its configuration: the content of `avcC` and the like, or Matroska's CodecPrivate. */
export interface CodecSetup {
  readonly codec: VideoCodec;
  readonly configuration: Buffer | undefined;
}

/** Frames are read through a small window of their own: a few bytes at each of many offsets. */
const WINDOW_BYTES = 1024;
const FIRST_FRAME_BYTES = 1024;

/**
 * The check of each frame of a track; `undefined` if the frames of its codec prove nothing. Call it for the frames in their
 * order.
 *
 * @throws StructureError if the configuration is damaged
 */
export function frameCheckOf(wholeFile: FileBytes, setup: CodecSetup): FrameCheck | undefined {
  const { codec } = setup;
  const file = wholeFile.cursor(WINDOW_BYTES);
  if (codec === 'avc' || codec === 'hevc') return nalCheckOf(file, codec, setup.configuration);
  const check = frameStartCheck(file, codec);
  if (setup.configuration !== undefined || check === undefined) return check;
  const isHeader = HEADERS_IN_FRAMES[codec];
  return isHeader === undefined ? check : firstFrameCheck(file, check, isHeader);
}

function nalCheckOf(file: FileBytes, codec: NalCodec, configuration: Buffer | undefined): FrameCheck {
  if (configuration === undefined) return startCodeCheck(file, codec, { needsParameterSets: true });
  // FFmpeg takes a configuration of this kind for parameter sets with start codes.
  const hasStartCodes =
    codec === 'avc' ? configuration[0] !== 1 : configuration.length >= 3 && configuration.readUIntBE(0, 3) <= 1;
  if (hasStartCodes) return startCodeCheck(file, codec, { needsParameterSets: false });
  return nalUnitCheck(file, codec, nalLengthBytes(codec, configuration));
}

/** Returns whether the beginning of a frame has the header that a track without a configuration has in its first frame. */
const HEADERS_IN_FRAMES: Partial<Record<VideoCodec, (bytes: Buffer) => boolean>> = {
  mpeg4: (bytes) => /\0\0\x01[\x20-\x2f]|^\0\0[\x80-\x83]/.test(bytes.toString('latin1')),
  av1: (bytes) => [0x0a, 0x0e].includes(bytes[bytes[0] === 0x12 && bytes[1] === 0 ? 2 : 0] ?? 0),
};

function firstFrameCheck(file: FileBytes, check: FrameCheck, isHeader: (bytes: Buffer) => boolean): FrameCheck {
  let isFirst = true;
  return (start, end) => {
    check(start, end);
    if (isFirst && !isHeader(file.at(start, Math.min(FIRST_FRAME_BYTES, end - start)))) {
      throw new StructureError('is damaged: neither its header nor its first frame has the parameters to decode it');
    }
    isFirst = false;
  };
}

/**
 * The check of frames under a name that is unknown here. The first frame of some codecs has a mark that no other codec has:
 * then the name was changed, and FFmpeg finds no decoder by it.
 */
export function unknownCodecCheck(wholeFile: FileBytes, shownName: string): FrameCheck {
  const file = wholeFile.cursor(MARK_BYTES);
  let isFirst = true;
  return (start, end) => {
    const bytes = file.upTo(start, Math.min(MARK_BYTES, end - start)).toString('latin1');
    const isMarked = isFirst && MARKS.some((mark) => mark.test(bytes));
    isFirst = false;
    if (isMarked) throw new StructureError(`is damaged: its codec ${shownName} does not match its frames`);
  };
}

const MARK_BYTES = 10;
/** Of ProRes, PNG, JPEG, DNxHD, DV, and of the key frames of VP8 and VP9. */
const MARKS = [
  /^.{4}icpf/s,
  /^\x89PNG\r\n/,
  /^\xff\xd8\xff/,
  /^\x1f\x07\0/,
  /^\0\0\x02\x80[\x01-\x03]/,
  /^.{3}\x9d\x01\x2a/s,
  /^[\x80-\xbf]\x49\x83\x42/,
];
