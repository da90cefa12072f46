/*
 * A parser of our own reads each format before libvips decodes the pixels: it detects missing parts, and estimates the
 * memory that decoding takes. libvips (sharp 0.35) decodes the first frame only, accepts an animated GIF cut in half and a
 * PNG without its last chunk, and does not limit its memory.
 */
import { extensionOf, type ImageFormat, mediaTypeOf, mediaTypeOfContent } from '../../media.js';
import { type Warning, warningIn } from '../../problems.js';
import type { FileBytes } from '../byte-source.js';
import { contentDiffers, type DetectedContent } from '../detect-content.js';
import type { Inspection } from '../inspection.js';
import { formatCount, InspectionError } from '../inspection-error.js';
import { readBmp } from './bmp.js';
import { proveDecodes } from './decode.js';
import { readGif } from './gif.js';
import { readHeif } from './heif.js';
import type { ImageHeader } from './image-header.js';
import { readJpeg } from './jpeg/jpeg.js';
import { oriented } from './orientation.js';
import { readPng } from './png/png.js';
import { readTiff } from './tiff.js';
import { readWebp } from './webp.js';

/** The estimated memory that one decoder may use, in bytes. The process stays under 250 MB with two at once, in two workers. */
export const DECODER_BUDGET_BYTES = 80_000_000;

interface ImageReader {
  readonly readHeader: (file: FileBytes) => ImageHeader;
  /** Whether the installed libvips decodes the format. */
  readonly isDecodable: boolean;
}

export const IMAGE_READERS: Record<ImageFormat, ImageReader> = {
  jpeg: { readHeader: readJpeg, isDecodable: true },
  png: { readHeader: readPng, isDecodable: true },
  webp: { readHeader: readWebp, isDecodable: true },
  gif: { readHeader: readGif, isDecodable: true },
  bmp: { readHeader: readBmp, isDecodable: false },
  tiff: { readHeader: readTiff, isDecodable: true },
  avif: { readHeader: readHeif, isDecodable: true },
  heic: { readHeader: readHeif, isDecodable: false },
};

/**
 * Inspects a file with the extension of an image.
 *
 * @throws InspectionError, StructureError, and the operating system's errors.
 */
export async function inspectImage(
  file: FileBytes,
  named: { path: string | undefined; filename: string; shown: string },
  content: DetectedContent,
): Promise<Inspection> {
  const { filename, shown } = named;
  if (content.kind !== 'image') {
    const message = `is ${content.description}, not an image. Upload the image itself under this name.`;
    throw new InspectionError('NOT_AN_IMAGE', message);
  }
  const { format } = content;
  const declared = mediaTypeOf(filename);
  const actual = mediaTypeOfContent(format, filename);
  const isTrainable = declared?.trainable ?? false;
  if (isTrainable && !actual.trainable) {
    const message = `is ${content.description}, not a JPEG, PNG or WebP image. Convert it and upload it again.`;
    throw new InspectionError('NOT_AN_IMAGE', message);
  }
  const header = IMAGE_READERS[format].readHeader(file);
  const warnings: Warning[] = [];
  if (!isTrainable) {
    const extension = extensionOf(filename);
    const advice = 'Convert it to JPEG, PNG or WebP to train on it.';
    warnings.push(warningIn(filename, 'NOT_TRAINED_ON', `${shown}: the trainer ignores ${extension} files. ${advice}`));
  }
  if (declared?.format !== format) warnings.push(contentDiffers(named, content));
  if (header.animated) {
    const message = `${shown} is animated; the trainer reads only its first frame.`;
    warnings.push(warningIn(filename, 'ANIMATED_IMAGE', message));
  }
  const unproved = await provePixels(named.path, { format, header });
  if (unproved !== undefined) {
    const message = `${shown}: its structure is complete, but ${unproved}.`;
    warnings.push(warningIn(filename, 'NOT_FULLY_CHECKED', message));
  }
  const { width, height } = oriented(header);
  return { ok: true, contentType: actual.contentType, facts: { kind: 'image', format, width, height }, warnings };
}

/** Decodes the pixels if the decoder stays within its memory budget; otherwise returns why they were not decoded. */
async function provePixels(
  path: string | undefined,
  { format, header }: { format: ImageFormat; header: ImageHeader },
): Promise<string | undefined> {
  // The parser has checked the whole BMP: it stores plain samples, and every value is valid.
  if (format === 'bmp') return undefined;
  if (format === 'heic') return "HEIC pixels can't be decoded by this server";
  if (header.provePixels !== undefined) {
    await header.provePixels();
    return undefined;
  }
  const source = header.firstFrame ?? path;
  if (source === undefined) return 'the file is too large to be decoded by this server';
  if (header.decoderBytes <= DECODER_BUDGET_BYTES) {
    await proveDecodes(typeof source === 'string' ? source : source());
    return undefined;
  }
  const megapixels = formatCount(Math.round((header.width * header.height) / 1e6));
  return `decoding its ${megapixels} million pixels, stored in this way, would need too much memory`;
}
