import sharp from 'sharp';
import { FileBytes } from '../byte-source.js';
import { InspectionError, StructureError, shortReason } from '../inspection-error.js';
import { detectContent } from '../detect-content.js';
import { CAREFUL } from './decode.js';
import { DECODER_BUDGET_BYTES, IMAGE_FORMATS } from './inspect-image.js';

/** No thumbnail can be made of this file, ever; the message says why. */
export class NoThumbnail extends Error {
  constructor(message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = 'NoThumbnail';
  }
}

/**
 * A WebP of the first frame: upright, at most `maxPixels` on its longer side, never enlarged, without metadata, in sRGB.
 *
 * @throws NoThumbnail for what is no image, can't be decoded here, or needs more memory than inspection may take; the
 * operating system's errors otherwise.
 */
export async function makeThumbnail(source: { path: string; maxPixels: number }): Promise<Buffer> {
  await refuseUndecodable(source.path);
  try {
    return await sharp(source.path, { ...CAREFUL, ignoreIcc: false, autoOrient: true })
      .resize(source.maxPixels, source.maxPixels, { fit: 'inside', withoutEnlargement: true })
      .webp({ quality: 80 })
      .toBuffer();
  } catch (error) {
    throw new NoThumbnail(`The image can not be decoded (${shortReason(error)}).`, { cause: error });
  }
}

async function refuseUndecodable(path: string): Promise<void> {
  const file = FileBytes.open(path);
  try {
    if (file.size === 0) throw new NoThumbnail('There is nothing to make a thumbnail of.');
    const content = await detectContent(file);
    if (content.kind !== 'image') throw new NoThumbnail(`There is no thumbnail of ${content.words}.`);
    const format = IMAGE_FORMATS[content.format];
    if (!format.decodes) {
      throw new NoThumbnail(`There is no thumbnail of ${content.words}: its pixels can not be decoded here.`);
    }
    if (format.read(file).decoderBytes > DECODER_BUDGET_BYTES) {
      throw new NoThumbnail('The image is too large for a thumbnail: it would need too much memory.');
    }
  } catch (error) {
    if (!(error instanceof StructureError || error instanceof InspectionError)) throw error;
    throw new NoThumbnail(`The image ${error.message}.`.replace('..', '.'), { cause: error });
  } finally {
    file.close();
  }
}
