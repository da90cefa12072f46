import type { FileBytes } from '../byte-source.js';
import { StructureError } from '../inspection-error.js';
import { type Box, type BoxRange, boxesOf, firstBox, requiredBox } from '../isobmff.js';
import { checkDimensions, type ImageHeader } from './image-header.js';

const MAX_ITEMS = 100_000;
/** libheif holds the planes at 16 bits and an RGB copy; measured at 4 and 16 megapixels. */
const DECODER_BYTES_PER_PIXEL = 22;

/**
 * Reads the container of an AVIF or HEIC image (ISO/IEC 23008-12) and checks that every extent of every item lies inside
 * the file.
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
  const inside = { payload: meta.payload + 4, end: meta.end };
  const primary = primaryItem(file, inside);
  const { width, height, turned } = sizeOf(file, inside, primary);
  checkDimensions(width, height);
  checkLocations(file, inside, primary);
  // 6 stands for either quarter turn: only the sides matter.
  const orientation = turned ? 6 : 1;
  const header = { width, height, orientation, animated };
  const decoderBytes = width * height * DECODER_BYTES_PER_PIXEL;
  if (file.at(8, 4).toString('latin1') !== 'avis') return { ...header, decoderBytes };
  return { ...header, decoderBytes: decoderBytes + file.size, firstFrame: () => stillOf(file) };
}

/** The colours that the container declares by numbers of ITU-T H.273 (`colr` of type `nclx`, ISO/IEC 14496-12, 12.1.5). */
export function colourOf(file: FileBytes): { primaries: number; transfer: number } | undefined {
  const meta = requiredBox(file, { payload: 0, end: file.size }, 'meta');
  const container = requiredBox(file, { payload: meta.payload + 4, end: meta.end }, 'iprp');
  for (const property of boxesOf(file, requiredBox(file, container, 'ipco'))) {
    if (property.type !== 'colr') continue;
    const bytes = file.at(property.payload, 8);
    if (bytes.toString('latin1', 0, 4) !== 'nclx') continue;
    return { primaries: bytes.readUInt16BE(4), transfer: bytes.readUInt16BE(6) };
  }
  return undefined;
}

/** The same file under the name of a still image: libvips rejects a sequence, although libheif reads the still image in it. */
function stillOf(file: FileBytes): Buffer {
  const still = Buffer.from(file.copy(0, file.size));
  still.write('avif', 8, 'latin1');
  return still;
}

function primaryItem(file: FileBytes, meta: BoxRange): number {
  const box = requiredBox(file, meta, 'pitm');
  const version = file.at(box.payload, 1)[0] ?? 0;
  return version === 0 ? file.at(box.payload + 4, 2).readUInt16BE(0) : file.at(box.payload + 4, 4).readUInt32BE(0);
}

function sizeOf(file: FileBytes, meta: BoxRange, item: number) {
  const container = requiredBox(file, meta, 'iprp');
  const properties = [...boxesOf(file, requiredBox(file, container, 'ipco'))];
  let size: { width: number; height: number } | undefined;
  let turned = false;
  for (const index of propertiesOf(file, requiredBox(file, container, 'ipma'), item)) {
    const property = properties[index - 1];
    if (property?.type === 'ispe') {
      const bytes = file.at(property.payload, 12);
      size = { width: bytes.readUInt32BE(4), height: bytes.readUInt32BE(8) };
    } else if (property?.type === 'irot') turned = ((file.at(property.payload, 1)[0] ?? 0) & 1) === 1;
  }
  if (size === undefined) throw new StructureError('is damaged: it does not give its dimensions');
  return { ...size, turned };
}

/** The numbers, from 1, of the properties that `ipma` associates with an item. */
function propertiesOf(file: FileBytes, box: Box, wanted: number): number[] {
  const read = fields(file, box);
  const { version, flags } = read.full();
  const entries = read.number(4);
  for (let entry = 0; entry < entries; entry++) {
    const item = read.number(version < 1 ? 2 : 4);
    const found: number[] = [];
    const associations = read.number(1);
    for (let index = 0; index < associations; index++) {
      found.push((flags & 1) === 1 ? read.number(2) & 0x7fff : read.number(1) & 0x7f);
    }
    if (item === wanted) return found;
  }
  return [];
}

/** Every extent of every item must lie inside the file, or inside the box `idat` (iloc, ISO/IEC 14496-12, 8.11.3). */
function checkLocations(file: FileBytes, meta: BoxRange, primary: number): void {
  const box = requiredBox(file, meta, 'iloc');
  const idat = firstBox(file, meta, 'idat');
  const idatBytes = idat === undefined ? 0 : idat.end - idat.payload;
  const read = fields(file, box);
  const { version } = read.full();
  const [sizes, more] = [read.number(1), read.number(1)];
  const indexBytes = version === 0 ? 0 : more & 15;
  const items = read.number(version < 2 ? 2 : 4);
  if (items > MAX_ITEMS) throw new StructureError('is damaged: it lists too many items');
  let found = false;
  for (let item = 0; item < items; item++) {
    found = read.number(version < 2 ? 2 : 4) === primary || found;
    const method = version === 0 ? 0 : read.number(2) & 15;
    read.number(2);
    const base = read.number(more >> 4);
    const extents = read.number(2);
    const extentBytes = indexBytes + (sizes >> 4) + (sizes & 15);
    // Extents without any field are all the same. There may be 65,535 of them in each item.
    for (let extent = 0; extent < (extentBytes === 0 ? Math.min(1, extents) : extents); extent++) {
      read.number(indexBytes);
      const offset = read.number(sizes >> 4);
      const end = base + offset + read.number(sizes & 15);
      if (method === 0) file.requireSize(end);
      if (method === 1 && end > idatBytes) throw new StructureError('is damaged: a part of it ends after its idat box');
    }
  }
  if (!found) throw new StructureError('is damaged: it does not locate its image');
}

/** Reads the numbers of a box in sequence. */
function fields(file: FileBytes, box: Box) {
  let offset = box.payload;
  const number = (bytes: number): number => {
    if (bytes === 0) return 0;
    if (offset + bytes > box.end || ![1, 2, 3, 4, 8].includes(bytes)) {
      throw new StructureError(`is damaged: its ${box.type} box is invalid`);
    }
    const at = file.at(offset, bytes);
    offset += bytes;
    return bytes === 8 ? Number(at.readBigUInt64BE(0)) : at.readUIntBE(0, bytes);
  };
  return { number, full: () => ({ version: number(1), flags: number(3) }) };
}
