/*
 * A short reader of our own gives the facts of each format, finds missing parts, and estimates the memory that libvips needs to
 * decode it: libvips (sharp 0.35) does not limit its memory. libvips proves the pixels, except those of JPEG: it accepts damaged
 * ones, so that a walk over the codes proves them.
 */
import { extensionOf, type ImageFormat, mediaTypeOf, mediaTypeOfContent } from '../../media.js';
import { CONVERT_ADVICE, FIX_ADVICE, type Warning, warningIn } from '../../problems.js';
import type { FileBytes } from '../byte-source.js';
import { contentDiffers, type DetectedContent } from '../detect-content.js';
import type { DecodeMask, Inspection, ProveDecodes } from '../inspection.js';
import { formatCount, InspectionError, StructureError } from '../inspection-error.js';
import { readBmp } from './bmp.js';
import { readGif } from './gif.js';
import { readHeif } from './heif.js';
import type { ImageHeader } from './image-header.js';
import { readJpeg } from './jpeg/jpeg.js';
import { type MaskReading, maskWarnings } from './mask/mask-warnings.js';
import { oriented } from './orientation.js';
import { readPng } from './png/png.js';
import { readTiff } from './tiff.js';
import { readWebp } from './webp.js';

/** The estimated memory that a decoder may use, in bytes. Its process stays below the limit in `inspection-limits.ts`. */
const DECODER_BUDGET_BYTES = 80_000_000;

/** Less for a mask, since its pixels are held and read too. */
const MASK_BUDGET_BYTES = 56_000_000;

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

/** Formats that the trainer ignores, in which damage is a warning. */
const IGNORED: readonly ImageFormat[] = ['gif', 'bmp', 'tiff', 'heic'];

interface NamedImage {
  readonly path: string | undefined;
  readonly filename: string;
  readonly shown: string;
  /** Absent where no decoder is installed: the pixels of some formats are not decoded then. */
  readonly proveDecodes: ProveDecodes | undefined;
  readonly decodeMask: DecodeMask | undefined;
  /** True if the trainer reads it as a mask. */
  readonly asMask: boolean;
}

/**
 * Inspects a file with the extension of an image.
 *
 * @throws InspectionError, StructureError, and the operating system's errors.
 */
export async function inspectImage(file: FileBytes, named: NamedImage, content: DetectedContent): Promise<Inspection> {
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
    const message = `is ${content.description}, not a JPEG, PNG or WebP image. ${CONVERT_ADVICE} and upload it again.${adviceFor(format)}`;
    throw new InspectionError('NOT_AN_IMAGE', message);
  }
  const { header, unproved, damage, mask } = await judge(file, named, format);
  const warnings: Warning[] = [];
  if (!isTrainable) {
    const extension = extensionOf(filename);
    const isUnchecked = IGNORED.includes(format) && unproved !== undefined;
    const ignored = `the trainer ignores ${extension} files${isUnchecked ? ', so its pixels were not checked' : ''}`;
    const advice = header?.animated || damage !== undefined ? '' : adviceFor(format);
    const message = `${shown}: ${ignored}. ${CONVERT_ADVICE} to JPEG, PNG or WebP to train on it.${advice}`;
    warnings.push(warningIn(filename, 'NOT_TRAINED_ON', message));
  }
  if (declared?.format !== format) warnings.push(contentDiffers(named, content));
  if (header?.animated) {
    const message = `${shown} is animated; the trainer reads only its first frame.`;
    warnings.push(warningIn(filename, 'ANIMATED_IMAGE', message));
  }
  if (damage !== undefined) {
    const message = `${shown} ${damage}. The trainer ignores it; replace it if you want to keep it.`;
    warnings.push(warningIn(filename, 'MAY_BE_DAMAGED', message));
  } else if (unproved !== undefined && !IGNORED.includes(format)) {
    const message = `${shown}: its structure is complete, but ${unproved}.`;
    warnings.push(warningIn(filename, 'NOT_FULLY_CHECKED', message));
  }
  if (mask !== undefined) warnings.push(...maskWarnings(named, mask));
  const sides = header !== undefined && header.width > 0 && header.height > 0 ? oriented(header) : {};
  return { ok: true, contentType: actual.contentType, facts: { kind: 'image', format, ...sides }, warnings };
}

/** No decoder here reads HEIC, so `--fix` does not convert it. */
const adviceFor = (format: ImageFormat) => (format === 'heic' ? '' : ` ${FIX_ADVICE}`);

interface Judgement {
  /** Absent if the structure is too damaged to tell the dimensions. */
  readonly header?: ImageHeader | undefined;
  /** Why the pixels were not decoded, as the rest of a sentence. */
  readonly unproved?: string | undefined;
  /** Of an image that the trainer ignores. */
  readonly damage?: string;
  /** Of an image that is read as a mask. */
  readonly mask?: MaskReading;
}

/**
 * Proves an image. Damage in one that the trainer ignores never fails a dataset.
 *
 * @throws StructureError, InspectionError for an image that the trainer reads, or an AVIF
 */
async function judge(file: FileBytes, named: NamedImage, format: ImageFormat): Promise<Judgement> {
  let header: ImageHeader | undefined;
  try {
    header = IMAGE_READERS[format].readHeader(file);
    if (named.asMask && isTrainedOn(named)) return { header, ...(await proveMask(named, header, format)) };
    return { header, unproved: await provePixels(named, header, format) };
  } catch (error) {
    const isDamage = error instanceof StructureError || error instanceof InspectionError;
    if (!isDamage || isTrainedOn(named) || format === 'avif') throw error;
    // The decoder reads fewer variants of these formats than other programs do.
    const isUncertain = header !== undefined && IGNORED.includes(format);
    const damage = isUncertain ? "can't be decoded by this server, so it may be damaged" : error.message;
    return { header, damage: damage.replace(/\.$/, '') };
  }
}

const isTrainedOn = ({ filename }: NamedImage): boolean => mediaTypeOf(filename)?.trainable ?? false;

/** Decodes the pixels if the decoder stays within its memory budget; otherwise returns why they were not decoded. */
async function provePixels(named: NamedImage, header: ImageHeader, format: ImageFormat): Promise<string | undefined> {
  if (header.provePixels !== undefined) {
    await header.provePixels();
    return undefined;
  }
  if (!IMAGE_READERS[format].isDecodable) return 'this server has no decoder for it';
  const { rowsBytes, height } = header;
  const bytes = rowsBytes ?? header.decoderBytes;
  const { source, reason } = sourceFor(named, header, { bytes, maxBytes: DECODER_BUDGET_BYTES });
  if (source === undefined) return reason;
  if (named.proveDecodes === undefined) return 'its pixels are decoded by the service, when it receives the file';
  await named.proveDecodes(source(), rowsBytes === undefined ? {} : { rows: height });
  return undefined;
}

/** Proves an image by reading it as a mask; a JPEG, of which a decoder proves nothing, before that. */
async function proveMask(named: NamedImage, header: ImageHeader, format: ImageFormat): Promise<Judgement> {
  const isProvedBefore = header.provePixels !== undefined;
  const { source, reason } = sourceFor(named, header, { bytes: header.decoderBytes, maxBytes: MASK_BUDGET_BYTES });
  const isReadable = source !== undefined && named.decodeMask !== undefined;
  if (isProvedBefore || !isReadable) {
    const unproved = await provePixels(named, header, format);
    if (unproved !== undefined) return { unproved };
  }
  if (source === undefined) return { mask: { unread: `was not read as a mask: ${reason}` } };
  if (named.decodeMask === undefined) {
    return { mask: { unread: 'is read as a mask by the service, when it receives the file' } };
  }
  try {
    return { mask: await named.decodeMask(source()) };
  } catch (error) {
    // libjpeg reads more variants than this decoder.
    if (!(isProvedBefore && error instanceof StructureError)) throw error;
    return { mask: { unread: "was not read as a mask: its pixels can't be decoded by this server" } };
  }
}

/** What a decoder can decode within its memory budget; otherwise why it can't, as the rest of a sentence. */
function sourceFor(
  { path }: NamedImage,
  header: ImageHeader,
  { bytes, maxBytes }: { bytes: number; maxBytes: number },
): { source: () => string | Buffer; reason?: never } | { source?: never; reason: string } {
  const { firstFrame, width, height } = header;
  if (firstFrame === undefined && path === undefined) {
    return { reason: 'the file is too large to be decoded by this server' };
  }
  if (bytes > maxBytes) {
    const megapixels = formatCount(Math.round((width * height) / 1e6));
    return { reason: `decoding its ${megapixels} million pixels, stored in this way, would need too much memory` };
  }
  return { source: () => firstFrame?.() ?? path ?? '' };
}
