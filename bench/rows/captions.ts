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

/** Captions by a model that answers at once: files a second, and the memory of the server. */
export const benchCaptions: Benchmark = async ({ folder, isQuick, log }) => {
  const [files, more] = isQuick ? [200, 800] : [1000, 4000];
  const what = `captions of ${files} JPEGs of 200 kB by a model that answers at once`;
  if (process.platform !== 'linux') return [rowNotMeasured(what, 'needs /proc', `≥ ${TARGET_FILES_PER_SECOND}`)];
  const photos = await Promise.all((await writePhotos(folder, PHOTOS)).map((path) => readFile(path)));
  const model = await startDialectServer('vllm');
  const server = await startServer({ 'caption-endpoint': `local=${model.setting}` });
  try {
    const { token } = await server.api();
    const client = new TrainyardClient({ baseUrl: server.url, token });
    const runOf = async (name: string, count: number) => {
      const { id } = await client.create(name);
      for (let i = 0; i < count; i++) {
        await client.upload(id, `${i}.jpg`, new Blob([withComment(photos[i % PHOTOS]!, `${name} ${i}`)]));
      }
      // Thumbnails use the same processes.
      while ((await client.duplicates.list(id)).pending > 0) await wait(POLL_MS);
      await resetPeak(server.process.pid!);
      const startedAt = performance.now();
      const { run } = await client.captioning.start(id);
      for (;;) {
        const { state, counts } = await client.captioning.run(id, run!.id);
        if (state === 'done' && counts.applied === count) break;
        if (state === 'stopped') throw new Error('the run has stopped');
        await wait(POLL_MS);
      }
      const perSecond = count / ((performance.now() - startedAt) / 1000);
      const megabytes = await peakMegabytes(server.process.pid!);
      log(`${count} files: ${formatFigure(perSecond)} a second, ${formatFigure(megabytes)} MB`);
      return { perSecond, megabytes };
    };
    const few = await runOf('few', files);
    const many = await runOf('many', more);
    const speed = {
      what,
      measured: `${formatFigure(few.perSecond)}/s`,
      reference: `target ${TARGET_FILES_PER_SECOND}/s`,
      ratio: few.perSecond / TARGET_FILES_PER_SECOND,
    };
    const memory = {
      what: `peak memory of the server during ${more} captions`,
      measured: `${formatFigure(many.megabytes)} MB`,
      reference: `during ${files}: ${formatFigure(few.megabytes)} MB`,
      ratio: many.megabytes / few.megabytes,
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
