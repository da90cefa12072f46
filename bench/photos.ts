import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import sharp from 'sharp';

const SIDE = 1024;
const BYTES = 200_000;

/**
 * Writes different JPEGs of 1024 × 1024 pixels and about 200 kB, with gradients, edges and the grain of a photo.
 *
 * @returns their paths
 */
export async function writePhotos(folder: string, count: number): Promise<string[]> {
  const paths: string[] = [];
  // The grain decides the size of a JPEG; one value fits all.
  const grain = await grainFor(BYTES);
  for (let seed = 0; seed < count; seed++) {
    const path = join(folder, `photo_${seed}.jpg`);
    await writeFile(path, await photo(seed, grain));
    paths.push(path);
  }
  return paths;
}

async function grainFor(bytes: number): Promise<number> {
  let [low, high] = [0, 128];
  while (high - low > 1) {
    const middle = (low + high) / 2;
    if ((await photo(0, middle)).length < bytes) low = middle;
    else high = middle;
  }
  return low;
}

function photo(seed: number, grain: number): Promise<Buffer> {
  const pixels = Buffer.allocUnsafe(SIDE * SIDE * 3);
  let noise = (seed + 1) * 2_654_435_761;
  for (let at = 0, row = 0; row < SIDE; row++) {
    const down = 40 * Math.cos((row + seed * 7) / 91);
    for (let column = 0; column < SIDE; column++) {
      noise = (Math.imul(noise, 1_103_515_245) + 12_345) >>> 0;
      const edge = ((column >> 6) + (row >> 7) + seed) % 5 === 0 ? 35 : 0;
      const light =
        110 + 50 * Math.sin((column + seed * 13) / 67) + down + edge + ((noise >>> 16) / 65_536 - 0.5) * grain;
      pixels[at++] = clamped(light + 12);
      pixels[at++] = clamped(light);
      pixels[at++] = clamped(light - 18 + ((column ^ row) & 31));
    }
  }
  return sharp(pixels, { raw: { width: SIDE, height: SIDE, channels: 3 } })
    .jpeg({ quality: 85 })
    .toBuffer();
}

function clamped(value: number): number {
  return Math.min(Math.max(value, 0), 255);
}
