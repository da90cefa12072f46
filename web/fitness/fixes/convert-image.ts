import { ANIMATED } from '../../../src/dataset/fix/media-names.js';
import { imageFormatOf, isoBrandsOf } from '../../../src/dataset/inspect/image-content.js';
import { type ImageFormat, mediaTypeOfContent } from '../../../src/dataset/media.js';

const HEADER_BYTES = 4096;

// Blocks of a GIF (GIF89a specification).
const EXTENSION = 0x21;
const IMAGE = 0x2c;
const TRAILER = 0x3b;

/** Rows that are compared at once: a copy of all pixels of a large image would need as much memory as the image. */
const ROWS_AT_ONCE = 256;

/** Why an image is not converted, as the rest of a sentence that begins with its name. */
export class UnconvertibleImage extends Error {
  override readonly name = 'UnconvertibleImage';
  /** Whether the command may convert it nevertheless. */
  readonly canCommand: boolean;

  constructor(reason: string, { canCommand = true, ...options }: ErrorOptions & { canCommand?: boolean } = {}) {
    super(reason, options);
    this.canCommand = canCommand;
  }
}

/**
 * Makes an image that the trainer reads: a PNG of the same size, upright and in sRGB. A JPEG, PNG or WebP is returned as it is.
 *
 * @throws UnconvertibleImage if the result would lose pixels or need a guess, as in `check --fix`
 */
export async function convertedImage(original: Blob): Promise<{ bytes: Blob; format: ImageFormat }> {
  const header = new Uint8Array(await original.slice(0, HEADER_BYTES).arrayBuffer());
  const format = imageFormatOf(header);
  if (format === undefined) throw new UnconvertibleImage('is not an image by its content', { canCommand: false });
  if (mediaTypeOfContent(format, '').trainable) return { bytes: original, format };
  if (format === 'gif') await requireOneFrame(original);
  if (format === 'avif' && isoBrandsOf(header)[0] === 'avis') throw animated();
  const decoded = await createImageBitmap(original).catch((cause) => {
    throw new UnconvertibleImage(whyNotDecoded(format), { canCommand: format !== 'heic', cause });
  });
  try {
    return { bytes: await encodedAsPng(decoded), format: 'png' };
  } finally {
    decoded.close();
  }
}

function whyNotDecoded(format: ImageFormat): string {
  if (format === 'heic') return "is a HEIC image, which this browser can't decode. Export it as JPEG, and choose that";
  if (format === 'tiff') return "is a TIFF image, which this browser can't decode";
  return "is damaged, or stored in a form that this browser can't decode";
}

async function requireOneFrame(gif: Blob): Promise<void> {
  const frames = gifFramesOf(new Uint8Array(await gif.arrayBuffer()));
  if (frames === undefined || frames === 0) throw new UnconvertibleImage('is damaged', { canCommand: false });
  if (frames > 1) throw animated();
}

function animated(): UnconvertibleImage {
  return new UnconvertibleImage(ANIMATED, { canCommand: false });
}

async function encodedAsPng(image: ImageBitmap): Promise<Blob> {
  const { width, height } = image;
  if (!(await isCanvasExact())) {
    throw new UnconvertibleImage("can't be converted: this browser changes the pixels of a canvas, to hinder tracking");
  }
  const canvas = new OffscreenCanvas(width, height);
  // On the processor: a graphics card may round.
  const context = canvas.getContext('2d', { willReadFrequently: true });
  if (context === null) throw new UnconvertibleImage('has more pixels than this browser can draw');
  context.drawImage(image, 0, 0);
  for (let top = 0; top < height; top += ROWS_AT_ONCE) {
    const rows = Math.min(ROWS_AT_ONCE, height - top);
    // A canvas multiplies colours by their alpha. The trainer drops alpha, and would see the colours that are lost.
    if (!isOpaque(context.getImageData(0, top, width, rows).data)) {
      throw new UnconvertibleImage('has transparent pixels, whose colours this browser would not keep');
    }
  }
  return canvas.convertToBlob({ type: 'image/png' }).catch((cause) => {
    throw new UnconvertibleImage("can't be encoded as PNG by this browser", { cause });
  });
}

function isOpaque(pixels: Uint8ClampedArray): boolean {
  for (let alpha = 3; alpha < pixels.length; alpha += 4) if (pixels[alpha] !== 255) return false;
  return true;
}

let exact: Promise<boolean> | undefined;

/** Whether a PNG from a canvas has the pixels that were drawn. Some browsers add noise to them, so that scripts can't tell devices apart. */
function isCanvasExact(): Promise<boolean> {
  exact ??= (async () => {
    const side = 64;
    const drawn = new ImageData(side, side);
    for (let at = 0; at < drawn.data.length; at++) drawn.data[at] = at % 4 === 3 ? 255 : (at * 7) % 256;
    const contextOf = () => new OffscreenCanvas(side, side).getContext('2d', { willReadFrequently: true })!;
    const [first, second] = [contextOf(), contextOf()];
    first.putImageData(drawn, 0, 0);
    second.drawImage(await createImageBitmap(await first.canvas.convertToBlob({ type: 'image/png' })), 0, 0);
    const read = second.getImageData(0, 0, side, side).data;
    return drawn.data.every((value, at) => value === read[at]);
  })();
  return exact;
}

/** Counts the pictures of a GIF; `undefined` if it is damaged. */
export function gifFramesOf(bytes: Uint8Array): number | undefined {
  let at = 13 + colourTableBytes(bytes[10]);
  for (let frames = 0; at < bytes.length; ) {
    const block = bytes[at];
    if (block === TRAILER) return frames;
    if (block === IMAGE) {
      frames++;
      at += 11 + colourTableBytes(bytes[at + 9]);
    } else if (block === EXTENSION) at += 2;
    else return undefined;
    // Sub-blocks, each with its length before it, and an empty one at the end.
    for (; bytes[at] !== 0; at += 1 + bytes[at]!) if (at >= bytes.length) return undefined;
    at++;
  }
  return undefined;
}

function colourTableBytes(flags = 0): number {
  return (flags & 0x80) === 0 ? 0 : 3 << ((flags & 7) + 1);
}
