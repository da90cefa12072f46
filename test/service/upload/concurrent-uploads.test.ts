import { afterAll, expect, test } from 'vitest';
import { put } from '../../harness/api.js';
import { eventually, serverUntil } from '../../harness/server.js';
import { contentOf, notedJpeg } from '../../faults/contents.js';
import { putBytes, RawClient } from '../../faults/raw-client.js';
import { expectNothingAfterRestart, faultsOf, remainsIn, stagedIn } from '../../faults/remains.js';
import { sha256 } from '../../harness/sha256.js';

const server = await serverUntil(afterAll, { 'blob-grace-seconds': 0, 'lease-seconds': 2 });
const api = await server.api();

async function bytesOf(id: string, filename: string): Promise<Buffer> {
  return Buffer.from(await (await api.raw('GET', `/${id}/files/${filename}`)).arrayBuffer());
}

/** Expects one row with the bytes of one of the uploads. */
async function expectOneWhole(id: string, filename: string, uploads: readonly Buffer[]): Promise<void> {
  const { files } = (await api.status(id)).body;
  expect(files).toMatchObject([{ filename }]);
  expect(uploads.map(sha256)).toContain(files[0]?.sha256);
  expect(sha256(await bytesOf(id, filename))).toBe(files[0]?.sha256);
}

const numbered = (count: number) => Array.from({ length: count }, (_, i) => i);

test('direct uploads and links of one name at once end in one of them, whole', async () => {
  const id = await api.newDataset();
  const contents = numbered(20).map((i) => notedJpeg(`upload ${i}`, 3_000 * i));
  const answers = await Promise.all(
    contents.map(async (bytes, i) => {
      if (i % 2 === 0) return api.upload(id, 'same.jpg', bytes);
      return put(await api.link(id, 'same.jpg', bytes.length), bytes);
    }),
  );
  // A newer link or a finished upload may have invalidated a link before its PUT arrived.
  const statuses = answers.map(({ status }) => status);
  expect(statuses.filter((status) => ![200, 403, 409].includes(status))).toEqual([]);
  expect(statuses.filter((_, i) => i % 2 === 0)).toEqual(numbered(10).map(() => 200));
  const acknowledged = contents.filter((_, i) => statuses[i] === 200);
  await expectOneWhole(id, 'same.jpg', acknowledged);
  expect((await api.list()).body.datasets[0]?.counts).toMatchObject({ images: 1, pending: 0 });
});

test('of concurrent PUTs to one link, one is stored whole and the others are rejected', async () => {
  const id = await api.newDataset();
  for (const round of numbered(3)) {
    const filename = `round_${round}.jpg`;
    const contents = numbered(4).map((i) => notedJpeg(`round ${round} upload ${i}`, 100_000));
    const url = await api.link(id, filename, contents[0]!.length);
    const answers = await Promise.all(contents.map((bytes) => put(url, bytes)));
    const kept = contents.filter((_, i) => answers[i]?.status === 200);
    expect(answers.map(({ status }) => status).toSorted()).toEqual([200, 409, 409, 409]);
    expect(sha256(await bytesOf(id, filename))).toBe(sha256(kept[0]!));
    await api.request('DELETE', `/${id}/files/${filename}`);
  }
});

test('a second PUT takes over from one that is stuck', async () => {
  const id = await api.newDataset();
  const [first, second] = [notedJpeg('first', 50_000), notedJpeg('other', 50_000)];
  const url = await api.link(id, 'stuck.jpg', first.length);
  const stuck = await RawClient.open(server.url);
  await stuck.send(putBytes(url, first).subarray(0, -1000));
  // The test above covers requests that begin at the same moment.
  await eventually(() => (stagedIn(server.dataFolder).length === 1 ? true : undefined));
  expect((await put(url, second)).status).toBe(200);
  await stuck.closed();
  expect(stuck.answer()?.status).toBe(409);
  await expectOneWhole(id, 'stuck.jpg', [second]);
});

// The inspection of captions keeps no upload waiting, also on a busy machine.
test('uploads that race with the deletion of their dataset leave no orphans', async () => {
  for (const round of numbered(3)) {
    const id = await api.newDataset();
    const uploads = numbered(12).map(async (i) => {
      const bytes = contentOf('.txt', `round ${round} upload ${i}`, 20_000);
      const filename = `${i}.txt`;
      if (i % 2 === 0) return (await api.upload(id, filename, bytes)).status;
      const { status, body } = await api.links(id, { [filename]: bytes.length });
      const link = status === 200 ? body.uploads[filename] : undefined;
      return link === undefined ? status : (await put(link.upload_url, bytes)).status;
    });
    // Some uploads are answered by now, others not.
    await Promise.race(uploads.slice(3 * round));
    expect((await api.request('DELETE', `/${id}`)).status).toBe(200);
    const statuses = await Promise.all(uploads);
    expect(statuses.filter((status) => ![200, 403, 404].includes(status))).toEqual([]);
    expect((await api.status(id)).status).toBe(404);
    expect(remainsIn(server.dataFolder)).toMatchObject({ staged: [], strays: [], missing: [] });
  }
});

test('after all of these, a restart leaves nothing, and the log has no fault', async () => {
  expect(faultsOf(server)).toEqual([]);
  await expectNothingAfterRestart(server);
});
