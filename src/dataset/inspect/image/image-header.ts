import { MAX_IMAGE_PIXELS } from '../../media.js';
import { formatCount, InspectionError, StructureError } from '../inspection-error.js';

/** Known from the structure, before any pixel is decoded. */
export interface ImageHeader {
  /** As stored. */
  readonly width: number;
  readonly height: number;
  /** 1 to 8, of EXIF. */
  readonly orientation: number;
  readonly animated: boolean;
  /** Estimated peak memory of libvips for a thumbnail. */
  readonly decoderBytes: number;
  /** The same row after row, where the format can be proved in that way. */
  readonly rowsBytes?: number;
  /** A still of the first frame, for a decoder that reads no animations of this format. */
  readonly firstFrame?: () => Buffer;
  /** Without libvips, in constant memory. @throws StructureError */
  readonly provePixels?: () => Promise<void>;
}

/** Rejects huge images before they are decoded. @throws InspectionError `IMAGE_TOO_LARGE`; StructureError if a side is zero */
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
