import type { FileBytes } from '../../byte-source.js';
import { StructureError } from '../../inspection-error.js';
import { damagedFrame, type FrameCheck } from './frame-check.js';

/** The codecs whose frames consist of NAL units. */
export type NalCodec = 'avc' | 'hevc';

/** FFmpeg ignores up to three bytes after the last NAL unit. */
const MAX_TRAILING_BYTES = 3;
const FIRST_FRAME_BYTES = 4096;

/**
 * Reads the length of the length before each NAL unit from `avcC` or `hvcC` (ISO/IEC 14496-15), in bytes.
 *
 * @throws StructureError if a parameter set is longer than the configuration
 */
export function nalLengthBytes(codec: NalCodec, configuration: Buffer): number {
  const lengthAt = codec === 'avc' ? 4 : 21;
  let at = lengthAt + 1;
  const field = (bytes: 1 | 2): number => {
    at += bytes;
    if (at > configuration.length) throw brokenConfiguration(codec);
    return configuration.readUIntBE(at - bytes, bytes);
  };
  const skipUnits = (count: number): void => {
    for (let unit = 0; unit < count; unit++) {
      const length = field(2);
      at += length;
    }
  };
  if (codec === 'avc') {
    skipUnits(field(1) & 31);
    skipUnits(field(1));
  } else {
    for (let arrays = field(1); arrays > 0; arrays--) {
      at++;
      skipUnits(field(2));
    }
  }
  if (at > configuration.length) throw brokenConfiguration(codec);
  return ((configuration[lengthAt] ?? 0) & 3) + 1;
}

function brokenConfiguration(codec: NalCodec): StructureError {
  return new StructureError(`is damaged: its ${codec === 'avc' ? 'H.264' : 'HEVC'} configuration is incomplete`);
}

/**
 * Follows the lengths of the NAL units through each frame, without reading the bytes between: they must add up to the frame,
 * and each unit must begin with a valid header.
 */
export function nalUnitCheck(file: FileBytes, codec: NalCodec, lengthBytes: number): FrameCheck {
  const startCodes = startCodeCheck(file, codec, { needsParameterSets: false });
  // FFmpeg also decodes H.264 frames with start codes instead of lengths, but no such HEVC frames.
  let hasStartCodes = codec === 'avc' ? undefined : false;
  const isChain = (start: number, end: number): boolean => {
    for (let at = start; end - at > MAX_TRAILING_BYTES; ) {
      const bytes = file.upTo(at, Math.min(lengthBytes + 2, end - at));
      const length = bytes.readUIntBE(0, lengthBytes);
      const next = at + lengthBytes + length;
      if (length === 0 || next > end || !isValidHeader(codec, bytes.subarray(lengthBytes))) return false;
      at = next;
    }
    return true;
  };
  return (start, end) => {
    if (hasStartCodes === true) return startCodes(start, end);
    if (isChain(start, end)) hasStartCodes ??= false;
    else if (hasStartCodes === undefined && beginsWithStartCode(file.upTo(start, 4))) hasStartCodes = true;
    else throw damagedFrame(file, start, end);
  };
}

/** The first bit is zero (`forbidden_zero_bit`), and the temporal identifier of an HEVC unit is not. */
function isValidHeader(codec: NalCodec, [first = 0, second = 1]: Iterable<number>): boolean {
  return first < 128 && (codec === 'avc' || (second & 7) !== 0);
}

/**
 * Checks that each frame begins with a start code (ITU-T H.264, annex B). Without a configuration, the first frame must
 * have the parameter sets.
 */
export function startCodeCheck(file: FileBytes, codec: NalCodec, options: { needsParameterSets: boolean }): FrameCheck {
  let needsParameterSets = options.needsParameterSets;
  return (start, end) => {
    if (!beginsWithStartCode(file.upTo(start, Math.min(4, end - start)))) throw damagedFrame(file, start, end);
    if (!needsParameterSets) return;
    needsParameterSets = false;
    const bytes = file.at(start, Math.min(FIRST_FRAME_BYTES, end - start));
    for (let at = bytes.indexOf(START_CODE); at !== -1; at = bytes.indexOf(START_CODE, at + 3)) {
      if (unitType(codec, bytes[at + 3] ?? 0) === (codec === 'avc' ? 7 : 33)) return;
    }
    throw new StructureError('is damaged: neither its header nor its first frame has the parameters to decode it');
  };
}

const START_CODE = Buffer.of(0, 0, 1);

function beginsWithStartCode(bytes: Buffer): boolean {
  const at = bytes.indexOf(START_CODE);
  return at === 0 || (at === 1 && bytes[0] === 0);
}

function unitType(codec: NalCodec, first: number): number {
  return codec === 'avc' ? first & 31 : (first >> 1) & 63;
}
