/** What the bytes of an undamaged original are. */
export const FORMATS = ['jpeg', 'png', 'webp', 'avif', 'gif', 'tiff', 'bmp', 'heic', 'clip'] as const;
export type Format = (typeof FORMATS)[number];

/** One line of the manifest. */
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

/** The formats by extension. */
export const EXTENSIONS: Readonly<Record<string, Format>> = {
  '.jpg': 'jpeg',
  '.jpeg': 'jpeg',
  '.png': 'png',
  '.webp': 'webp',
  '.avif': 'avif',
  '.gif': 'gif',
  '.tif': 'tiff',
  '.tiff': 'tiff',
  '.bmp': 'bmp',
  '.heic': 'heic',
  '.heif': 'heic',
  '.mp4': 'clip',
  '.m4v': 'clip',
  '.mov': 'clip',
  '.mkv': 'clip',
  '.webm': 'clip',
  '.avi': 'clip',
  '.wmv': 'clip',
  '.flv': 'clip',
};
