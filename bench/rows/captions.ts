import { readFile } from 'node:fs/promises';
import { setTimeout as wait } from 'node:timers/promises';
import { TrainyardClient } from '../../src/client/client.js';
import { startDialectServer } from '../../test/harness/dialect-server.js';
import { discardServer, startServer } from '../../test/harness/server.js';
import type { Benchmark } from '../bench.js';
import { writePhotos } from '../photos.js';
import { peakMegabytes, resetPeak } from './memory.js';
import { formatFigure, rowNotMeasured, rowWithTarget } from '../table.js';

const TARGET_FILES_PER_SECOND = 40;
const PHOTOS = 20;
const POLL_MS = 50;

/** Captions by a model that answers at once: files a second, and the memory of the server while it asks. */
export const benchCaptions: Benchmark = async ({ folder, isQuick, log }) => {
  const files = isQuick ? 200 : 1000;
  const what = `captions of ${files} JPEGs of 200 kB by a model that answers at once`;
  if (process.platform !== 'linux') return [rowNotMeasured(what, 'needs /proc', `≥ ${TARGET_FILES_PER_SECOND}`)];
  const photos = await Promise.all((await writePhotos(folder, PHOTOS)).map((path) => readFile(path)));
  const model = await startDialectServer('vllm');
  const server = await startServer({ 'caption-endpoint': `local=${model.setting}` });
  const pid = server.process.pid!;
  try {
    const { token } = await server.api();
    const client = new TrainyardClient({ baseUrl: server.url, token });
    const { id } = await client.create('photos');
    for (let i = 0; i < files; i++) {
      await client.upload(id, `${i}.jpg`, new Blob([withComment(photos[i % PHOTOS]!, String(i))]));
    }
    // Thumbnails use the same processes.
    while ((await client.duplicates.list(id)).pending > 0) await wait(POLL_MS);
    await resetPeak(pid);
    const startedAt = performance.now();
    const { run } = await client.captioning.start(id);
    const waiting = async () => {
      const { state, counts } = await client.captioning.run(id, run!.id);
      if (state === 'stopped') throw new Error('the run has stopped');
      return state === 'done' ? undefined : counts.waiting;
    };
    let [quarter, all] = [0, 0];
    for (let left = await waiting(); left !== undefined; left = await waiting()) {
      const peak = await peakMegabytes(pid);
      if (left > files * 0.75) quarter = peak;
      if (left > 0) all = peak;
      await wait(POLL_MS);
    }
    const perSecond = files / ((performance.now() - startedAt) / 1000);
    const stored = await peakMegabytes(pid);
    log(`${files} files: ${formatFigure(perSecond)} a second, ${formatFigure(stored)} MB as their captions are stored`);
    const speed = {
      what,
      measured: `${formatFigure(perSecond)}/s`,
      reference: `target ${TARGET_FILES_PER_SECOND}/s`,
      ratio: perSecond / TARGET_FILES_PER_SECOND,
    };
    const memory = {
      what: `peak memory of the server while ${files} files are asked about`,
      measured: `${formatFigure(all)} MB`,
      reference: `the first quarter: ${formatFigure(quarter)} MB`,
      ratio: all / quarter,
    };
    return [rowWithTarget(speed, { atLeast: 1 }), rowWithTarget(memory, { atMost: 1.2 })];
  } finally {
    await discardServer(server);
    await model.close();
  }
};

/** A JPEG with other bytes and the same picture: a comment after its first marker (ITU-T T.81, B.2.4.5). */
function withComment(jpeg: Buffer, text: string): Buffer<ArrayBuffer> {
  const comment = Buffer.from(`\u0000\u0000\u0000\u0000${text}`);
  comment.writeUInt16BE(0xfffe, 0);
  comment.writeUInt16BE(comment.length - 2, 2);
  return Buffer.concat([jpeg.subarray(0, 2), comment, jpeg.subarray(2)]);
}
