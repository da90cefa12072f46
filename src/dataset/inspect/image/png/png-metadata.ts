import type { FileBytes } from '../../byte-source.js';
import { StructureError } from '../../inspection-error.js';
import { checkDimensions } from '../image-header.js';
import {
  brokenExif,
  exifBlockOf,
  isTurned,
  MAX_EXIF_BYTES,
  requireRewritable,
  storedOrientation,
  validOrientation,
} from '../orientation.js';
import type { PngChunk } from './png-chunks.js';
import { checkColourProfile, PngTexts } from './png-text.js';

/** The least length of chunks that Pillow unpacks. */
const LEAST_BYTES: Record<string, number> = { gAMA: 4, sRGB: 1, pHYs: 9, acTL: 8, fcTL: 26, fdAT: 4 };
const MAX_FRAMES = 0x8000_0000;

/** A part of the picture, in pixels. */
interface Region {
  readonly width: number;
  readonly height: number;
}

/**
 * The chunks of a PNG that hold no pixels, as Pillow reads them (11.1, `PngImagePlugin.py`): up to the end, or, in an animation,
 * up to its second frame. Pillow raises on many that are invalid, and the trainer drops the picture.
 */
export class PngMetadata {
  private readonly image: Region & { readonly colour: number };
  private readonly texts = new PngTexts();
  private exif: Buffer | 'text' | undefined;
  private frames: number | undefined;
  private sequence: number | undefined;
  private frame: Region | undefined;
  private start: { readonly frame: Region | undefined; readonly isAnimated: boolean } | undefined;

  constructor(image: Region & { readonly colour: number }) {
    this.image = image;
  }

  /** @throws StructureError, InspectionError if Pillow rejects the chunk */
  add(file: FileBytes, chunk: PngChunk): void {
    if (chunk.length < (LEAST_BYTES[chunk.type] ?? 0)) throw invalidLength(chunk.type);
    switch (chunk.type) {
      case 'tEXt':
      case 'zTXt':
      case 'iTXt':
        this.texts.add(file, chunk);
        this.takeExifText();
        break;
      case 'iCCP':
        checkColourProfile(file, chunk);
        break;
      case 'cHRM':
        if (chunk.length % 4 !== 0) throw invalidLength(chunk.type);
        break;
      case 'tRNS':
        if (chunk.length < (this.image.colour === 0 ? 2 : this.image.colour === 2 ? 6 : 0))
          throw invalidLength(chunk.type);
        if (this.image.colour === 3 && chunk.length > 256) throw invalidLength(chunk.type);
        break;
      case 'PLTE':
        if (this.image.colour === 3 && Math.floor(chunk.length / 3) > 256) throw invalidLength(chunk.type);
        break;
      case 'eXIf': {
        const length = Math.min(chunk.length, MAX_EXIF_BYTES);
        this.exif = Buffer.from(file.copy(chunk.payload, chunk.payload + length));
        break;
      }
      case 'acTL':
        this.addAnimation(file.at(chunk.payload, 4).readUInt32BE(0));
        break;
      case 'fcTL':
        this.addFrame(file.at(chunk.payload, 26));
        break;
      case 'fdAT':
        if (this.sequence === undefined) throw outOfOrder();
        this.addSequenceNumber(file.at(chunk.payload, 4).readUInt32BE(0));
        break;
    }
  }

  /** Ends what Pillow reads before it knows the number of frames. Called at each chunk of pixels. */
  startPixels(): void {
    // An image without a control chunk before it is none of the frames of the animation.
    const frames = this.frames === undefined ? 1 : this.frames + (this.frame === undefined ? 1 : 0);
    this.start ??= { frame: this.frame, isAnimated: frames > 1 };
    if (this.start.frame !== undefined) checkDimensions(this.start.frame.width, this.start.frame.height);
  }

  /** Whether Pillow sees more than one frame. */
  get isAnimated(): boolean {
    return this.start?.isAnimated ?? false;
  }

  /** The region that the pixels cover: the whole image, or that in the control chunk before them. */
  get region(): Region {
    return this.start?.frame ?? this.image;
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
      bytes.readUInt32BE(12) + width <= this.image.width && bytes.readUInt32BE(16) + height <= this.image.height;
    if (!isInside || width === 0 || height === 0)
      throw new StructureError('is damaged: a frame of its animation lies outside the picture');
    this.frame = { width, height };
  }

  private addSequenceNumber(number: number): void {
    if (number !== (this.sequence === undefined ? 0 : this.sequence + 1)) throw outOfOrder();
    this.sequence = number;
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

function invalidLength(type: string): StructureError {
  return new StructureError(`is damaged: its ${type} chunk has an invalid length`);
}
