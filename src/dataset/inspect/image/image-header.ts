import { MAX_IMAGE_PIXELS } from '../../media.js';
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
  /** The same while it decodes one row after the other, where the format can be proved in that way. */
  readonly rowsBytes?: number;
  /** A still image of the first frame, for a decoder that does not read animations of this format. */
  readonly firstFrame?: () => Buffer;
  /** Proves the pixels without libvips, in constant memory. @throws StructureError */
  readonly provePixels?: () => Promise<void>;
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
