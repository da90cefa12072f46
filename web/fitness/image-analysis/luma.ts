/** Pixels of a canvas: red, green, blue and alpha, row by row. */
export interface Pixels {
  readonly data: Uint8ClampedArray | Uint8Array;
  readonly width: number;
  readonly height: number;
}

/** The lightness of each pixel: 0 is black and 255 white. */
export interface Luma {
  readonly values: Float32Array;
  readonly width: number;
  readonly height: number;
}

/** Computes luma with the weights of ITU-R BT.601, on a white background, as viewers show transparent images. */
export function lumaOf({ data, width, height }: Pixels): Luma {
  const values = new Float32Array(width * height);
  for (let pixel = 0; pixel < values.length; pixel++) {
    const at = pixel * 4;
    const light = 0.299 * data[at]! + 0.587 * data[at + 1]! + 0.114 * data[at + 2]!;
    const alpha = data[at + 3]! / 255;
    values[pixel] = light * alpha + 255 * (1 - alpha);
  }
  return { values, width, height };
}

export function meanAndVarianceOf(values: Float32Array): { mean: number; variance: number } {
  let [sum, squares] = [0, 0];
  for (const value of values) {
    sum += value;
    squares += value * value;
  }
  const mean = sum / values.length;
  return { mean, variance: Math.max(0, squares / values.length - mean * mean) };
}
