import { MAX_IMAGE_PIXELS } from '../../media.js';
import type { MaskTraits } from '../inspection.js';
import { formatCount, InspectionError, StructureError } from '../inspection-error.js';

/** The properties of an image that its structure gives, before any pixel is decoded. */
export interface ImageHeader {
  /** As stored, in pixels. */
  readonly width: number;
  readonly height: number;
  /** The EXIF orientation, 1 to 8. */
  readonly orientation: number;
  readonly animated: boolean;
  /** Estimated peak memory of libvips while it decodes the image into a thumbnail, in bytes. */
  readonly decoderBytes: number;
  /** What is damaged in an image that the trainer ignores, as the rest of a sentence that begins with the file's name. */
  readonly damage?: string;
  /** A file of the first frame only, for a decoder that would walk all frames of an animation, or that does not read animations. */
  readonly firstFrame?: () => Buffer;
  /** Proves the pixels without libvips: every JPEG, and images that would exceed its memory budget. @throws StructureError */
  readonly provePixels?: () => Promise<void>;
  /**
   * Proves the pixels and reads them as those of a mask, in constant memory; `undefined` if they are too large for that.
   * Absent where only a decoder reads them. @throws StructureError
   */
  readonly readMask?: () => Promise<MaskTraits | undefined>;
}

/**
 * Checks the dimensions in the header, so that a small file that declares a huge image is rejected before it is decoded.
 *
 * @throws InspectionError `IMAGE_TOO_LARGE`; StructureError if a side is zero
 */
export function checkDimensions(width: number, height: number): void {
  if (width < 1 || height < 1) throw new StructureError(`is damaged: its header gives ${width}×${height} pixels`);
  if (width * height > MAX_IMAGE_PIXELS) {
    throw new InspectionError(
      'IMAGE_TOO_LARGE',
      `has ${formatCount(width)}×${formatCount(height)} pixels; the trainer opens at most ${formatCount(MAX_IMAGE_PIXELS)}. ` +
        'Scale it down and upload it again.',
    );
  }
}

/** The damage that a check finds in an image that the trainer ignores. */
export function damageIn(check: () => void): { damage?: string } {
  try {
    check();
    return {};
  } catch (error) {
    if (error instanceof StructureError) return { damage: error.message };
    throw error;
  }
}
