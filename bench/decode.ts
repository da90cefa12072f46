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

export interface DecodeResult {
  readonly seconds: number;
  readonly processorSeconds: number;
}

onJob(async ({ images, count }: DecodeJob): Promise<DecodeResult> => {
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
  const [startedAt, usageBefore] = [performance.now(), process.cpuUsage()];
  await Promise.all(cores.map(() => decodeAll(count)));
  const { user, system } = process.cpuUsage(usageBefore);
  return { seconds: (performance.now() - startedAt) / 1000, processorSeconds: (user + system) / 1e6 };
});
