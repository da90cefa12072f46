export type FileKind = 'image' | 'video' | 'caption';

interface MediaType {
  readonly kind: FileKind;
  /** Several extensions may have the same. */
  readonly format: string;
  readonly contentType: string;
  /** The trainer reads files with this extension (ai-toolkit `toolkit/data_loader.py:39-40`). */
  readonly trainable: boolean;
}

/** The only table of accepted file types. */
export const MEDIA = {
  '.jpg': { kind: 'image', format: 'jpeg', contentType: 'image/jpeg', trainable: true },
  '.jpeg': { kind: 'image', format: 'jpeg', contentType: 'image/jpeg', trainable: true },
  '.png': { kind: 'image', format: 'png', contentType: 'image/png', trainable: true },
  '.webp': { kind: 'image', format: 'webp', contentType: 'image/webp', trainable: true },
  '.gif': { kind: 'image', format: 'gif', contentType: 'image/gif', trainable: false },
  '.bmp': { kind: 'image', format: 'bmp', contentType: 'image/bmp', trainable: false },
  '.tif': { kind: 'image', format: 'tiff', contentType: 'image/tiff', trainable: false },
  '.tiff': { kind: 'image', format: 'tiff', contentType: 'image/tiff', trainable: false },
  '.avif': { kind: 'image', format: 'avif', contentType: 'image/avif', trainable: false },
  '.heic': { kind: 'image', format: 'heic', contentType: 'image/heic', trainable: false },
  '.heif': { kind: 'image', format: 'heic', contentType: 'image/heic', trainable: false },
  '.mp4': { kind: 'video', format: 'mp4', contentType: 'video/mp4', trainable: true },
  '.m4v': { kind: 'video', format: 'mp4', contentType: 'video/x-m4v', trainable: true },
  '.mov': { kind: 'video', format: 'mov', contentType: 'video/quicktime', trainable: true },
  '.webm': { kind: 'video', format: 'webm', contentType: 'video/webm', trainable: true },
  '.mkv': { kind: 'video', format: 'mkv', contentType: 'video/matroska', trainable: true },
  '.avi': { kind: 'video', format: 'avi', contentType: 'video/x-msvideo', trainable: true },
  '.wmv': { kind: 'video', format: 'wmv', contentType: 'video/x-ms-wmv', trainable: true },
  '.flv': { kind: 'video', format: 'flv', contentType: 'video/x-flv', trainable: true },
  '.txt': { kind: 'caption', format: 'text', contentType: 'text/plain; charset=utf-8', trainable: false },
  '.json': { kind: 'caption', format: 'json', contentType: 'application/json', trainable: false },
} as const satisfies Record<`.${string}`, MediaType>;

type Row = (typeof MEDIA)[keyof typeof MEDIA];
export type ImageFormat = Extract<Row, { kind: 'image' }>['format'];
export type VideoFormat = Extract<Row, { kind: 'video' }>['format'];

/** Twice Pillow's `MAX_IMAGE_PIXELS`, which ai-toolkit does not change. */
export const MAX_IMAGE_PIXELS = 178_956_970;

/** With its dot, lower-cased; `''` for a name without one. */
export function extensionOf(filename: string): string {
  const dot = filename.lastIndexOf('.');
  return dot > 0 ? filename.slice(dot).toLowerCase() : '';
}

/** Case-sensitive: an image and its caption have the same stem. */
export function stemOf(filename: string): string {
  const dot = filename.lastIndexOf('.');
  return dot > 0 ? filename.slice(0, dot) : filename;
}

/** Of a whole dataset: of Hugging Face, diffusion-pipe, LTX, sd-scripts, SimpleTuner, OneTrainer and others. */
const DATASET_FILES =
  /^(metadata|captions|dataset(_infos?|_dict)?|meta_(cap|clean|lat)|metadata_cache|aspect_ratio_bucket_.*|multidatabackend|concepts|config|state)\.json$/i;

/** Whether a `.json` file describes a whole dataset, and is the caption of no single file. */
export function isDatasetFile(filename: string): boolean {
  return DATASET_FILES.test(filename);
}

/** Read by every trainer. A structured caption (`.json`) is read by those that are told to. */
export function isTextCaption(filename: string): boolean {
  return mediaTypeOf(filename)?.format === 'text';
}

export function isStructuredCaption(filename: string): boolean {
  return mediaTypeOf(filename)?.format === 'json';
}

export function mediaTypeOf(filename: string): MediaType | undefined {
  const extension = extensionOf(filename);
  if (extension === '.json' && isDatasetFile(filename)) return undefined;
  return Object.hasOwn(MEDIA, extension) ? MEDIA[extension as keyof typeof MEDIA] : undefined;
}

/** The filename's own type if the formats agree, else the first in the table. */
export function mediaTypeOfContent(format: ImageFormat | VideoFormat, filename: string): MediaType {
  const named = mediaTypeOf(filename);
  return named?.format === format ? named : Object.values(MEDIA).find((type) => type.format === format)!;
}

/** The first in the table, such as `.jpg` for `jpeg`. */
export function extensionForFormat(format: ImageFormat | VideoFormat): string {
  return Object.entries(MEDIA).find(([, type]) => type.format === format)![0];
}

/** The trainer looks for lower-case extensions only (ai-toolkit `toolkit/dataloader_mixins.py:71, 344-346`). */
export function mountedNameOf(filename: string): string {
  return stemOf(filename) + extensionOf(filename);
}
