import { describe, expect, onTestFinished, test } from 'vitest';
import { whyNoPostgres, whyNoS3 } from '../harness/available.js';
import { discardServer, eventually, startServer } from '../harness/server.js';
import { layLine, tcpLinkTo } from '../harness/tcp-link.js';
import { newWorld } from '../harness/world.js';
import { contentOf } from './contents.js';

/** A status is two reads of the catalog, each with a deadline of 7 s. */
const MAX_ANSWER_MS = 20_000;
/** Of each byte from and to Postgres. With the longest, transactions hold all connections of the pool until their deadline. */
const DELAYS_MS = [200, 10_000];
const WRITERS = 30;
/** At once: more than the requests that hold files in memory with SQLite. */
const POLLS = 20;
const READS = 3;

const leftOut = whyNoPostgres() ?? whyNoS3();

describe.skipIf(leftOut !== undefined)(
  `a slow database while the store is silent${leftOut === undefined ? '' : `, left out: ${leftOut}`}`,
  () => {
    test.each(DELAYS_MS)(
      'every poll is answered in time, with %i ms for each message',
      async (delayMs) => {
        const world = await newWorld('postgres+presigned');
        onTestFinished(world.discard);
        const [database, blobs] = [new URL(world.env.DATABASE_URL!), new URL(world.env.BLOBS_URL!)];
        const line = await layLine({ host: database.hostname, port: Number(database.port) });
        onTestFinished(line.close);
        const store = await tcpLinkTo(process.env.TEST_S3_ENDPOINT!);
        database.port = String(line.port);
        blobs.searchParams.set('endpoint', store.url);
        const env = { DATABASE_URL: database.href, BLOBS_URL: blobs.href };
        const server = await startServer({ 'caption-grace-seconds': 0, 'stop-seconds': 1 }, { env });
        onTestFinished(() => discardServer(server));
        const api = await server.api();
        const id = await api.newDataset('a slow one');
        for (const filename of ['a.jpg', 'a.txt']) await api.upload(id, filename, contentOf(filename, 'first'));
        // Pending uploads, for which a poll lists the bucket.
        await api.links(id, { 'b.jpg': 1000, 'c.jpg': 1000 });

        store.stall();
        line.delay(delayMs);
        let isOver = false;
        const writers = Array.from({ length: WRITERS }, async (_, writer) => {
          const kinds = [
            () => api.upload(id, `${writer}.jpg`, contentOf(`${writer}.jpg`, 'slow')),
            () => api.links(id, { [`${writer}.png`]: 1000 }),
            () => api.raw('GET', `/${id}/files/a.jpg`),
            () => api.request('DELETE', `/${id}/uploads/${writer}.png`),
          ];
          for (let turn = writer; !isOver; turn++) await kinds[turn % kinds.length]!().catch(() => {});
        });
        const paths = [
          `/${id}/status`,
          `/${id}/status`,
          `?name=${encodeURIComponent('a slow one')}`,
          `/${id}/manifest`,
        ];
        const polls = Array.from({ length: POLLS }, (_, poll) => paths[poll % paths.length]!);
        const answers = await Promise.all(
          polls.map(async (path) => {
            const statuses: number[] = [];
            for (let read = 0; read < READS; read++) {
              const response = await api.raw('GET', path, { signal: AbortSignal.timeout(MAX_ANSWER_MS) });
              await response.arrayBuffer();
              if (response.status === 503) expect(response.headers.get('retry-after')).not.toBeNull();
              statuses.push(response.status);
            }
            return statuses;
          }),
        );
        isOver = true;
        line.delay(0);
        await store.mend();
        await Promise.all(writers);
        expect(answers.flat().filter((status) => status !== 200 && status !== 503)).toEqual([]);
        await eventually(async () => ((await api.upload(id, 'a.txt', 'after it')).status === 200 ? true : undefined));
        expect((await api.status(id)).body.files.map(({ filename }) => filename)).toEqual(
          expect.arrayContaining(['a.jpg', 'a.txt']),
        );
        expect(server.output()).not.toMatch(/"status":500|nhandled/);
      },
      600_000,
    );
  },
);
