/*
 * JPEG is proved by a walk over its codes, since libvips accepts damaged ones; PNG, WebP and AVIF by libvips. sharp 0.35 does not
 * limit its memory, so readers of the headers estimate it.
 */

import { extensionOf, type ImageFormat, mediaTypeOf, mediaTypeOfContent } from '../../media.js';
import { CONVERT_ADVICE, FIX_ADVICE, type Warning, warningIn } from '../../problems.js';
import type { FileBytes } from '../byte-source.js';
import { contentDiffers, type DetectedContent } from '../detect-content.js';
import { checkDimensions, formatCount, InspectionError, StructureError } from '../inspection-error.js';
import type { ImageHeader, FileToInspect, Inspection, MaskTraits, PixelDecoder } from '../inspection.js';
import { requireDeclaredLength } from '../video/inspect-video.js';
import { oriented } from './exif.js';
import { readJpeg } from './jpeg/jpeg.js';
import { readPng } from './png.js';
import { readWebp } from './webp.js';

/** Estimated. `limited-process.ts` limits the process above it. */
const DECODER_BUDGET_BYTES = 80_000_000;

/** Less, since a mask's pixels are held and read too. */
const MASK_BUDGET_BYTES = 56_000_000;

/** libheif holds planes of 16 bits and an RGB copy (measured); libvips holds an RGBA canvas of a GIF. */
const BYTES_PER_PIXEL = { avif: 22, heic: 22, gif: 4.6, tiff: 0 };

/** The trainer ignores them, so they are not proved. */
const IGNORED: readonly ImageFormat[] = ['gif', 'bmp', 'tiff', 'heic'];

/** Or why the header was not read, as the rest of a sentence. @throws StructureError, InspectionError, OutOfMemory */
export async function readImageHeader(
  file: FileBytes,
  { path, format }: { readonly path: string; readonly format: ImageFormat },
  loadDecoder: (() => Promise<PixelDecoder>) | undefined,
): Promise<ImageHeader | string> {
  if (format === 'jpeg') return readJpeg(file);
  if (format === 'png') return readPng(file);
  if (format === 'webp') return readWebp(file);
  if (format === 'bmp') return readBmp(file);
  if (format === 'avif') requireDeclaredLength(file, 'mp4');
  const isSequence = format === 'avif' && file.at(8, 4).toString('latin1') === 'avis';
  if (isSequence && file.size > DECODER_BUDGET_BYTES) return TOO_LARGE;
  if (loadDecoder === undefined) return DECODED_BY_SERVICE;
  const firstFrame = () => stillOf(file);
  const description = await (await loadDecoder()).describe(isSequence ? firstFrame() : path);
  const { width, height, pages, orientation } = description;
  if (format === 'avif') checkDimensions(width, height);
  const decoderBytes = width * height * BYTES_PER_PIXEL[format];
  const header = { width, height, orientation, animated: isSequence || (format === 'gif' && pages > 1), decoderBytes };
  return isSequence ? { ...header, decoderBytes: decoderBytes + file.size, firstFrame } : header;
}

const TOO_LARGE = 'the file is too large to be decoded by this server';
const DECODED_BY_SERVICE = 'its pixels are decoded by the service, when it receives the file';

/** For Windows and OS/2; a negative height means that the top row comes first. @throws StructureError */
function readBmp(file: FileBytes): ImageHeader {
  const header = file.at(0, 34);
  const isOld = header.readUInt32LE(14) === 12;
  const width = isOld ? header.readUInt16LE(18) : Math.abs(header.readInt32LE(18));
  const height = isOld ? header.readUInt16LE(20) : Math.abs(header.readInt32LE(22));
  const isCompressed = !isOld && ![0, 3, 6].includes(header.readUInt32LE(30));
  const rowBytes = Math.ceil((width * header.readUInt16LE(isOld ? 24 : 28)) / 32) * 4;
  file.requireSize(header.readUInt32LE(10) + (isCompressed ? 0 : rowBytes * height));
  return { width, height, orientation: 1, animated: false, decoderBytes: 0 };
}

/** libvips rejects sequences, although libheif reads the still image in them. */
function stillOf(file: FileBytes): Buffer {
  const still = file.copy(0, file.size);
  still.write('avif', 8, 'latin1');
  return still;
}

/** @throws InspectionError, StructureError, the system's errors */
export async function inspectImage(
  file: FileBytes,
  named: FileToInspect,
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
    const message = `is ${content.description}, not a JPEG, PNG or WebP image. ${CONVERT_ADVICE} and upload it again.${adviceFor(format)}`;
    throw new InspectionError('NOT_AN_IMAGE', message);
  }
  const { header, unproved, damage, mask } = await judge(file, named, format);
  const warnings: Warning[] = [];
  if (!isTrainable) {
    const extension = extensionOf(filename);
    const ignored = `the trainer ignores ${extension} files${IGNORED.includes(format) ? ', so its pixels were not checked' : ''}`;
    const advice = header?.animated || damage !== undefined ? '' : adviceFor(format);
    const message = `${shown}: ${ignored}. ${CONVERT_ADVICE} to JPEG, PNG or WebP to train on it.${advice}`;
    warnings.push(warningIn(filename, 'NOT_TRAINED_ON', message));
  }
  if (declared?.format !== format) warnings.push(contentDiffers(named, content));
  if (header?.animated) {
    const message = `${shown} is animated; the trainer reads only its first frame.`;
    warnings.push(warningIn(filename, 'ANIMATED_IMAGE', message));
  }
  if (header?.isDeepGrey && isTrainable && !named.asMask) {
    const message = `${shown} has greys of 16 bits, which trainers read as white. Save it with 8 bits.`;
    warnings.push(warningIn(filename, 'GREYS_OF_16_BITS', message));
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

/** `--fix` can't convert HEIC, which no decoder here reads. */
const adviceFor = (format: ImageFormat) => (format === 'heic' ? '' : ` ${FIX_ADVICE}`);

interface Judgement {
  /** Missing if damage hides the dimensions. */
  readonly header?: ImageHeader | undefined;
  /** Why the pixels were not decoded, as the rest of a sentence. */
  readonly unproved?: string | undefined;
  /** For an image that the trainer ignores. */
  readonly damage?: string;
  readonly mask?: MaskReading;
}

/** Damage in an image that the trainer ignores never fails a dataset. @throws StructureError, InspectionError for others, or an AVIF */
async function judge(file: FileBytes, named: FileToInspect, format: ImageFormat): Promise<Judgement> {
  const isTrainedOn = mediaTypeOf(named.filename)?.trainable ?? false;
  try {
    const header = await readImageHeader(file, { path: named.path, format }, named.loadDecoder);
    if (typeof header === 'string') return { unproved: header };
    if (IGNORED.includes(format)) return { header };
    if (named.asMask && isTrainedOn) return { header, ...(await proveMask(named, header)) };
    return { header, unproved: await provePixels(named, header) };
  } catch (error) {
    const isDamage = error instanceof StructureError || error instanceof InspectionError;
    if (!isDamage || isTrainedOn || format === 'avif') throw error;
    // This decoder reads fewer variants than other programs.
    const damage = IGNORED.includes(format) ? "can't be read by trainyard, so it may be damaged" : error.message;
    return { damage: damage.replace(/\.$/, '') };
  }
}

/** @returns why pixels were not decoded, if that needs too much memory */
async function provePixels(named: FileToInspect, header: ImageHeader): Promise<string | undefined> {
  if (header.provePixels !== undefined) {
    await header.provePixels();
    return undefined;
  }
  const { rowsBytes, decoderBytes, height } = header;
  const { source, reason } = sourceFor(named, header, {
    bytes: rowsBytes ?? decoderBytes,
    maxBytes: DECODER_BUDGET_BYTES,
  });
  if (source === undefined) return reason;
  if (named.loadDecoder === undefined) return DECODED_BY_SERVICE;
  const { prove } = await named.loadDecoder();
  await prove(source(), rowsBytes === undefined ? {} : { rows: height });
  return undefined;
}

/** Reading a mask proves its pixels; only a JPEG is proved before. */
async function proveMask(named: FileToInspect, header: ImageHeader): Promise<Omit<Judgement, 'header'>> {
  const isProvedBefore = header.provePixels !== undefined;
  const { source, reason } = sourceFor(named, header, { bytes: header.decoderBytes, maxBytes: MASK_BUDGET_BYTES });
  const { loadDecoder } = named;
  if (isProvedBefore || source === undefined || loadDecoder === undefined) {
    const unproved = await provePixels(named, header);
    if (unproved !== undefined) return { unproved };
  }
  if (source === undefined) return { mask: { unread: `was not read as a mask: ${reason}` } };
  if (loadDecoder === undefined)
    return { mask: { unread: 'is read as a mask by the service, when it receives the file' } };
  const { readMask } = await loadDecoder();
  try {
    return { mask: await readMask(source()) };
  } catch (error) {
    // libjpeg reads more variants.
    if (!(isProvedBefore && error instanceof StructureError)) throw error;
    return { mask: { unread: "was not read as a mask: its pixels can't be decoded by this server" } };
  }
}

/** What fits into the memory budget, or why nothing does, as the rest of a sentence. */
function sourceFor(
  { path }: FileToInspect,
  { firstFrame, width, height }: ImageHeader,
  { bytes, maxBytes }: { bytes: number; maxBytes: number },
): { source: () => string | Buffer; reason?: never } | { source?: never; reason: string } {
  if (bytes <= maxBytes) return { source: firstFrame ?? (() => path) };
  const megapixels = formatCount(Math.round((width * height) / 1e6));
  return { reason: `decoding its ${megapixels} million pixels, stored in this way, would need too much memory` };
}

/** `unread` is the rest of a sentence. */
type MaskReading = MaskTraits | { readonly unread: string };

/** One warning, since saving the mask again solves all problems. */
function maskWarnings({ filename, shown }: FileToInspect, traits: MaskReading): Warning[] {
  if ('unread' in traits) return [warningIn(filename, 'NOT_FULLY_CHECKED', `${shown} ${traits.unread}.`)];
  if (traits.isBlack) {
    const shape = traits.isTransparent ? ', and its shape is in its transparency, which trainers ignore' : '';
    const effect = 'As a mask it removes its image from the training or has no effect, depending on the settings';
    const advice = 'Paint white what the trainer should learn.';
    return [warningIn(filename, 'BLACK_MASK', `${shown} is black${shape}. ${effect}. ${advice}`)];
  }
  const reasons = reasonsAgainst(traits);
  if (reasons.length === 0) return [];
  const advice =
    'Save it as 8-bit grayscale without transparency: white where the trainer should learn, black elsewhere.';
  return [warningIn(filename, 'MASK_NOT_GRAYSCALE', `${shown} ${reasons.join(', and ')}. ${advice}`)];
}

/** Rests of a sentence. */
function reasonsAgainst({ isColoured, isTransparent, isCutOff, isCmyk }: MaskTraits): string[] {
  const reasons: string[] = [];
  if (isCmyk) reasons.push('has the colours of print (CMYK), which trainers may turn into another brightness');
  // diffusion-pipe (`models/base.py`) and sd-scripts (`library/custom_train_functions.py`) take the first channel.
  if (isColoured) reasons.push('has colours, of which some trainers take the brightness and others the red alone');
  if (isTransparent) reasons.push('is transparent in places, which trainers ignore');
  if (isCutOff) reasons.push('has greys of 16 bits, which trainers read as white');
  return reasons;
}
