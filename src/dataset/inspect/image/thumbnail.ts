import sharp from 'sharp';
import type { Sharp } from 'sharp';
import { type Appearance, appearanceOf } from '../../duplicates/perceptual-hash.js';
import { FileBytes } from '../byte-source.js';
import { detectContent } from '../detect-content.js';
import { InspectionError, StructureError } from '../inspection-error.js';
import * as decoder from './decode.js';
import { readImageHeader } from './inspect-image.js';

/** Less than for a proof, since scaling and encoding need memory too. */
const THUMBNAIL_BUDGET_BYTES = 56_000_000;

/** For a file that can never have one; the message says why. */
export class NoThumbnail extends Error {
  override readonly name = 'NoThumbnail';
}

/** A small picture of an image, and what it looks like. */
export interface MadeThumbnail extends Appearance {
  readonly webp: Buffer;
}

/** A file, or a PNG in Base64 that ffmpeg has made of a clip's first frame. */
export type ThumbnailSource = ({ readonly path: string } | { readonly frame: string }) & { readonly maxPixels: number };

/**
 * Decodes the first frame once, at a reduced size: upright, in sRGB, never enlarged, without metadata.
 *
 * @throws NoThumbnail for a file that is no image, can't be decoded or is too large; OutOfMemory; the system's errors
 */
export async function makeThumbnail(source: ThumbnailSource): Promise<MadeThumbnail> {
  return reduced(source, async (small) => {
    const { data, info } = await small.raw().toBuffer({ resolveWithObject: true });
    const { width, height, channels } = info;
    // More effort takes twice as long, and saves 3 %.
    const webp = await sharp(data, { raw: { width, height, channels } }).webp({ quality: 80, effort: 2 }).toBuffer();
    return { webp, ...appearanceOf({ width, height, channels, data }) };
  });
}

/** As `makeThumbnail`, but a JPEG on white, which vision models read. */
export async function makePicture(source: { path: string; maxPixels: number }): Promise<Buffer> {
  return reduced(source, (small) => small.flatten({ background: 'white' }).jpeg({ quality: 90 }).toBuffer());
}

async function reduced<T>(source: ThumbnailSource, encode: (small: Sharp) => Promise<T>): Promise<T> {
  const { maxPixels } = source;
  const decodable = 'frame' in source ? Buffer.from(source.frame, 'base64') : await decodableFile(source.path);
  try {
    const image = await decoder.uprightInSrgb(decodable);
    return await encode(image.resize(maxPixels, maxPixels, { fit: 'inside', withoutEnlargement: true }));
  } catch (error) {
    const cause = decoder.decodingError(error);
    if (!(cause instanceof StructureError)) throw cause;
    throw new NoThumbnail("The image can't be decoded.", { cause });
  }
}

/** The path, or the bytes of the first frame. @throws NoThumbnail */
async function decodableFile(path: string): Promise<string | Buffer> {
  const file = FileBytes.open(path);
  try {
    if (file.size === 0) throw new NoThumbnail('The file is empty, so it has no thumbnail.');
    const content = await detectContent(file);
    if (content.kind !== 'image') throw new NoThumbnail(`The file is ${content.description}, which has no thumbnail.`);
    const { format, description } = content;
    if (format === 'bmp' || format === 'heic')
      throw new NoThumbnail(`The file is ${description}, which the server can't decode into a thumbnail.`);
    const header = await readImageHeader(file, { path, format }, async () => decoder);
    if (typeof header === 'string' || header.decoderBytes > THUMBNAIL_BUDGET_BYTES)
      throw new NoThumbnail('The image is too large: decoding it into a thumbnail would need too much memory.');
    return header.firstFrame?.() ?? path;
  } catch (error) {
    if (!(error instanceof StructureError || error instanceof InspectionError)) throw error;
    throw new NoThumbnail(`The image ${error.message}.`.replace('..', '.'), { cause: error });
  } finally {
    file.close();
  }
}
