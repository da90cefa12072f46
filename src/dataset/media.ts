export type FileKind = 'image' | 'video' | 'caption';

interface MediaType {
  readonly kind: FileKind;
  readonly contentType: string;
  /** Whether the trainer picks the file up: its own lists, ai-toolkit `toolkit/data_loader.py:39-40`. */
  readonly trainable: boolean;
}

/** The one table of what we take. Everything that speaks of extensions, in server, client and web UI, reads this. */
export const MEDIA = {
  '.jpg': { kind: 'image', contentType: 'image/jpeg', trainable: true },
  '.jpeg': { kind: 'image', contentType: 'image/jpeg', trainable: true },
  '.png': { kind: 'image', contentType: 'image/png', trainable: true },
  '.webp': { kind: 'image', contentType: 'image/webp', trainable: true },
  '.gif': { kind: 'image', contentType: 'image/gif', trainable: false },
  '.bmp': { kind: 'image', contentType: 'image/bmp', trainable: false },
  '.tif': { kind: 'image', contentType: 'image/tiff', trainable: false },
  '.tiff': { kind: 'image', contentType: 'image/tiff', trainable: false },
  '.avif': { kind: 'image', contentType: 'image/avif', trainable: false },
  '.heic': { kind: 'image', contentType: 'image/heic', trainable: false },
  '.heif': { kind: 'image', contentType: 'image/heif', trainable: false },
  '.mp4': { kind: 'video', contentType: 'video/mp4', trainable: true },
  '.m4v': { kind: 'video', contentType: 'video/x-m4v', trainable: true },
  '.mov': { kind: 'video', contentType: 'video/quicktime', trainable: true },
  '.webm': { kind: 'video', contentType: 'video/webm', trainable: true },
  '.mkv': { kind: 'video', contentType: 'video/matroska', trainable: true },
  '.avi': { kind: 'video', contentType: 'video/x-msvideo', trainable: true },
  '.wmv': { kind: 'video', contentType: 'video/x-ms-wmv', trainable: true },
  '.flv': { kind: 'video', contentType: 'video/x-flv', trainable: true },
  '.txt': { kind: 'caption', contentType: 'text/plain; charset=utf-8', trainable: false },
} as const satisfies Record<`.${string}`, MediaType>;

/** The most pixels Pillow opens, and so the trainer: twice its `MAX_IMAGE_PIXELS`, which ai-toolkit leaves as it is. */
export const MAX_IMAGE_PIXELS = 178_956_970;

/** The extension with its dot, lower-cased; `''` where there is none. */
export function extensionOf(filename: string): string {
  const dot = filename.lastIndexOf('.');
  return dot > 0 ? filename.slice(dot).toLowerCase() : '';
}

/** The name without its extension: what an image and its caption have in common, case and all. */
export function stemOf(filename: string): string {
  const dot = filename.lastIndexOf('.');
  return dot > 0 ? filename.slice(0, dot) : filename;
}

/** What the table says of a filename, or `undefined` for a type we don't take. */
export function mediaTypeOf(filename: string): MediaType | undefined {
  const extension = extensionOf(filename);
  return Object.hasOwn(MEDIA, extension) ? MEDIA[extension as keyof typeof MEDIA] : undefined;
}

/**
 * The name a file has in a mounted folder. The trainer looks for masks and controls with lower-case extensions only, and
 * for captions with `.txt` exactly (ai-toolkit `toolkit/dataloader_mixins.py:71, 344-346`).
 */
export function mountedNameOf(filename: string): string {
  return stemOf(filename) + extensionOf(filename);
}
