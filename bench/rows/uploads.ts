import { availableParallelism } from 'node:os';
import { discardServer, startServer } from '../../test/harness/server.js';
import type { Benchmark } from '../bench.js';
import { inChild } from '../child.js';
import type { DecodeJob, DecodeResult } from '../decode.js';
import { alternate, median } from '../measure.js';
import { writePhotos } from '../photos.js';
import { processorSeconds } from '../processor.js';
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
    // Milliseconds of processor time: of the server and its inspection processes for a pair, and of sharp for an image.
    const cost = { upload: [] as number[], decode: [] as number[] };
    const send = async (count: number) => {
      const before = processorSeconds([server.process.pid!]);
      const { seconds } = await upload(api, { images }, { count, connections: CONNECTIONS });
      const each = ((processorSeconds([server.process.pid!]) - before) * 1000) / count;
      cost.upload.push(each);
      log(`${formatFigure(count / seconds)} pairs/s, ${formatFigure(each)} ms of processor time each`);
      return count / seconds;
    };
    const decode = async () => {
      const result = await inChild<DecodeJob, DecodeResult>(DECODE, { images, count: pairs });
      const each = (result.processorSeconds * 1000) / pairs;
      cost.decode.push(each);
      log(`${formatFigure(pairs / result.seconds)} decodes/s, ${formatFigure(each)} ms of processor time each`);
      return pairs / result.seconds;
    };
    // Warms up: a new process still compiles its own code.
    await send(isQuick ? 400 : 1000);
    cost.upload = [];
    const rate = await alternate({ decode, upload: () => send(pairs) }, isQuick ? 2 : 3);
    const row = {
      what: `direct upload of 200 kB JPEGs with captions, ${CONNECTIONS} connections`,
      measured: `${formatFigure(rate.upload)} pairs/s`,
      reference: `sharp decodes ${formatFigure(rate.decode)}/s, ${availableParallelism()} concurrently`,
      ratio: rate.upload / rate.decode,
    };
    const [uploadCost, decodeCost] = [median(cost.upload), median(cost.decode)];
    const costRow = {
      what: 'processor time of the server and its processes for such a pair',
      measured: `${formatFigure(uploadCost)} ms`,
      reference: `sharp decodes in ${formatFigure(decodeCost)} ms`,
      ratio: uploadCost / decodeCost,
    };
    return [rowWithTarget(row, { atLeast: 0.8 }), rowWithTarget(costRow, { atMost: 1.25 })];
  } finally {
    await discardServer(server);
  }
};
