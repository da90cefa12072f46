import { fork } from 'node:child_process';
import { once } from 'node:events';
import { mkdir } from 'node:fs/promises';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { metricsOf } from '../../test/harness/metrics.js';
import { discardServer, eventually, NODE_FLAGS, startServer } from '../../test/harness/server.js';
import type { Benchmark } from '../bench.js';
import { inChild } from '../child.js';
import type { DecodeJob, DecodeResult } from '../decode.js';
import type { LoadResult } from '../load.js';
import { alternate, median } from '../measure.js';
import { writePhotos } from '../photos.js';
import { processorSeconds } from '../processor.js';
import { formatFigure, rowWithoutTarget, rowWithTarget } from '../table.js';
import { upload, uploadTo } from '../uploading.js';

const DECODE = new URL('../decode.ts', import.meta.url);
const LEAN_SERVER = fileURLToPath(new URL('../lean-server.ts', import.meta.url));
const CONNECTIONS = 8;

/**
 * Direct uploads of JPEGs with captions, against the rate at which sharp alone decodes the same files, and against the leanest
 * server that stores them.
 */
export const benchUploads: Benchmark = async ({ folder, isQuick, log }) => {
  const images = await writePhotos(folder, isQuick ? 40 : 80);
  const pairs = isQuick ? 240 : 600;
  const server = await startServer({}, { dataFolder: `${folder}/data` });
  const lean = await startLeanServer(join(folder, 'lean'));
  try {
    const api = await server.api();
    // Milliseconds of processor time: of a server and its processes for a pair, and of sharp for an image.
    const cost = { upload: [] as number[], later: [] as number[], lean: [] as number[], decode: [] as number[] };
    const pids = [server.process.pid!];
    // Thumbnails and hashes follow as jobs, which would slow down what is measured next.
    const finishJobs = async (count: number) => {
      const before = processorSeconds(pids);
      await eventually(
        async () => !/^trainyard_jobs\{kind="hash-images",.*\} [1-9]/m.test(await metricsOf(server)) || undefined,
      );
      cost.later.push(((processorSeconds(pids) - before) * 1000) / count);
      log(`${formatFigure(cost.later.at(-1)!)} ms of processor time each for the thumbnail`);
    };
    const measured = async (name: 'upload' | 'lean', pid: number, send: () => Promise<LoadResult>, count: number) => {
      const before = processorSeconds([pid]);
      const { seconds } = await send();
      const each = ((processorSeconds([pid]) - before) * 1000) / count;
      cost[name].push(each);
      log(`${name}: ${formatFigure(count / seconds)} pairs/s, ${formatFigure(each)} ms of processor time each`);
      return count / seconds;
    };
    const options = (count: number) => ({ count, connections: CONNECTIONS });
    const send = async (count: number) => {
      const rate = await measured('upload', pids[0]!, () => upload(api, { images }, options(count)), count);
      await finishJobs(count);
      return rate;
    };
    const target = { url: lean.url, token: '', datasetId: 'any' };
    const sendLean = (count: number) =>
      measured('lean', lean.pid, () => uploadTo(target, { images }, options(count)), count);
    const decode = async () => {
      const result = await inChild<DecodeJob, DecodeResult>(DECODE, { images, count: pairs });
      const each = (result.processorSeconds * 1000) / pairs;
      cost.decode.push(each);
      log(`${formatFigure(pairs / result.seconds)} decodes/s, ${formatFigure(each)} ms of processor time each`);
      return pairs / result.seconds;
    };
    // Warms up: a new process still compiles its own code.
    await send(isQuick ? 400 : 1000);
    await sendLean(isQuick ? 200 : 500);
    for (const costs of Object.values(cost)) costs.length = 0;
    const work = { decode, upload: () => send(pairs), lean: () => sendLean(pairs) };
    const rate = await alternate(work, isQuick ? 2 : 3);
    const sharpRate = `sharp decodes ${formatFigure(rate.decode)}/s, ${availableParallelism()} concurrently`;
    const rateRow = (what: string, perSecond: number) => ({
      what: `${what}, ${CONNECTIONS} connections`,
      measured: `${formatFigure(perSecond)} pairs/s`,
      reference: sharpRate,
      ratio: perSecond / rate.decode,
    });
    const decodeCost = median(cost.decode);
    const costRow = (what: string, costs: readonly number[]) => ({
      what,
      measured: `${formatFigure(median(costs))} ms`,
      reference: `sharp decodes in ${formatFigure(decodeCost)} ms`,
      ratio: median(costs) / decodeCost,
    });
    return [
      rowWithTarget(rateRow('direct upload of 200 kB JPEGs with captions', rate.upload), { atLeast: 0.9 }),
      rowWithoutTarget(rateRow('the same to the leanest server, which inspects nothing', rate.lean)),
      rowWithTarget(costRow('processor time of the server and its processes for such a pair', cost.upload), {
        atMost: 1.1,
      }),
      rowWithoutTarget(costRow('processor time of a thumbnail and a hash, in a job after the upload', cost.later)),
      rowWithoutTarget(costRow('processor time of the leanest server for such a pair', cost.lean)),
    ];
  } finally {
    await lean.stop();
    await discardServer(server);
  }
};

async function startLeanServer(folder: string): Promise<{ url: string; pid: number; stop: () => Promise<void> }> {
  await mkdir(folder);
  const child = fork(LEAN_SERVER, [folder], { execArgv: ['--import', 'tsx', ...NODE_FLAGS] });
  const [port] = await once(child, 'message');
  const stop = async () => {
    child.kill();
    await once(child, 'exit');
  };
  return { url: `http://127.0.0.1:${port}`, pid: child.pid!, stop };
}
