import { MAX_IMAGE_PIXELS } from '../../media.js';
import { formatCount, InspectionError, StructureError } from '../inspection-error.js';

/** What an image's structure says of it, before any pixel is decoded. */
export interface ImageHeader {
  /** As stored, in pixels. */
  readonly width: number;
  readonly height: number;
  /** EXIF, 1 to 8. */
  readonly orientation: number;
  readonly animated: boolean;
  /** An estimate of what libvips and its decoder hold at once while decoding into a thumbnail, in bytes. */
  readonly decoderBytes: number;
  /** A proof of the pixels without a decoder, for where that would hold too much. @throws Damage */
  readonly provePixels?: () => Promise<void>;
}

/**
 * Judges a size from the header alone, so that a small file with a large claim costs nothing.
 *
 * @throws Fault `IMAGE_TOO_LARGE`; Damage where a side is zero.
 */
export function checkDimensions(width: number, height: number): void {
  if (width < 1 || height < 1) throw new StructureError(`is damaged: its header says ${width}×${height} pixels`);
  if (width * height > MAX_IMAGE_PIXELS) {
    throw new InspectionError(
      'IMAGE_TOO_LARGE',
      `has ${formatCount(width)}×${formatCount(height)} pixels; the trainer opens at most ${formatCount(MAX_IMAGE_PIXELS)}. ` +
        'Make it smaller and upload it again.',
    );
  }
}
