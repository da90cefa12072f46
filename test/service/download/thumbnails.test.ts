import { getEventListeners } from 'node:events';
import { expect, test } from 'vitest';
import type { StoredFile } from '../../../src/dataset/dataset.js';
import { ServiceError } from '../../../src/dataset/errors.js';
import { Thumbnails, thumbnailKeyOf } from '../../../src/service/download/thumbnails.js';
import type { InspectionPool } from '../../../src/service/inspection/inspection-pool.js';
import { blobKeyOf } from '../../../src/storage/blobs/blobs.js';
import * as media from '../../fixtures/media.js';
import { eventually } from '../../harness/server.js';
import { openPlace } from '../check/check-service.js';

const GONE = new Error('the client has gone');

/** Images, and a decoder that the test ends. Two thumbnails are made at once. */
async function openThumbnails({ images = 2 } = {}) {
  const place = await openPlace();
  const { dependencies, upload } = place.newInstance();
  const files: StoredFile[] = [];
  for (let i = 0; i < images; i++) {
    await upload(`${i}.png`, await media.png({ width: 64 + i, height: 64 }));
    files.push((await place.catalog.storedFile({ datasetId: place.key.id, filename: `${i}.png` }))!);
  }
  const begun: { end: (result: string | Error) => void }[] = [];
  const thumbnail = () =>
    new Promise((resolve, reject) => {
      begun.push({
        end: (made) =>
          made instanceof Error ? reject(made) : resolve({ webp: Buffer.from(made), hash: '', thumbhash: '' }),
      });
    });
  const pool = { size: 1, thumbnail } as unknown as InspectionPool;
  const thumbnails = new Thumbnails(dependencies, { pool, ffmpeg: async () => undefined });
  /** Reads a thumbnail; what it is made of. */
  const read = (i: number, { client = new AbortController() } = {}) => {
    const bytes = thumbnails.read(files[i]!, { accountId: 'a', signal: client.signal }).then(String);
    bytes.catch(() => {});
    return bytes;
  };
  return { ...place, files, begun, read, begins: (count: number) => eventually(() => begun[count - 1]) };
}

/** The requests of a client that wait for a thumbnail to be made. */
function waitingOf(client: AbortController): number {
  return getEventListeners(client.signal, 'abort').length;
}

test('one that waits is not begun once its client has gone, and one that has begun is stored', async () => {
  const { begun, begins, read } = await openThumbnails({ images: 4 });
  const client = new AbortController();
  const first = read(0, { client });
  await begins(1);
  const second = read(1);
  await begins(2);
  const waiting = [2, 3].map((i) => read(i, { client }));
  await eventually(() => waitingOf(client) === 2 || undefined);
  client.abort(GONE);
  for (const gone of waiting) await expect(gone).rejects.toBe(GONE);
  for (const { end } of begun) end('made');
  expect(await Promise.all([first, second])).toEqual(['made', 'made']);
  expect(await read(0)).toBe('made');
  expect(begun).toHaveLength(2);
});

test('of a file that was deleted before its thumbnail was made, none is stored', async () => {
  const { begun, begins, read, catalog, blobs, files, key, now } = await openThumbnails();
  const reads = [read(0), read(1)];
  await begins(2);
  expect(await catalog.deleteDataset(key, now())).toBe(true);
  for (const { end } of begun) end('made');
  for (const each of reads) await expect(each).rejects.toMatchObject({ code: 'file_not_found' });
  expect(await blobs.read(thumbnailKeyOf(blobKeyOf(files[0]!)))).toBeUndefined();
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
