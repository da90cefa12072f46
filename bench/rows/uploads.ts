import { availableParallelism } from 'node:os';
import { discardServer, startServer } from '../../test/harness/server.js';
import type { Benchmark } from '../bench.js';
import { inChild } from '../child.js';
import type { Decodes } from '../decode.js';
import { takeTurns } from '../measure.js';
import { writePhotos } from '../photos.js';
import { figure, judged } from '../table.js';
import { upload } from '../uploading.js';

const DECODE = new URL('../decode.ts', import.meta.url);
const CONNECTIONS = 8;

/** Direct uploads of JPEGs with captions, against the rate at which sharp decodes the same files and does nothing else. */
export const benchUploads: Benchmark = async ({ folder, isQuick, say }) => {
  const images = await writePhotos(folder, isQuick ? 40 : 80);
  const pairs = isQuick ? 240 : 600;
  const server = await startServer({}, { dataFolder: `${folder}/data` });
  try {
    const api = await server.api();
    const send = async (count: number) => {
      const { seconds } = await upload(api, { images }, { count, connections: CONNECTIONS });
      say(`${figure(count / seconds)} pairs/s`);
      return count / seconds;
    };
    const decode = async () => {
      const { seconds } = await inChild<Decodes, { seconds: number }>(DECODE, { images, count: pairs });
      say(`${figure(pairs / seconds)} decodes/s`);
      return pairs / seconds;
    };
    // A process that has just started compiles its own code while it serves: that is the price of a start, not of a file.
    await send(isQuick ? 400 : 1000);
    const rate = await takeTurns({ decode, upload: () => send(pairs) }, isQuick ? 2 : 3);
    const row = {
      what: `direct upload of 200 kB JPEGs with captions, ${CONNECTIONS} connections`,
      measured: `${figure(rate.upload)} pairs/s`,
      reference: `sharp decodes ${figure(rate.decode)}/s, ${availableParallelism()} at once`,
      ratio: rate.upload / rate.decode,
    };
    return [judged(row, { atLeast: 0.8 })];
  } finally {
    await discardServer(server);
  }
};
