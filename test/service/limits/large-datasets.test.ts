import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { DatabaseSync } from '@photostructure/sqlite';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { fillCatalog } from '../../../bench/fill.js';
import type { WireDatasetWithFiles, WireManifest } from '../../../src/api/schemas.js';
import { digestOf } from '../../../src/dataset/digest.js';
import { Api } from '../../harness/api.js';
import { discardServer, startServer, temporaryFolder, type TestServer } from '../../harness/server.js';

const PAIRS = 15_000;

/** Of a dataset whose files have as many warnings, and as long ones, as files of the longest names can have. */
const WARNED_PAIRS = 2500;
const WARNINGS = Array.from({ length: 4 }, (_, i) => {
  const name = `${'字"'.repeat(60)}${i}`;
  return {
    severity: 'warning',
    code: 'CONTENT_DIFFERS',
    filename: name,
    message: `${name} ${'is accepted. '.repeat(40)}`,
  };
});

let server: TestServer;
let api: Api;
let id: string;
let warned: { api: Api; id: string };
beforeAll(async () => {
  const dataFolder = await temporaryFolder();
  const [filled, other] = await fillCatalog({ dataFolder }, [
    { account: 'railway', datasets: 1, images: PAIRS, captions: PAIRS },
    { account: 'warned', datasets: 1, images: WARNED_PAIRS, captions: WARNED_PAIRS },
  ]).catch(async (error) => {
    await rm(dataFolder, { recursive: true });
    throw error;
  });
  const database = new DatabaseSync(join(dataFolder, 'catalog.sqlite'));
  const addWarnings = database.prepare('update file set warnings = ? where dataset_id = ?');
  addWarnings.run(JSON.stringify(WARNINGS), other!.datasetIds[0]!);
  database.close();
  server = await startServer({}, { dataFolder });
  api = new Api(server.url, filled!.token);
  id = filled!.datasetIds[0]!;
  warned = { api: new Api(server.url, other!.token), id: other!.datasetIds[0]! };
});
afterAll(() => discardServer(server));

/** Asks for the health of the server until the work is done. @returns how often it was answered */
async function healthDuring(work: Promise<unknown>): Promise<number> {
  let isDone = false;
  const done = work.finally(() => {
    isDone = true;
  });
  let answered = 0;
  while (!isDone) {
    expect((await fetch(`${server.url}/healthz`)).status).toBe(200);
    answered++;
  }
  await done;
  return answered;
}

test.each([
  ['status', () => api.raw('HEAD', `/${id}/status`)],
  ['manifest', () => api.raw('HEAD', `/${id}/manifest`)],
  ['pairs', () => api.raw('GET', `/${id}/pairs`)],
  ['archive', () => api.raw('HEAD', `/${id}/zip`)],
  ['archive to mount', () => api.raw('HEAD', `/${id}/tar`)],
  ['list of checksums', () => api.raw('GET', `/${id}/sha256sums`)],
])('other requests are answered while the %s of thirty thousand files is made', async (_, ask) => {
  const asking = ask().then(async (response) => {
    expect(response.status).toBe(200);
    await response.arrayBuffer();
  });
  // In one piece, it would let in two: one before it and one after it.
  expect(await healthDuring(asking)).toBeGreaterThan(5);
});

test.each(['status', 'manifest', 'pairs', 'tar'])(
  'other requests are answered while a %s of fewer files with long texts is made',
  async (path) => {
    const asking = warned.api
      .raw('HEAD', `/${warned.id}/${path}`)
      .then((response) => expect(response.status).toBe(200));
    expect(await healthDuring(asking)).toBeGreaterThan(5);
  },
);

test('the answers about many files are complete', async () => {
  const { body: view } = await api.request<WireDatasetWithFiles>('GET', `/${id}/status`);
  expect(view).toMatchObject({ status: 'READY', counts: { images: PAIRS, captions: PAIRS }, warnings: [] });
  const names = view.files.map(({ filename }) => filename);
  expect(new Set(names).size).toBe(2 * PAIRS);
  expect(names).toEqual([...names].sort());
  const digest = digestOf(view.files.map(({ filename, sha256 }) => ({ filename, upload: { sha256 } })));
  expect(view.digest).toBe(digest);
  const { body: manifest } = await api.request<WireManifest>('GET', `/${id}/manifest`);
  expect(manifest).toMatchObject({ digest, files: view.files });
});
