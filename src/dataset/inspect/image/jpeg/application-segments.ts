import { StructureError } from '../../inspection-error.js';
import { decodeExifValues, type ExifBlock, readExifDirectory } from '../exif/exif-directory.js';
import { brokenExif, exifBlockOf, MAX_EXIF_BYTES, orientationOf } from '../orientation.js';

const APP0 = 0xe0;
const APP1 = 0xe1;
const APP2 = 0xe2;
const APP13 = 0xed;
const APP14 = 0xee;
const RESOLUTION_UNIT = 0x0128;
const X_RESOLUTION = 0x011a;
const JFIF_UNIT = 7;
const RESOLUTION_INFO = 0x03ed;
const NUMBER_OF_PICTURES = 0xb001;
const PICTURES = 0xb002;
const PICTURE_BYTES = 16;

/**
 * The metadata of a JPEG as Pillow reads it (11.1, `JpegImagePlugin.py`): the segments before the first scan, in order. Pillow
 * raises on some segments that are too short, and the trainer drops the picture.
 */
export class ApplicationSegments {
  private readonly exif: Buffer[] = [];
  private exifBytes = 0;
  private hasDensity = false;
  private profile: Buffer[] = [];
  private index: Buffer | undefined;

  /** @param segment without its marker and length; copied if it is kept. @throws StructureError if Pillow rejects it */
  add(marker: number, segment: Buffer): void {
    const startsWith = (text: string) => segment.toString('latin1', 0, text.length) === text;
    if (marker === APP0 && startsWith('JFIF')) this.addDensity(segment);
    else if (marker === APP1 && startsWith('Exif\0\0')) {
      const part = this.exif.length === 0 ? segment : segment.subarray(6);
      this.exifBytes += part.length;
      if (this.exifBytes <= MAX_EXIF_BYTES) this.exif.push(Buffer.from(part));
    } else if (marker === APP2 && startsWith('ICC_PROFILE\0')) this.profile.push(Buffer.from(segment.subarray(0, 14)));
    else if (marker === APP2 && startsWith('MPF\0')) this.index = Buffer.from(segment.subarray(4));
    else if (marker === APP13 && startsWith('Photoshop 3.0\0')) checkPhotoshop(segment);
    else if (marker === APP14 && startsWith('Adobe') && segment.length < 7) throw tooShort('Adobe');
  }

  /** Checks the colour profile as Pillow does at each frame header. @throws StructureError */
  checkProfile(): void {
    const [first] = this.profile.sort(Buffer.compare);
    if (first !== undefined && first.length < 14) throw tooShort('colour profile');
    this.profile = [];
  }

  /**
   * Checks the index of a file of several pictures (CIPA DC-007). Pillow can't open one that counts more pictures than it lists,
   * and reads one with any other fault as a single picture. @throws StructureError
   */
  checkIndex(): void {
    const block = this.index && unlessUnreadable(this.index);
    if (this.index === undefined || block === undefined) return;
    const fields = readExifDirectory(block, block.firstDirectory);
    const [number, pictures] = [NUMBER_OF_PICTURES, PICTURES].map((tag) => {
      const field = fields.get(tag);
      return field && decodeExifValues(block, field);
    });
    if (number?.kind !== 'integers' || pictures?.kind !== 'bytes') return;
    const formatAt = this.index.toString('latin1', 0, 4) === 'MM\0*' ? 0 : 3;
    for (let picture = 0; picture < (number.items[0] ?? 0); picture++) {
      const at = picture * PICTURE_BYTES;
      if (at + PICTURE_BYTES > pictures.bytes.length) throw tooShort('MPF');
      const isJpeg = ((pictures.bytes[at + formatAt] ?? 0) & 7) === 0;
      if (!isJpeg) return;
    }
  }

  /** @throws InspectionError where Pillow's `exif_transpose` raises */
  orientation(): number {
    if (this.exif.length === 0) return 1;
    const exif = Buffer.concat(this.exif);
    if (this.hasDensity) return orientationOf(exif);
    // Without a density in its JFIF header, Pillow looks for one in the EXIF data when it opens the file. It ignores an
    // invalid header then, and never reads the data again.
    try {
      checkResolution(exif);
      return orientationOf(exif);
    } catch (error) {
      if (unlessUnreadable(exif) === undefined) return 1;
      throw error;
    }
  }

  private addDensity(segment: Buffer): void {
    if (segment.length < 7) throw tooShort('JFIF');
    if (segment.length >= 12 && [1, 2].includes(segment[JFIF_UNIT] ?? 0)) this.hasDensity = true;
  }
}

/** The TIFF structure of these bytes, if they have one. */
function unlessUnreadable(bytes: Buffer): ExifBlock | undefined {
  try {
    return exifBlockOf(bytes);
  } catch {
    return undefined;
  }
}

/** Pillow divides the first two characters of a resolution that is stored as text or bytes, and raises if there is only one. */
function checkResolution(exif: Buffer): void {
  const block = exifBlockOf(exif);
  if (block === undefined) return;
  const fields = readExifDirectory(block, block.firstDirectory);
  const resolution = fields.get(X_RESOLUTION);
  if (resolution === undefined || !fields.has(RESOLUTION_UNIT)) return;
  const values = decodeExifValues(block, resolution);
  const isShort =
    values.kind === 'text'
      ? values.bytes.length === 0 || /^[0-9]$/.test(values.bytes.toString('latin1'))
      : values.kind === 'bytes' && values.bytes.length < 2;
  if (isShort) throw brokenExif('its resolution is stored as text');
}

/** Follows the resource blocks as far as Pillow does. */
function checkPhotoshop(segment: Buffer): void {
  for (let at = 14; segment.toString('latin1', at, at + 4) === '8BIM'; ) {
    if (at + 6 > segment.length) return;
    const code = segment.readUInt16BE(at + 4);
    const nameLength = segment[at + 6];
    if (nameLength === undefined) throw tooShort('Photoshop');
    at += 7 + nameLength;
    at += at & 1;
    if (at + 4 > segment.length) return;
    const length = segment.readUInt32BE(at);
    if (code === RESOLUTION_INFO && Math.min(length, segment.length - at - 4) < 14) return;
    at += 4 + length;
    at += at & 1;
  }
}

function tooShort(segment: string): StructureError {
  return new StructureError(`is damaged: its ${segment} segment is too short`);
}
