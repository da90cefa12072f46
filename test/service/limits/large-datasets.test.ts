import { rm } from 'node:fs/promises';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { fillCatalog } from '../../../bench/fill.js';
import type { WireDatasetWithFiles, WireManifest } from '../../../src/api/schemas.js';
import { digestOf } from '../../../src/dataset/digest.js';
import { Api } from '../../harness/api.js';
import { discardServer, startServer, temporaryFolder, type TestServer } from '../../harness/server.js';

/** As many as a dataset may have. */
const PAIRS = 10_000;

let server: TestServer;
let api: Api;
let id: string;
beforeAll(async () => {
  const dataFolder = await temporaryFolder();
  const dataset = { account: 'railway', datasets: 1, images: PAIRS, captions: PAIRS };
  const [filled] = await fillCatalog({ dataFolder }, [dataset]).catch(async (error) => {
    await rm(dataFolder, { recursive: true });
    throw error;
  });
  server = await startServer({}, { dataFolder });
  api = new Api(server.url, filled!.token);
  id = filled!.datasetIds[0]!;
});
afterAll(() => discardServer(server));

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
