import type { ErrorProblem, Warning } from '../problems.js';
import type { RemoteFile } from './remote-bytes.js';

/** What is known of a file whose bytes were looked at. Kept with the file and shown as it is. */
export type Facts =
  | {
      readonly kind: 'image';
      /** The format by content: `jpeg`, `png`, `webp`, `gif`, `bmp`, `tiff`, `avif`, `heic`. */
      readonly format: string;
      /** In pixels, as a viewer shows it: after the EXIF orientation, as the trainer applies it. */
      readonly width: number;
      readonly height: number;
    }
  | {
      readonly kind: 'video';
      /** The container by content: `mp4`, `mov`, `webm`, `mkv`, `avi`, `wmv`, `flv`. */
      readonly format: string;
      /** What follows is absent where the container can't be parsed (AVI, WMV, FLV). Pixels, after rotation. */
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
      /** Unicode code points, a BOM not counted. */
      readonly characters: number;
    };

export type Inspection =
  | {
      readonly ok: true;
      /** By content, for the `Content-Type` a browser may be told. */
      readonly contentType: string;
      readonly facts: Facts;
      readonly warnings: readonly Warning[];
    }
  | { readonly ok: false; readonly problem: ErrorProblem };

/** Looks at all the bytes of a file, on this machine or elsewhere, that claims to be `filename`. */
export type Inspect = (
  file: { readonly filename: string } & ({ readonly path: string } | { readonly remote: RemoteFile }),
) => Promise<Inspection>;
