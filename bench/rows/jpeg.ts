import { stat } from 'node:fs/promises';
import sharp from 'sharp';
import { FileBytes } from '../../src/dataset/inspect/byte-source.js';
import { readJpeg } from '../../src/dataset/inspect/image/jpeg/jpeg.js';
import type { Benchmark } from '../bench.js';
import { alternate } from '../measure.js';
import { writePhotos } from '../photos.js';
import { formatFigure, rowWithTarget } from '../table.js';

const MEGABYTES_PER_SECOND = 60;

sharp.cache(false);
sharp.concurrency(1);

/**
 * The proof of JPEGs by their Huffman codes, beside sharp's full decode of the same files: bytes for each second of processor
 * time, which other programs distort less than time on the clock.
 */
export const benchJpeg: Benchmark = async ({ folder, isQuick, log }) => {
  const sequential = await writePhotos(folder, isQuick ? 20 : 60);
  const progressive = sequential.map((path) => path.replace('.jpg', '_progressive.jpg'));
  for (const [i, path] of sequential.entries()) {
    await sharp(path).jpeg({ quality: 85, progressive: true }).toFile(progressive[i]!);
  }
  const rows = [];
  for (const [kind, paths] of Object.entries({ sequential, progressive })) {
    const bytes = (await Promise.all(paths.map((path) => stat(path)))).reduce((sum, { size }) => sum + size, 0);
    const rateOf = async (work: (path: string) => Promise<unknown>) => {
      const before = process.cpuUsage();
      for (const path of paths) await work(path);
      const { user, system } = process.cpuUsage(before);
      return bytes / (user + system);
    };
    // An inspection process proves up to 2,000 files; after the first hundreds its code is compiled.
    for (let i = 0; i < 8; i++) await rateOf(prove);
    const rate = await alternate(
      { prove: () => rateOf(prove), decode: () => rateOf((path) => sharp(path).raw().toBuffer()) },
      isQuick ? 3 : 5,
    );
    log(`${kind}: ${formatFigure(rate.prove)} MB/s`);
    const row = {
      what: `proof of ${kind} JPEGs of 200 kB, one core`,
      measured: `${formatFigure(rate.prove)} MB/s (sharp decodes ${formatFigure(rate.decode)} MB/s)`,
      reference: `limit ${MEGABYTES_PER_SECOND} MB/s`,
      ratio: rate.prove / MEGABYTES_PER_SECOND,
    };
    rows.push(rowWithTarget(row, { atLeast: 1 }));
  }
  return rows;
};

async function prove(path: string): Promise<void> {
  const file = FileBytes.open(path);
  try {
    await readJpeg(file).provePixels?.();
  } finally {
    file.close();
  }
}
