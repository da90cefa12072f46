import type { FileBytes } from '../../byte-source.js';
import { StructureError } from '../../inspection-error.js';
import {
  brokenExif,
  exifBlockOf,
  isTurned,
  MAX_EXIF_BYTES,
  requireRewritable,
  storedOrientation,
  validOrientation,
} from '../orientation.js';
import { type PngChunk, payloadOf } from './png-chunks.js';
import { checkColourProfile, MAX_TEXT_CHARACTERS, PngTexts, tooMuchText } from './png-text.js';

/** The least length of chunks that Pillow unpacks; that of tRNS is by the type of colour: grey, RGB. */
const LEAST_BYTES: Record<string, number> = { gAMA: 4, sRGB: 1, pHYs: 9, acTL: 8, fcTL: 26, fdAT: 4 };
const LEAST_TRANSPARENCY_BYTES: Record<number, number> = { 0: 2, 2: 6 };
const TEXTS = ['tEXt', 'zTXt', 'iTXt'];
const PALETTE = 3;
const MAX_FRAMES = 0x8000_0000;

interface Picture {
  readonly width: number;
  readonly height: number;
  readonly colour: number;
}

/**
 * The chunks of a PNG that hold no pixels, as Pillow reads them (11.1, `PngImagePlugin.py`): up to the end, or, in an animation,
 * up to its second frame. Pillow raises on many that are invalid, and the trainer drops the picture, where libpng warns.
 */
export class PngMetadata {
  private readonly picture: Picture;
  private readonly texts = new PngTexts();
  private exif: Buffer | 'text' | undefined;
  private frames: number | undefined;
  private sequence = 0;
  /** Whether a frame is announced before the pixels: without one, they are none of the frames of the animation. */
  private hasFrame = false;
  private start: { readonly isAnimated: boolean } | undefined;

  constructor(picture: Picture) {
    this.picture = picture;
  }

  /** @throws StructureError, InspectionError if Pillow rejects the chunk */
  add(file: FileBytes, chunk: PngChunk): void {
    const { type, length, payload } = chunk;
    if (!this.isValidLength(chunk)) throw new StructureError(`is damaged: its ${type} chunk has an invalid length`);
    if (TEXTS.includes(type)) {
      if (length > MAX_TEXT_CHARACTERS) throw tooMuchText();
      this.texts.add(type, payloadOf(file, chunk, length));
      this.takeExifText();
    } else if (type === 'iCCP') checkColourProfile(payloadOf(file, chunk, MAX_TEXT_CHARACTERS));
    else if (type === 'eXIf') this.exif = payloadOf(file, chunk, MAX_EXIF_BYTES);
    else if (type === 'acTL') this.addAnimation(file.at(payload, 4).readUInt32BE(0));
    else if (type === 'fcTL') this.addFrame(file.at(payload, 26));
    else if (type === 'fdAT') this.addFrameData(file.at(payload, 4).readUInt32BE(0));
  }

  /** Ends what Pillow reads before it knows the number of frames. Called at each chunk of pixels. */
  startPixels(): void {
    this.start ??= { isAnimated: this.frames !== undefined && this.frames + (this.hasFrame ? 0 : 1) > 1 };
  }

  /** Whether Pillow sees more than one frame. */
  get isAnimated(): boolean {
    return this.start?.isAnimated ?? false;
  }

  /** @throws InspectionError where Pillow's `exif_transpose` raises */
  orientation(): number {
    const block = this.exifBlock();
    let orientation = block === undefined ? undefined : storedOrientation(block);
    if (orientation === undefined) {
      const xmp = this.texts.orienting.get('XML:com.adobe.xmp');
      const text = xmp?.bytes.toString(xmp.chunkType === 'iTXt' ? 'utf8' : 'latin1') ?? '';
      orientation = Number(/tiff:Orientation(?:="|>)([0-9])/.exec(text)?.[1] ?? 1);
    }
    if (block !== undefined && isTurned(orientation)) requireRewritable(block);
    return validOrientation(orientation);
  }

  private isValidLength({ type, length }: PngChunk): boolean {
    const { colour } = this.picture;
    if (type === 'cHRM') return length % 4 === 0;
    if (type !== 'tRNS') return length >= (LEAST_BYTES[type] ?? 0);
    return colour === PALETTE ? length <= 256 : length >= (LEAST_TRANSPARENCY_BYTES[colour] ?? 0);
  }

  private exifBlock() {
    if (this.exif === 'text') throw brokenExif('it is stored as text');
    if (this.exif !== undefined) return exifBlockOf(this.exif);
    const profile = this.texts.orienting.get('Raw profile type exif');
    return profile === undefined ? undefined : exifBlockOf(rawProfile(profile.bytes));
  }

  /** A text named "exif" takes the place of an eXIf chunk. Pillow can only read one without compression. */
  private takeExifText(): void {
    const text = this.texts.orienting.get('exif');
    if (text === undefined) return;
    this.exif = text.chunkType === 'tEXt' || text.bytes.length === 0 ? text.bytes : 'text';
    this.texts.orienting.delete('exif');
  }

  private addAnimation(frames: number): void {
    const isValid = this.frames === undefined && frames > 0 && frames <= MAX_FRAMES;
    this.frames = isValid ? frames : undefined;
  }

  private addFrame(bytes: Buffer): void {
    this.addSequenceNumber(bytes.readUInt32BE(0));
    const [width, height] = [bytes.readUInt32BE(4), bytes.readUInt32BE(8)];
    const isInside =
      bytes.readUInt32BE(12) + width <= this.picture.width && bytes.readUInt32BE(16) + height <= this.picture.height;
    const isFirst = this.start === undefined;
    // The pixels before any other frame are those of the whole picture.
    const fits = isFirst ? width === this.picture.width && height === this.picture.height : width > 0 && height > 0;
    if (!isInside || !fits) {
      throw new StructureError('is damaged: a frame of its animation does not fit the picture');
    }
    this.hasFrame ||= isFirst;
  }

  private addFrameData(sequence: number): void {
    if (this.sequence === 0) throw outOfOrder();
    this.addSequenceNumber(sequence);
  }

  private addSequenceNumber(number: number): void {
    if (number !== this.sequence) throw outOfOrder();
    this.sequence++;
  }
}

/** EXIF data as ImageMagick writes it: three lines, then hexadecimal digits. @throws InspectionError if there are others */
function rawProfile(text: Buffer): Buffer {
  const lines = text.toString('latin1').split('\n').slice(3).join('');
  const digits = lines.replace(/[ \t\r\v\f]+/g, '');
  const isValid = !/[^0-9a-fA-F]/.test(digits) && digits.length % 2 === 0;
  if (!isValid) throw brokenExif('its raw profile is not hexadecimal');
  return Buffer.from(digits, 'hex');
}

function outOfOrder(): StructureError {
  return new StructureError('is damaged: a frame of its animation is missing or out of order');
}
