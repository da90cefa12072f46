import type { ErrorProblem, Warning } from '../problems.js';
import type { FileBytes } from './byte-source.js';

/** Stored with the file, and returned by the API as it is. */
export type Facts =
  | {
      readonly kind: 'image';
      /** By content, such as `jpeg`. */
      readonly format: string;
      /** In pixels, after the EXIF orientation. Missing for a damaged image that the trainer ignores. */
      readonly width?: number;
      readonly height?: number;
    }
  | {
      readonly kind: 'video';
      /** By content, such as `mp4`. */
      readonly format: string;
      /** In pixels, after rotation. It and all below may be missing without ffmpeg. */
      readonly width?: number;
      readonly height?: number;
      readonly durationSeconds?: number;
      readonly frames?: number;
      readonly framesPerSecond?: number;
      readonly codec?: string;
      readonly hasAudio?: boolean;
      readonly sound?: Sound;
    }
  | {
      readonly kind: 'caption';
      /** Of a structured caption. */
      readonly format?: 'json';
      /** Code points, without a byte order mark. */
      readonly characters: number;
    };

export type ClipFacts = Omit<Extract<Facts, { kind: 'video' }>, 'kind' | 'format'>;

/** The first sound track of a clip. Facts that its container does not state are missing. */
export interface Sound {
  /** As ffmpeg or mediabunny names it, such as `aac`. */
  readonly codec?: string;
  /** In hertz. */
  readonly sampleRate?: number;
  readonly channels?: number;
  readonly durationSeconds?: number;
}

/** Leaves out what the container of a clip does not state, and rounds numbers to thousandths. */
export function statedFacts<F extends object>(facts: F): { [Name in keyof F]?: NonNullable<F[Name]> } {
  const stated = Object.entries(facts).flatMap(([name, value]) => {
    if (typeof value !== 'number') return value == null ? [] : [[name, value]];
    return value > 0 && Number.isFinite(value) ? [[name, Math.round(value * 1000) / 1000]] : [];
  });
  return Object.fromEntries(stated);
}

export type Inspection =
  | {
      readonly ok: true;
      /** By content, for downloads. */
      readonly contentType: string;
      readonly facts: Facts;
      readonly warnings: readonly Warning[];
    }
  | { readonly ok: false; readonly problem: ErrorProblem };

/** Judges the bytes as the type that the extension declares. */
export type Inspect = (file: { readonly filename: string; readonly path: string }) => Promise<Inspection>;

export type ReadClipFacts = (file: FileBytes) => Promise<ClipFacts>;

export interface InspectOptions {
  /** Without it, files whose pixels only it can read get the warning `NOT_FULLY_CHECKED`. */
  readonly loadDecoder?: (() => Promise<PixelDecoder>) | undefined;
  /** For a mask dataset: images are also read as the trainer reads masks. */
  readonly asMask?: boolean | undefined;
  /** Missing where ffmpeg reads the facts afterwards. */
  readonly readClipFacts?: ReadClipFacts | undefined;
}

export interface FileToInspect extends InspectOptions {
  readonly path: string;
  readonly filename: string;
  /** For messages. */
  readonly shown: string;
}

/** As libvips reads the header. */
export type ImageDescription = Pick<ImageHeader, 'width' | 'height' | 'orientation'> & { readonly pages: number };

export interface MaskTraits {
  /** After the trainer's conversion. */
  readonly isBlack: boolean;
  /** The channels of a pixel differ. */
  readonly isColoured: boolean;
  /** A pixel is not opaque. */
  readonly isTransparent: boolean;
  /** 16-bit greys become white, because Pillow cuts them off at 255. */
  readonly isCutOff: boolean;
  /** Amounts of printing inks. */
  readonly isCmyk: boolean;
}

/** For the first frame of a path or of bytes. All throw StructureError and OutOfMemory. */
export interface PixelDecoder {
  readonly describe: (source: string | Buffer) => Promise<ImageDescription>;
  /** Discards the pixels. With the number of rows it decodes row by row, and otherwise scales, which needs more memory. */
  readonly prove: (source: string | Buffer, options?: { readonly rows?: number }) => Promise<void>;
  readonly readMask: (source: string | Buffer) => Promise<MaskTraits>;
}

/** Known from the structure, before any pixel is decoded. */
export interface ImageHeader {
  /** As stored. */
  readonly width: number;
  readonly height: number;
  /** 1 to 8, of EXIF. */
  readonly orientation: number;
  readonly animated: boolean;
  /** Greys of 16 bits, of which trainers make white (Pillow, `convert('RGB')`). */
  readonly isDeepGrey?: boolean;
  /** Estimated peak memory of libvips for a thumbnail. */
  readonly decoderBytes: number;
  /** The same row after row, where the format can be proved in that way. */
  readonly rowsBytes?: number;
  /** A still of the first frame, for a decoder that reads no animations of this format. */
  readonly firstFrame?: () => Buffer;
  /** Without libvips, in constant memory. @throws StructureError */
  readonly provePixels?: () => Promise<void>;
}
