import type { FileBytes } from '../../byte-source.js';
import { StructureError } from '../../inspection-error.js';
import { Bits } from './bits.js';
import { damagedFrame, type FrameCheck } from './frame-check.js';

/** The codecs whose frames consist of NAL units. */
export type NalCodec = 'avc' | 'hevc';

/** The configuration of a track (`avcC`, `hvcC`, ISO/IEC 14496-15). */
export interface NalConfiguration {
  /** The bytes of the length before each NAL unit. */
  readonly lengthBytes: number;
  /** The identifiers of the picture parameter sets, to one of which each slice refers. */
  readonly pictureSets: Set<number>;
}

/** The bytes of a NAL unit that are read: its header and the first fields of a slice. */
const HEAD_BYTES = 24;
/** FFmpeg ignores up to three bytes after the last NAL unit. */
const MAX_TRAILING_BYTES = 3;
const FIRST_SAMPLE_BYTES = 4096;

/** Parses `avcC` or `hvcC`. @throws StructureError if a parameter set is longer than the configuration */
export function nalConfiguration(codec: NalCodec, bytes: Buffer): NalConfiguration {
  const lengthAt = codec === 'avc' ? 4 : 21;
  const lengthBytes = ((bytes[lengthAt] ?? 0) & 3) + 1;
  const pictureSets = new Set<number>();
  const addPictureSet = (unit: Buffer): void => {
    const id = pictureSetOf(codec, unit);
    if (id !== undefined) pictureSets.add(id);
  };
  let at = lengthAt + 1;
  const readUnits = (count: number): void => {
    for (let unit = 0; unit < count; unit++) {
      const length = at + 2 <= bytes.length ? bytes.readUInt16BE(at) : bytes.length;
      if (at + 2 + length > bytes.length) throw brokenConfiguration(codec);
      addPictureSet(bytes.subarray(at + 2, at + 2 + length));
      at += 2 + length;
    }
  };
  if (bytes.length < (codec === 'avc' ? 7 : 23)) throw brokenConfiguration(codec);
  if (codec === 'avc') {
    readUnits((bytes[at++] ?? 0) & 31);
    readUnits(bytes[at++] ?? 0);
  } else {
    for (let arrays = bytes[at++] ?? 0; arrays > 0; arrays--) {
      if (at + 3 > bytes.length) throw brokenConfiguration(codec);
      at += 3;
      readUnits(bytes.readUInt16BE(at - 2));
    }
  }
  return { lengthBytes, pictureSets };
}

function brokenConfiguration(codec: NalCodec): StructureError {
  return new StructureError(`is damaged: its ${codec === 'avc' ? 'H.264' : 'HEVC'} configuration is incomplete`);
}

/**
 * Follows the lengths of the NAL units through each frame, without reading what is between: they must add up to the frame.
 * Each header must be valid, and each slice must refer to a known picture parameter set.
 */
export function nalUnitCheck(file: FileBytes, codec: NalCodec, configuration: NalConfiguration): FrameCheck {
  const { lengthBytes, pictureSets } = configuration;
  const startCodes = startCodeCheck(file, codec, { needsParameterSets: false });
  // FFmpeg also decodes H.264 frames with start codes instead of lengths, but no such HEVC frames.
  let hasStartCodes = codec === 'avc' ? undefined : false;
  const isChain = (start: number, end: number): boolean => {
    for (let at = start; end - at > MAX_TRAILING_BYTES; ) {
      const bytes = file.upTo(at, Math.min(lengthBytes + HEAD_BYTES, end - at));
      const length = bytes.readUIntBE(0, lengthBytes);
      const next = at + lengthBytes + length;
      if (length === 0 || next > end) return false;
      if (!isValidUnit(codec, bytes.subarray(lengthBytes, lengthBytes + length), pictureSets)) return false;
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
    const bytes = file.upTo(start, Math.min(FIRST_SAMPLE_BYTES, end - start));
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

/** The identifier of a picture parameter set; `undefined` for another NAL unit. */
function pictureSetOf(codec: NalCodec, unit: Buffer): number | undefined {
  if (unitType(codec, unit[0] ?? 0) !== (codec === 'avc' ? 8 : 34)) return undefined;
  return Bits.ofNalUnit(unit.subarray(codec === 'avc' ? 1 : 2, HEAD_BYTES)).takeGolomb();
}

function isValidUnit(codec: NalCodec, unit: Buffer, pictureSets: Set<number>): boolean {
  const [first = 0, second = 1] = unit;
  // The first bit is zero (forbidden_zero_bit), and no temporal identifier of HEVC is.
  if (first > 127 || (codec === 'hevc' && (second & 7) === 0)) return false;
  const added = pictureSetOf(codec, unit);
  if (added !== undefined) pictureSets.add(added);
  return codec === 'avc' ? isValidAvcUnit(unit, pictureSets) : isValidHevcUnit(unit, pictureSets);
}

/** The slice header of H.264, section 7.3.3: first macroblock, type, picture parameter set. */
function isValidAvcUnit(unit: Buffer, pictureSets: ReadonlySet<number>): boolean {
  const type = unitType('avc', unit[0] ?? 0);
  if (type !== 1 && type !== 5) return true;
  const bits = Bits.ofNalUnit(unit.subarray(1));
  bits.takeGolomb();
  return bits.takeGolomb() <= 9 && isKnownSet(bits.takeGolomb(), pictureSets);
}

/** The slice header of HEVC (ITU-T H.265, section 7.3.6.1): its flags, picture parameter set. */
function isValidHevcUnit(unit: Buffer, pictureSets: ReadonlySet<number>): boolean {
  const [first = 0, second = 0] = unit;
  const type = unitType('hevc', first);
  const isBaseLayer = (first & 1) === 0 && second >> 3 === 0;
  const isIntraRandomAccess = type >= 16 && type <= 21;
  if (!isBaseLayer || (type > 9 && !isIntraRandomAccess)) return true;
  const bits = Bits.ofNalUnit(unit.subarray(2));
  bits.take(isIntraRandomAccess ? 2 : 1);
  return isKnownSet(bits.takeGolomb(), pictureSets);
}

function isKnownSet(id: number, pictureSets: ReadonlySet<number>): boolean {
  return pictureSets.has(id);
}
