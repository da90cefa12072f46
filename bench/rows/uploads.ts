import { availableParallelism } from 'node:os';
import { discardServer, startServer } from '../../test/harness/server.js';
import type { Benchmark } from '../bench.js';
import { inChild } from '../child.js';
import type { DecodeJob } from '../decode.js';
import { alternate } from '../measure.js';
import { writePhotos } from '../photos.js';
import { formatFigure, rowWithTarget } from '../table.js';
import { upload } from '../uploading.js';

const DECODE = new URL('../decode.ts', import.meta.url);
const CONNECTIONS = 8;

/** Direct uploads of JPEGs with captions, against the rate at which sharp alone decodes the same files. */
export const benchUploads: Benchmark = async ({ folder, isQuick, log }) => {
  const images = await writePhotos(folder, isQuick ? 40 : 80);
  const pairs = isQuick ? 240 : 600;
  const server = await startServer({}, { dataFolder: `${folder}/data` });
  try {
    const api = await server.api();
    const send = async (count: number) => {
      const { seconds } = await upload(api, { images }, { count, connections: CONNECTIONS });
      log(`${formatFigure(count / seconds)} pairs/s`);
      return count / seconds;
    };
    const decode = async () => {
      const { seconds } = await inChild<DecodeJob, { seconds: number }>(DECODE, { images, count: pairs });
      log(`${formatFigure(pairs / seconds)} decodes/s`);
      return pairs / seconds;
    };
    // Warms up: a new process still compiles its own code.
    await send(isQuick ? 400 : 1000);
    const rate = await alternate({ decode, upload: () => send(pairs) }, isQuick ? 2 : 3);
    const row = {
      what: `direct upload of 200 kB JPEGs with captions, ${CONNECTIONS} connections`,
      measured: `${formatFigure(rate.upload)} pairs/s`,
      reference: `sharp decodes ${formatFigure(rate.decode)}/s, ${availableParallelism()} concurrently`,
      ratio: rate.upload / rate.decode,
    };
    return [rowWithTarget(row, { atLeast: 0.8 })];
  } finally {
    await discardServer(server);
  }
};
