import { availableParallelism } from 'node:os';
import sharp from 'sharp';
import { onJob } from './child.js';

/** Full decodes of image files, in a process of its own. */
export interface Decodes {
  readonly images: readonly string[];
  /** The images are taken in turns. */
  readonly count: number;
}

// As many pictures at once as there are cores, each on one thread, and none remembered.
sharp.cache(false);
sharp.concurrency(1);

onJob(async ({ images, count }: Decodes): Promise<{ seconds: number }> => {
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
