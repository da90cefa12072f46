import { extensionOf } from '../../media.js';
import { type Warning, warningIn } from '../../problems.js';
import type { FileBytes } from '../byte-source.js';
import { contentDiffers } from '../content-differs.js';
import type { Inspection } from '../inspection.js';
import { formatCount, InspectionError } from '../inspection-error.js';
import type { DetectedContent, ImageFormat } from '../detect-content.js';
import { readBmp } from './bmp.js';
import { proveDecodes } from './decode.js';
import { readGif } from './gif.js';
import { readHeif } from './heif.js';
import type { ImageHeader } from './image-header.js';
import { readJpeg } from './jpeg.js';
import { oriented } from './orientation.js';
import { readPng } from './png.js';
import { readTiff } from './tiff.js';
import { readWebp } from './webp.js';

/**
 * What one decoder may hold, in bytes, by estimate. Two at once, in two worker threads, and the process itself stay
 * under 250 MB.
 */
export const DECODER_BUDGET_BYTES = 80_000_000;

interface Format {
  readonly contentType: string;
  readonly extensions: readonly string[];
  /** ai-toolkit `toolkit/data_loader.py:39`. */
  readonly trainable: boolean;
  readonly read: (file: FileBytes) => ImageHeader;
  readonly decodes: boolean;
}

export const IMAGE_FORMATS: Record<ImageFormat, Format> = {
  jpeg: format('image/jpeg', ['.jpg', '.jpeg'], { trainable: true, read: readJpeg }),
  png: format('image/png', ['.png'], { trainable: true, read: readPng }),
  webp: format('image/webp', ['.webp'], { trainable: true, read: readWebp }),
  gif: format('image/gif', ['.gif'], { read: readGif }),
  bmp: format('image/bmp', ['.bmp'], { read: readBmp, decodes: false }),
  tiff: format('image/tiff', ['.tif', '.tiff'], { read: readTiff }),
  avif: format('image/avif', ['.avif'], { read: readHeif }),
  heic: format('image/heic', ['.heic', '.heif'], { read: readHeif, decodes: false }),
};

function format(
  contentType: string,
  extensions: readonly string[],
  options: { read: (file: FileBytes) => ImageHeader; trainable?: boolean; decodes?: boolean },
): Format {
  return { contentType, extensions, trainable: false, decodes: true, ...options };
}

/** Inspects a file whose extension is an image's. @throws Fault, Damage, and the operating system's errors. */
export async function inspectImage(
  file: FileBytes,
  named: { path: string | undefined; filename: string; shown: string },
  content: DetectedContent,
): Promise<Inspection> {
  const { filename, shown } = named;
  const claimsTrainable = claimedFormat(filename)?.trainable ?? false;
  if (content.kind !== 'image') {
    throw new InspectionError(
      'NOT_AN_IMAGE',
      `is ${content.words}, not an image. Upload the image itself under this name.`,
    );
  }
  const found = IMAGE_FORMATS[content.format];
  if (claimsTrainable && !found.trainable) {
    throw new InspectionError(
      'NOT_AN_IMAGE',
      `is ${content.words} and no JPEG, PNG or WebP. Convert it and upload it again.`,
    );
  }
  const claims = found.read(file);
  const warnings: Warning[] = [];
  if (!claimsTrainable) {
    const extension = extensionOf(filename);
    const advice = 'Convert it to JPEG, PNG or WebP if it is meant for training.';
    warnings.push(warningIn(filename, 'NOT_TRAINED_ON', `${shown}: the trainer ignores ${extension} files. ${advice}`));
  }
  if (!found.extensions.includes(extensionOf(filename))) warnings.push(contentDiffers(named, content.words));
  if (claims.animated) {
    warnings.push(
      warningIn(filename, 'ANIMATED_IMAGE', `${shown} is animated; the trainer sees its first frame only.`),
    );
  }
  const unchecked = await provePicture({ path: named.path, format: content.format, claims });
  if (unchecked !== undefined) warnings.push(warningIn(filename, 'NOT_FULLY_CHECKED', `${shown}: ${unchecked}.`));
  const { width, height } = oriented(claims);
  return {
    ok: true,
    contentType: found.contentType,
    facts: { kind: 'image', format: content.format, width, height },
    warnings,
  };
}

function claimedFormat(filename: string): Format | undefined {
  const extension = extensionOf(filename);
  return Object.values(IMAGE_FORMATS).find((each) => each.extensions.includes(extension));
}

/** Decodes what can be decoded in bounded memory. Returns, in words, what could not be checked. */
async function provePicture(picture: {
  path: string | undefined;
  format: ImageFormat;
  claims: ImageHeader;
}): Promise<string | undefined> {
  const { claims } = picture;
  // Its own walk has seen all there is to see of a BMP: what remains are bare pixels.
  if (picture.format === 'bmp') return undefined;
  if (picture.format === 'heic') return 'its structure is complete, but HEIC pixels can not be decoded here';
  if (picture.path === undefined) return 'its structure is complete, but it is too large to be decoded here';
  if (claims.decoderBytes <= DECODER_BUDGET_BYTES) {
    await proveDecodes(picture.path);
    return undefined;
  }
  if (claims.provePixels !== undefined) {
    await claims.provePixels();
    return undefined;
  }
  const megapixels = formatCount(Math.round((claims.width * claims.height) / 1e6));
  return `its structure is complete, but its ${megapixels} million pixels, in this form, need too much memory to be decoded here`;
}
