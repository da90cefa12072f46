import { onTestFinished, expect, test } from 'vitest';
import { fillCatalog } from '../../bench/fill.js';
import { Api } from '../harness/api.js';
import { whyNoPostgres } from '../harness/available.js';
import { newWorld } from '../harness/world.js';
import { discardServer, startServer, temporaryFolder } from '../harness/server.js';
import { MemoryLoop } from '../hostile/observers.js';

const PAIRS = 10_000;
const REQUESTS = 60;
const MAX_MEGABYTES = 500;

test.skipIf(whyNoPostgres())('many requests for many files at once hold few of them in memory', async () => {
  const { env, discard } = await newWorld('postgres+disk');
  onTestFinished(discard);
  const dataFolder = await temporaryFolder();
  const dataset = { account: 'railway', datasets: 1, images: PAIRS, captions: PAIRS };
  const [filled] = await fillCatalog({ dataFolder, databaseUrl: env.DATABASE_URL! }, [dataset]);
  const server = await startServer({}, { dataFolder, env });
  onTestFinished(() => discardServer(server));
  const api = new Api(server.url, filled!.token);
  const [id] = filled!.datasetIds;
  const memory = new MemoryLoop(server.process.pid!);
  onTestFinished(() => memory.stop());
  const statuses = await Promise.all(Array.from({ length: REQUESTS }, () => manifestStatus(api, id!)));
  const peak = memory.take();
  expect(new Set(statuses)).toEqual(new Set([200]));
  expect(peak).toBeLessThan(MAX_MEGABYTES);
});

/** Tries again after 503, as clients do: on a slow machine, the last ones wait longer for their turn than a read may take. */
async function manifestStatus(api: Api, id: string): Promise<number> {
  for (;;) {
    const { status } = await api.manifest(id);
    if (status !== 503) return status;
  }
}
