import { getEventListeners } from 'node:events';
import { buffer } from 'node:stream/consumers';
import { expect, test } from 'vitest';
import type { StoredFile } from '../../../src/dataset/dataset.js';
import { ServiceError } from '../../../src/dataset/errors.js';
import { Thumbnails } from '../../../src/service/download/thumbnails.js';
import * as media from '../../fixtures/media.js';
import { eventually } from '../../harness/server.js';
import { openPlace, PLACES } from '../check/check-service.js';

const GONE = new Error('the client has gone');

/** Eight images, and a decoder that the test ends. Two thumbnails are made at once. */
async function openThumbnails() {
  const place = await openPlace(PLACES[0]!);
  const { dependencies, upload } = place.newInstance();
  const files: StoredFile[] = [];
  for (let i = 0; i < 8; i++) {
    await upload(`${i}.png`, await media.png({ width: 64 + i, height: 64 }));
    files.push((await place.catalog.storedFile({ datasetId: place.key.id, filename: `${i}.png` }))!);
  }
  const begun: { sizeBytes: number; accountId: string; end: (result: Buffer | Error) => void }[] = [];
  const thumbnails = new Thumbnails(dependencies, {
    atOnce: 2,
    make: ({ sizeBytes }, { accountId }) =>
      new Promise((resolve, reject) => {
        begun.push({ sizeBytes, accountId, end: (made) => (made instanceof Error ? reject(made) : resolve(made)) });
      }),
  });
  const read = (i: number, { accountId = 'a', client = new AbortController() } = {}) => {
    const bytes = thumbnails.read(files[i]!, { accountId, signal: client.signal }).then(buffer).then(String);
    bytes.catch(() => {});
    return bytes;
  };
  return { ...place, files, begun, read, begins: (count: number) => eventually(() => begun[count - 1]) };
}

test('two are made at once, and accounts take turns', async () => {
  const { begun, begins, read } = await openThumbnails();
  const first = [0, 1, 2, 3, 4].map((i) => read(i));
  await begins(2);
  const other = read(5, { accountId: 'b' });
  begun[0]!.end(Buffer.from('made'));
  expect(await first[0]).toBe('made');
  await begins(3);
  expect(begun.map(({ accountId }) => accountId)).toEqual(['a', 'a', 'b']);
  for (let i = 1; i < 6; i++) (await begins(i + 1)).end(Buffer.from('made'));
  await Promise.all([...first, other]);
});

test('one that waits is not begun once all of its clients have gone, and one that has begun is stored', async () => {
  const { begun, begins, read, files } = await openThumbnails();
  const client = new AbortController();
  const running = [read(0, { client }), read(1)];
  await begins(2);
  const waiting = [2, 3, 3, 4, 5].map((i) => read(i, { client }));
  const staying = read(4);
  await eventually(() => getEventListeners(client.signal, 'abort').length === 6 || undefined);
  client.abort(GONE);
  for (const gone of waiting.filter((_, i) => i !== 3)) await expect(gone).rejects.toBe(GONE);
  // A client that comes later waits for one that is not given up.
  const later = read(3);
  for (let i = 0; i < 4; i++) (await begins(i + 1)).end(Buffer.from(`made ${i}`));
  expect(await Promise.all([staying, later, running[1]])).toEqual(['made 2', 'made 3', 'made 1']);
  await expect(running[0]).rejects.toBe(GONE);
  expect(await read(0)).toBe('made 0');
  const sizes = [0, 1, 4, 3].map((i) => files[i]!.upload.sizeBytes);
  expect(begun.map(({ sizeBytes }) => sizeBytes)).toEqual(sizes);
});

test('of a file that was deleted while it waited, none is made', async () => {
  const { begun, begins, read, catalog, key, now } = await openThumbnails();
  const reads = [0, 1, 2].map((i) => read(i));
  await begins(2);
  expect(await catalog.deleteDataset(key, now())).toBe(true);
  for (const { end } of begun) end(Buffer.from('made'));
  await expect(reads[2]).rejects.toMatchObject({ code: 'file_not_found' });
  expect(begun).toHaveLength(2);
});

test('the reason of a server that could not make one is not taken for one of the image', async () => {
  const { begins, read } = await openThumbnails();
  const [stopped, broken] = [read(0), read(1)];
  await begins(2);
  (await begins(1)).end(new ServiceError('shutting_down', 'The server is shutting down.'));
  (await begins(2)).end(new Error('not an image'));
  const codes = [stopped, broken].map((outcome) => outcome.catch(({ code }) => code));
  expect((await Promise.all(codes)).sort()).toEqual(['shutting_down', 'thumbnail_unavailable']);
});
