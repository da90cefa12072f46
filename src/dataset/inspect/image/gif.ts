import type { FileBytes } from '../byte-source.js';
import { StructureError } from '../inspection-error.js';
import type { ImageHeader } from './image-header.js';

const EXTENSION = 0x21;
const IMAGE = 0x2c;
const TRAILER = 0x3b;
/** libvips decodes a whole canvas of RGBA; measured at 25 megapixels. */
const DECODER_BYTES_PER_PIXEL = 4.6;

/** Follows the blocks of a GIF to its trailer, to count its frames (GIF89a specification). @throws StructureError */
export function readGif(file: FileBytes): ImageHeader {
  const screen = Buffer.from(file.at(0, 13));
  const width = screen.readUInt16LE(6);
  const height = screen.readUInt16LE(8);
  let offset = 13 + colourTableBytes(screen[10] ?? 0);
  let frames = 0;
  let pixels = width * height;
  for (;;) {
    const block = file.at(offset, 1)[0];
    if (block === TRAILER) break;
    if (block === EXTENSION) offset = afterSubBlocks(file, offset + 2);
    else if (block === IMAGE) {
      const image = file.at(offset, 10);
      const right = image.readUInt16LE(1) + image.readUInt16LE(5);
      const bottom = image.readUInt16LE(3) + image.readUInt16LE(7);
      // A frame that lies outside the canvas enlarges it.
      pixels = Math.max(pixels, Math.max(width, right) * Math.max(height, bottom));
      offset = afterSubBlocks(file, offset + 10 + colourTableBytes(image[9] ?? 0) + 1);
      frames++;
    } else throw new StructureError(`is damaged: the block at byte ${offset} has no valid type`);
  }
  if (frames === 0) throw new StructureError('is damaged: it contains no image');
  return { width, height, orientation: 1, animated: frames > 1, decoderBytes: pixels * DECODER_BYTES_PER_PIXEL };
}

function colourTableBytes(flags: number): number {
  return (flags & 0x80) === 0 ? 0 : 3 << ((flags & 7) + 1);
}

function afterSubBlocks(file: FileBytes, start: number): number {
  for (let offset = start; ; ) {
    const length = file.at(offset, 1)[0] ?? 0;
    offset += 1 + length;
    if (length === 0) return offset;
  }
}
