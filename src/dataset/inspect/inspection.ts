import type { ErrorProblem, Warning } from '../problems.js';

/** The result of an inspection that found no error. Stored with the file and returned by the API as it is. */
export type Facts =
  | {
      readonly kind: 'image';
      /** By content: `jpeg`, `png`, `webp`, `gif`, `bmp`, `tiff`, `avif`, `heic`. */
      readonly format: string;
      /** In pixels, after the EXIF orientation is applied, as the trainer applies it. Absent for a damaged image that it ignores. */
      readonly width?: number;
      readonly height?: number;
    }
  | {
      readonly kind: 'video';
      /** The container, by content: `mp4`, `mov`, `webm`, `mkv`, `avi`, `wmv`, `flv`. */
      readonly format: string;
      /** In pixels, after rotation. This and all below may be absent without ffmpeg. */
      readonly width?: number;
      readonly height?: number;
      readonly durationSeconds?: number;
      readonly frames?: number;
      readonly framesPerSecond?: number;
      readonly codec?: string;
      readonly hasAudio?: boolean;
    }
  | {
      readonly kind: 'caption';
      /** Unicode code points, without a byte order mark. */
      readonly characters: number;
    };

export type Inspection =
  | {
      readonly ok: true;
      /** By content, for the `Content-Type` header of downloads. */
      readonly contentType: string;
      readonly facts: Facts;
      readonly warnings: readonly Warning[];
    }
  | { readonly ok: false; readonly problem: ErrorProblem };

/** Inspects all bytes of a file as the type that the extension of `filename` declares. */
export type Inspect = (file: { readonly filename: string; readonly path: string }) => Promise<Inspection>;

/** An image by its header, as libvips reads it. */
export interface ImageDescription {
  readonly width: number;
  readonly height: number;
  readonly pages: number;
  /** The EXIF orientation, 1 to 8. */
  readonly orientation: number;
}

/** What a person must know of the pixels of a mask. */
export interface MaskTraits {
  /** Every pixel is 0 after the trainer's conversion. */
  readonly isBlack: boolean;
  /** The channels of a pixel differ. */
  readonly isColoured: boolean;
  /** A pixel is not opaque. */
  readonly isTransparent: boolean;
  /** A grey of 16 bits becomes white, because Pillow cuts it off at 255. */
  readonly isCutOff: boolean;
  /** Its pixels are amounts of printing inks. */
  readonly isCmyk: boolean;
}

/** Decodes the first frame of an image. A source is the path or the bytes of a file. All throw StructureError and OutOfMemory. */
export interface PixelDecoder {
  readonly describe: (source: string | Buffer) => Promise<ImageDescription>;
  /**
   * Decodes to the last row and discards the pixels. With the number of its rows, it decodes one row after the other, and otherwise
   * scales them down, which needs more memory unless a decoder does so itself.
   */
  readonly prove: (source: string | Buffer, options?: { readonly rows?: number }) => Promise<void>;
  readonly readMask: (source: string | Buffer) => Promise<MaskTraits>;
}
