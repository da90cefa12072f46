import { StructureError } from '../../inspection-error.js';
import { decodeExifValues, type ExifBlock, readExifDirectory } from '../exif/exif-directory.js';
import { exifBlockOf, MAX_EXIF_BYTES, orientationOf } from '../orientation.js';

const APP0 = 0xe0;
const APP1 = 0xe1;
const APP2 = 0xe2;
const APP14 = 0xee;
const JFIF_UNIT = 7;
const NUMBER_OF_PICTURES = 0xb001;
const PICTURES = 0xb002;
const PICTURE_BYTES = 16;

/** Segments before the first scan, as Pillow reads them (11.1, `JpegImagePlugin.py`); it raises on some that are too short. */
export class ApplicationSegments {
  private readonly exif: Buffer[] = [];
  private exifBytes = 0;
  private hasDensity = false;
  private index: Buffer | undefined;

  /** @param segment without marker and length. @throws StructureError if Pillow rejects it */
  add(marker: number, segment: Buffer): void {
    const startsWith = (text: string) => segment.toString('latin1', 0, text.length) === text;
    if (marker === APP0 && startsWith('JFIF')) this.addDensity(segment);
    else if (marker === APP1 && startsWith('Exif\0\0')) {
      const part = this.exif.length === 0 ? segment : segment.subarray(6);
      this.exifBytes += part.length;
      if (this.exifBytes <= MAX_EXIF_BYTES) this.exif.push(Buffer.from(part));
    } else if (marker === APP2 && startsWith('MPF\0')) this.index = Buffer.from(segment.subarray(4));
    else if (marker === APP14 && startsWith('Adobe') && segment.length < 7) throw tooShort('Adobe');
  }

  /**
   * Pillow can't open a multi-picture file (CIPA DC-007) that counts more pictures than it lists, and reads other faulty indexes as
   * a single picture. @throws StructureError
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
    // Without a JFIF density, Pillow reads EXIF data on opening, ignores an invalid header, and never reads it again.
    return this.hasDensity || unlessUnreadable(exif) !== undefined ? orientationOf(exif) : 1;
  }

  private addDensity(segment: Buffer): void {
    if (segment.length < 7) throw tooShort('JFIF');
    if (segment.length >= 12 && [1, 2].includes(segment[JFIF_UNIT] ?? 0)) this.hasDensity = true;
  }
}

function unlessUnreadable(bytes: Buffer): ExifBlock | undefined {
  try {
    return exifBlockOf(bytes);
  } catch {
    return undefined;
  }
}

function tooShort(segment: string): StructureError {
  return new StructureError(`is damaged: its ${segment} segment is too short`);
}
