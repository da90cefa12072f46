import { availableParallelism } from 'node:os';
import sharp from 'sharp';
import { onJob } from './child.js';

/** A job of full decodes of image files, for a separate process. */
export interface DecodeJob {
  readonly images: readonly string[];
  /** Number of decodes; the images are repeated in order. */
  readonly count: number;
}

// As many concurrent decodes as cores, one thread each, without a cache.
sharp.cache(false);
sharp.concurrency(1);

onJob(async ({ images, count }: DecodeJob): Promise<{ seconds: number }> => {
  let next = 0;
  const decodeAll = async (until: number) => {
    while (next < until)
      await sharp(images[next++ % images.length]!)
        .raw()
        .toBuffer();
  };
  const cores = Array.from({ length: availableParallelism() });
  await Promise.all(cores.map(() => decodeAll(cores.length * 4)));
  next = 0;
  const startedAt = performance.now();
  await Promise.all(cores.map(() => decodeAll(count)));
  return { seconds: (performance.now() - startedAt) / 1000 };
});
