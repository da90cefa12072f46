import { afterAll, afterEach, expect, test } from 'vitest';
import { put } from '../../harness/api.js';
import { eventually, serverUntil } from '../../harness/server.js';
import { notedJpeg } from '../../faults/contents.js';
import { directBytes, putBytes, RawClient } from '../../faults/raw-client.js';
import { faultsOf, isAlive, NOTHING_REMAINS, openFiles, remainsIn } from '../../faults/remains.js';
import { sha256 } from '../../harness/sha256.js';

const server = await serverUntil(afterAll);
const api = await server.api();

afterEach(() => {
  expect(isAlive(server)).toBe(true);
  expect(faultsOf(server)).toEqual([]);
});

const picture = notedJpeg('a picture of which only a part arrives', 200_000);

/** Waits until the server has noticed all disconnects, of which some may not have arrived yet, and cleaned up. */
async function expectNothingOf(id: string, counts: { pending: number }): Promise<void> {
  await expect
    .poll(async () => ({ ...(await api.status(id)).body, remains: remainsIn(server.dataFolder) }))
    .toMatchObject({ files: [], counts: { ...counts, images: 0, rejected: 0 }, remains: NOTHING_REMAINS });
}

/** Waits until the server writes the upload to disk. */
async function beingReceived(): Promise<void> {
  await eventually(() => (remainsIn(server.dataFolder).staged.length > 0 ? true : undefined));
}

const ENDINGS = [
  ['closes', (client: RawClient) => client.hangUp()],
  ['resets the connection', (client: RawClient) => client.reset()],
  [
    'stops sending',
    async (client: RawClient) => {
      client.finish();
      await client.closed();
    },
  ],
] as const;

test.each(ENDINGS)(
  'of an upload whose client %s in the middle nothing is left, and its link can be used again',
  async (_, end) => {
    const id = await api.newDataset();
    const url = await api.link(id, 'cut.jpg', picture.length);
    for (const bytes of [directBytes(api, id, 'direct.jpg', picture), putBytes(url, picture)]) {
      const client = await RawClient.open(server.url);
      await client.send(bytes.subarray(0, picture.length / 2));
      await beingReceived();
      await end(client);
      await expectNothingOf(id, { pending: 1 });
    }
    expect((await put(url, picture)).status).toBe(200);
    expect((await api.status(id)).body.files).toMatchObject([{ filename: 'cut.jpg', sha256: sha256(picture) }]);
  },
);

test('a client that leaves before its answer has uploaded the whole file or nothing', async () => {
  const id = await api.newDataset();
  const names = Array.from({ length: 24 }, (_, i) => `left_${i}.jpg`);
  await Promise.all(
    names.map(async (filename, i) => {
      const client = await RawClient.open(server.url);
      await client.send(directBytes(api, id, filename, picture));
      // Some disconnect at once, others while the image is inspected.
      if (i % 2 === 0) await api.status(id);
      await client.hangUp();
    }),
  );
  const { files } = await eventually(async () => {
    const { body } = await api.status(id);
    return body.counts.pending === 0 ? body : undefined;
  });
  expect(files.filter((file) => file.sha256 !== sha256(picture))).toEqual([]);
  // An upload that arrives late has its blob before its row.
  await expect.poll(() => remainsIn(server.dataFolder)).toMatchObject({ staged: [], strays: [], missing: [] });
  expect((await api.upload(id, 'after.jpg', picture)).status).toBe(200);
});

test('a hundred hang-ups leave no file open', async () => {
  const id = await api.newDataset();
  const url = await api.link(id, 'again.jpg', picture.length);
  const hangUp = async (i: number) => {
    const client = await RawClient.open(server.url);
    const whole = i % 2 === 0 ? putBytes(url, picture) : directBytes(api, id, `direct_${i}.jpg`, picture);
    await client.send(whole.subarray(0, (whole.length * (i % 10)) / 10));
    if (i % 3 === 0) await api.status(id);
    await (i % 4 === 0 ? client.reset() : client.hangUp());
  };
  // Opens everything that stays open, such as threads and connections of this client, before counting.
  await Promise.all(Array.from({ length: 10 }, (_, i) => hangUp(i)));
  await expectNothingOf(id, { pending: 1 });
  const before = openFiles(server);
  for (let round = 0; round < 10; round++) await Promise.all(Array.from({ length: 10 }, (_, i) => hangUp(i)));
  await expectNothingOf(id, { pending: 1 });
  await eventually(() => (openFiles(server) <= before ? true : undefined));
  // The last one may still hold the link.
  await eventually(async () => ((await put(url, picture)).status === 200 ? true : undefined));
});
