import { type Luma, meanAndVarianceOf } from './luma.js';

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
export function sharpnessOf(luma: Luma): number {
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
