/** The extensions of each format; files that are made get the first. */
export const EXTENSIONS_OF = {
  jpeg: ['.jpg', '.jpeg'],
  png: ['.png'],
  webp: ['.webp'],
  avif: ['.avif'],
  clip: ['.mp4', '.m4v', '.mov', '.mkv', '.webm', '.avi', '.wmv', '.flv'],
} as const;

/** What the bytes of an undamaged original are. */
export type Format = keyof typeof EXTENSIONS_OF;
export const FORMATS = Object.keys(EXTENSIONS_OF) as readonly Format[];

/** The formats by extension. */
export const EXTENSIONS: Readonly<Record<string, Format>> = Object.fromEntries(
  FORMATS.flatMap((format) => EXTENSIONS_OF[format].map((extension) => [extension, format])),
);

/** A file of the corpus. */
export interface CorpusFile {
  /** Relative to the cache folder. The last part is the name that the file is uploaded under. */
  readonly path: string;
  readonly format: Format;
  readonly sha256: string;
  readonly sizeBytes: number;
  /** A path in a Debian package with its version, or the recipe that made the file. */
  readonly origin: string;
  /** Absent for an original. */
  readonly damage?: { readonly kind: string /** The path of the undamaged original. */; readonly of: string };
}

/** An undamaged file before it is stored in the corpus. */
export interface Original {
  readonly format: Format;
  /** With a dot, as the file is uploaded. */
  readonly extension: string;
  readonly origin: string;
  readonly bytes: Buffer;
  /** Whether damaged copies are made of it. */
  readonly isDamaged: boolean;
}
