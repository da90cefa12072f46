import fc from 'fast-check';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { WireDatasetWithFiles } from '../../src/api/schemas.js';
import { TrainyardClient } from '../../src/client/client.js';
import * as media from '../fixtures/media.js';
import type { Api } from '../harness/api.js';
import { discardServer, startServer, type TestServer } from '../harness/server.js';

let server: TestServer;
let api: Api;
let client: TrainyardClient;
let images: Buffer[];
beforeAll(async () => {
  server = await startServer({ 'caption-grace-seconds': 0 });
  api = await server.api();
  client = new TrainyardClient({ baseUrl: server.url, token: api.token });
  images = [await media.png(), await media.png({ seed: 2 })];
});
afterAll(() => discardServer(server));

interface Pair {
  /** A training dataset, which may be linked to the other. */
  readonly target: string;
  readonly control: string;
}

const pick = (seed: number) => `${'abc'[seed % 3]}`;

/** Each changes what a status says; two seeds in a row may leave it as it is. */
const CHANGES: Readonly<Record<string, (pair: Pair, seed: number) => Promise<unknown>>> = {
  caption: ({ target }, seed) => api.upload(target, `${pick(seed)}.txt`, `caption ${seed}`),
  image: ({ target }, seed) => api.upload(target, `${pick(seed)}.png`, images[seed % 2]!),
  control: ({ control }, seed) => api.upload(control, `${pick(seed)}.png`, images[seed % 2]!),
  announce: ({ target, control }, seed) => api.link(seed % 2 ? target : control, `${pick(seed)}.txt`, 10),
  withdraw: ({ target }, seed) => api.raw('DELETE', `/${target}/uploads/${pick(seed)}.txt`),
  remove: ({ target }, seed) => api.raw('DELETE', `/${target}/files/${pick(seed)}.${seed % 2 ? 'png' : 'txt'}`),
  'save captions': ({ target }, seed) =>
    client.bulk.saveCaptions(target, [{ filename: 'a.txt', text: `edit ${seed}` }]),
  rename: ({ target }, seed) => client.datasets.change(target, { name: `${target}-${seed}` }),
  'rename the other': ({ control }, seed) => client.datasets.change(control, { name: `${control}-${seed}` }),
  role: ({ target }, seed) => api.json('PATCH', `/${target}`, { role: seed % 2 ? 'training' : 'control' }),
  link: ({ target, control }) => api.json('PUT', `/${target}/links`, { control_1: control }),
  unlink: ({ target }) => api.json('PUT', `/${target}/links`, {}),
  undo: async ({ target }) => {
    const { revision } = (await api.manifest(target)).body;
    await api.json('POST', `/${target}/revisions/${revision}/undo`, {});
  },
};

/** Compares what is polled again with the answers of other routes. */
async function statusOf(id: string): Promise<WireDatasetWithFiles> {
  const first = await api.status(id);
  const again = await api.status(id);
  expect(again).toEqual({ ...first, headers: expect.anything() });
  const [{ body: manifest }, { body: list }] = await Promise.all([api.manifest(id), api.list()]);
  const { error: _, ...listed } = list.datasets.find((dataset) => dataset.id === id)!;
  expect(again.body).toMatchObject(listed);
  const { files, digest, files_digest } = again.body;
  expect({ files, digest, files_digest }).toEqual({
    files: manifest.files,
    digest: manifest.digest,
    files_digest: manifest.files_digest,
  });
  return again.body;
}

test('a repeated status request returns the current files, digest and links after each kind of change', async () => {
  const step = fc.record({ change: fc.constantFrom(...Object.keys(CHANGES)), seed: fc.nat(20) });
  const answered = new Set<string>();
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 8, maxLength: 16 }), async (steps) => {
      const target = await api.newDataset();
      const { body } = await api.json<{ id: string }>('POST', '', { role: 'control' });
      const pair = { target, control: body.id };
      for (const { change, seed } of steps) {
        await CHANGES[change]!(pair, seed);
        const { links = {} } = await statusOf(pair.target);
        const { linked_from = [] } = await statusOf(pair.control);
        expect(linked_from).toHaveLength(Object.keys(links).length);
        answered.add(change);
      }
    }),
    { numRuns: 4, seed: 3 },
  );
  expect(answered.size).toBeGreaterThan(8);
});
