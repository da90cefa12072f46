import sharp, { type Sharp } from 'sharp';
import { EXTENSIONS_OF, type Format, type Original } from '../corpus-file.js';

type Encoder = (picture: Sharp) => Sharp;

/** By the name of the variant: how sharp writes a picture. */
const ENCODERS: Readonly<Partial<Record<Format, Readonly<Record<string, Encoder>>>>> = {
  jpeg: {
    baseline: (picture) => picture.jpeg({ quality: 85 }),
    progressive: (picture) => picture.jpeg({ progressive: true }),
    mozjpeg: (picture) => picture.jpeg({ mozjpeg: true }),
    grey: (picture) => picture.greyscale().jpeg(),
    cmyk: (picture) => picture.toColourspace('cmyk').jpeg(),
    icc: (picture) => picture.withIccProfile('p3').jpeg(),
  },
  png: {
    plain: (picture) => picture.png(),
    interlaced: (picture) => picture.png({ progressive: true }),
    palette: (picture) => picture.png({ palette: true, colours: 16 }),
    deep: (picture) => picture.toColourspace('rgb16').png(),
    grey: (picture) => picture.greyscale().png(),
    alpha: (picture) => picture.ensureAlpha(0.5).png(),
    icc: (picture) => picture.withIccProfile('p3').png(),
  },
  webp: {
    lossy: (picture) => picture.webp({ quality: 75, effort: 1 }),
    lossless: (picture) => picture.webp({ lossless: true, effort: 1 }),
    alpha: (picture) => picture.ensureAlpha(0.5).webp({ effort: 1 }),
    icc: (picture) => picture.withIccProfile('p3').webp({ effort: 1 }),
  },
  avif: {
    plain: (picture) => picture.avif({ effort: 0 }),
    alpha: (picture) => picture.ensureAlpha(0.5).avif({ effort: 0 }),
    lossless: (picture) => picture.resize(160).avif({ effort: 0, lossless: true }),
  },
};

/** Encodes each picture in every way that sharp knows. */
export async function madeImages(
  pictures: readonly { readonly origin: string; readonly bytes: Buffer }[],
): Promise<Original[]> {
  const originals: Original[] = [];
  for (const [index, { origin, bytes }] of pictures.entries()) {
    // Some sizes are not multiples of a block.
    const width = 200 + ((index * 37) % 240);
    for (const [format, encoders] of Object.entries(ENCODERS) as [Format, Record<string, Encoder>][]) {
      for (const [name, encode] of Object.entries(encoders)) {
        const picture = sharp(bytes, { limitInputPixels: false }).rotate().resize(width).removeAlpha();
        const encoded = await encode(picture).toBuffer();
        const [extension] = EXTENSIONS_OF[format];
        const made = `${format} ${name} of ${origin}`;
        originals.push({ format, extension, origin: made, bytes: encoded, isDamaged: true });
      }
    }
  }
  return originals;
}
