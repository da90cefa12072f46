import type { FileBytes } from '../byte-source.js';
import { StructureError } from '../inspection-error.js';
import { type Box, boxesOf, requiredBox } from '../isobmff.js';
import { checkDimensions, type ImageHeader } from './image-header.js';

/** libheif holds the planes at 16 bits and an RGB copy; measured at 4 and 16 megapixels. */
const DECODER_BYTES_PER_PIXEL = 22;

/**
 * Reads the dimensions of an AVIF or HEIC image (ISO/IEC 23008-12), and checks that its outermost boxes lie inside the file. What
 * they contain is for a decoder to prove.
 *
 * @throws StructureError, InspectionError
 */
export function readHeif(file: FileBytes): ImageHeader {
  let meta: Box | undefined;
  let animated = false;
  for (const box of boxesOf(file, { payload: 0, end: file.size })) {
    if (box.type === 'meta') meta ??= box;
    if (box.type === 'moov') animated = true;
  }
  if (meta === undefined) throw new StructureError('is damaged: the meta box, which describes the image, is missing');
  // Those of its tiles and of its thumbnail are smaller than those of the image.
  let [width, height, orientation] = [0, 0, 1];
  for (const { type, payload } of propertiesOf(file, meta)) {
    if (type === 'ispe') {
      const size = file.at(payload, 12);
      const [across, down] = [size.readUInt32BE(4), size.readUInt32BE(8)];
      if (across * down > width * height) [width, height] = [across, down];
    }
    // 6 stands for either quarter turn: only the sides matter.
    if (type === 'irot' && ((file.at(payload, 1)[0] ?? 0) & 1) === 1) orientation = 6;
  }
  checkDimensions(width, height);
  const header = { width, height, orientation, animated };
  const decoderBytes = width * height * DECODER_BYTES_PER_PIXEL;
  if (file.at(8, 4).toString('latin1') !== 'avis') return { ...header, decoderBytes };
  return { ...header, decoderBytes: decoderBytes + file.size, firstFrame: () => stillOf(file) };
}

/** The colours that the container declares by numbers of ITU-T H.273 (`colr` of type `nclx`, ISO/IEC 14496-12, 12.1.5). */
export function colourOf(file: FileBytes): { primaries: number; transfer: number } | undefined {
  const meta = requiredBox(file, { payload: 0, end: file.size }, 'meta');
  for (const property of propertiesOf(file, meta)) {
    if (property.type !== 'colr') continue;
    const bytes = file.at(property.payload, 8);
    if (bytes.toString('latin1', 0, 4) !== 'nclx') continue;
    return { primaries: bytes.readUInt16BE(4), transfer: bytes.readUInt16BE(6) };
  }
  return undefined;
}

/** The properties of the images in the file. */
function propertiesOf(file: FileBytes, meta: Box): Generator<Box> {
  const container = requiredBox(file, { payload: meta.payload + 4, end: meta.end }, 'iprp');
  return boxesOf(file, requiredBox(file, container, 'ipco'));
}

/** The same file under the name of a still image: libvips rejects a sequence, although libheif reads the still image in it. */
function stillOf(file: FileBytes): Buffer {
  const still = Buffer.from(file.copy(0, file.size));
  still.write('avif', 8, 'latin1');
  return still;
}
