import { mkdir } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { extract } from 'tar';
import { describe, expect, test } from 'vitest';
import * as media from '../../fixtures/media.js';
import { Api } from '../../harness/api.js';
import { whyNoPostgres } from '../../harness/available.js';
import { trainyard } from '../../harness/command.js';
import { databaseForTest } from '../../harness/postgres.js';
import { discardServer, eventually, startServer } from '../../harness/server.js';
import { type Holdings, newFolder, servedHoldings } from '../../harness/transferring.js';

/**
 * A data folder that commit 4fe12d7 served and closed with SIGTERM, its write-ahead log included. The account "default" has
 * a READY dataset `railway` (4 images, 2 clips, captions, one thumbnail, one replaced caption in the trash), a FAILED one
 * `needs work` (an image without a caption, a rejected clip, two expired links), and a deleted one whose bytes are in the
 * trash. The account "studio" has a token and no datasets.
 */
const ARCHIVE = fileURLToPath(new URL('../../fixtures/data-folder-0.1.0.tar.gz', import.meta.url));
const TOKEN = 'ty_QRm9Z_4jP7r-fDcEv1cVyU4XooPAbW1CXkxqIJXiNwE';
const STUDIO_TOKEN = 'ty_8xCw6K6rda_hYpNGvHIrH5yT2ok9x_QM0dUBSnzXcmo';
/** Of `never.webp` and `linked.webp`, whose links have expired. */
const RESERVED_BYTES = 7044 + 5;
/** Of the filenames and SHA-256s of `railway`. */
const DIGEST = 'ab671760a4bc83b4730931e12990971c7a781ee05ced4dacb6d3b702c5f8a223';

async function earlierFolder(): Promise<string> {
  const folder = await newFolder();
  await mkdir(folder, { mode: 0o700 });
  await extract({ file: ARCHIVE, cwd: folder });
  return folder;
}

function expectEverythingIn(holdings: Holdings): void {
  expect(Object.keys(holdings).sort()).toEqual(['needs work', 'railway']);
  expect(holdings.railway).toMatchObject({ status: 'READY', role: 'training', counts: { unpaired: 0 } });
  expect(holdings.railway).not.toHaveProperty('links');
  expect(holdings.railway?.files.map((file) => file.filename)).toEqual([
    ...['clip.mp4', 'clip.txt', 'yard_05.png', 'yard_05.txt', 'yard_06.png', 'yard_06.txt'],
    ...['yard_09.txt', 'yard_09.webp', 'yard_11.txt', 'yard_11.webp', 'yärd_clip.mp4', 'yärd_clip.txt'],
  ]);
  expect(holdings['needs work']?.status).toBe('FAILED');
  expect(holdings['needs work']?.files.map((file) => file.filename)).toEqual(['yard_05.png']);
}

describe('a data folder of an earlier version', () => {
  test('is served with its tokens, files, facts and problems, and takes uploads', async () => {
    const server = await startServer({ 'caption-grace-seconds': 0 }, { dataFolder: await earlierFolder() });
    try {
      const api = new Api(server.url, TOKEN);
      const { datasets } = (await api.list()).body;
      const idOf = (name: string) => datasets.find((dataset) => dataset.name === name)?.id ?? '';
      const all = await Promise.all(datasets.map(async ({ id }) => (await api.status(id)).body));
      const { usage } = (await api.request<{ usage: object }>('GET', '/account')).body;
      // Two links and a clip count as files, and the bytes that the links have reserved.
      const reserved = { files: 3, bytes: RESERVED_BYTES };
      expect(usage).toEqual({
        datasets: 2,
        files: all.flatMap(({ files }) => files).length + reserved.files,
        bytes: all.reduce((sum, dataset) => sum + dataset.size_bytes, 0) + reserved.bytes,
        history_bytes: 0,
      });

      const ready = (await api.status(idOf('railway'))).body;
      expect(ready).toMatchObject({
        status: 'READY',
        digest: DIGEST,
        warnings: [expect.objectContaining({ code: 'MIXED_MEDIA' })],
      });
      expect(ready.files.find((file) => file.filename === 'yärd_clip.mp4')).toMatchObject({
        kind: 'video',
        codec: 'avc',
        frames: expect.any(Number),
      });
      // Its history begins with what was there, and keeps it.
      const caption = await (await api.raw('GET', `/${idOf('railway')}/files/yard_05.txt`)).text();
      expect((await api.upload(idOf('railway'), 'yard_05.txt', 'edited')).status).toBe(200);
      const history = await api.request('GET', `/${idOf('railway')}/revisions`);
      expect(history.body).toMatchObject({
        revisions: [
          { number: 2, how: 'upload', changed: 1, files: 12 },
          { number: 1, how: 'import', added: 12, files: 12, digest: DIGEST, ready: true },
        ],
      });
      const earlier = await api.raw('GET', `/${idOf('railway')}/files/yard_05.txt?revision=1`);
      expect(await earlier.text()).toBe(caption);
      const thumbnail = await api.raw('GET', `/${idOf('railway')}/files/yard_05.png/thumbnail`);
      expect([thumbnail.status, thumbnail.headers.get('content-type')]).toEqual([200, 'image/webp']);

      // It can be linked to a control.
      const control = (await api.json<{ id: string }>('POST', '', { role: 'control' })).body.id;
      const linked = await api.json<object>('PUT', `/${idOf('railway')}/links`, { control_1: control });
      expect(linked.body).toMatchObject({ status: 'FAILED', links: { control_1: { dataset_id: control } } });
      await api.json('PUT', `/${idOf('railway')}/links`, {});
      expect((await api.status(idOf('railway'))).body.status).toBe('READY');

      const failed = (await api.status(idOf('needs work'))).body;
      expect(failed.status).toBe('FAILED');
      expect(failed.error?.problems.map(({ code, filename }) => [code, filename])).toEqual([
        ['UPLOAD_EXPIRED', 'linked.webp'],
        ['UPLOAD_EXPIRED', 'never.webp'],
        ['NOT_A_VIDEO', 'sound.mp4'],
        ['MISSING_CAPTION', 'yard_05.png'],
      ]);
      for (const name of ['linked.webp', 'never.webp', 'sound.mp4']) {
        expect((await api.request('DELETE', `/${idOf('needs work')}/uploads/${name}`)).status).toBe(200);
      }
      expect((await api.upload(idOf('needs work'), 'yard_05.txt', 'a wagon')).status).toBe(200);
      expect((await api.upload(idOf('needs work'), 'new.jpg', await media.jpeg())).status).toBe(200);
      expect((await api.upload(idOf('needs work'), 'new.txt', 'another wagon')).status).toBe(200);
      await eventually(async () => (await api.status(idOf('needs work'))).body.status === 'READY' || undefined);

      expect((await new Api(server.url, STUDIO_TOKEN).list()).body).toEqual({ datasets: [] });
      const studio = await new Api(server.url, STUDIO_TOKEN).request('GET', '/account');
      expect(studio.body).toMatchObject({ account: 'studio', usage: { datasets: 0, files: 0, bytes: 0 } });
    } finally {
      await discardServer(server);
    }
  });

  test('is backed up and restored', async () => {
    const [folder, copy, restored] = await Promise.all([earlierFolder(), newFolder(), newFolder()]);
    expect(await trainyard(['backup', copy, '--data', folder])).toMatchObject({ code: 0 });
    expect(await trainyard(['restore', copy, '--data', restored])).toMatchObject({ code: 0 });
    expectEverythingIn(await servedHoldings(restored, { token: TOKEN }));
    expectEverythingIn(await servedHoldings(folder, { token: TOKEN }));
  });

  test.skipIf(whyNoPostgres() !== undefined)('is migrated to Postgres', async () => {
    const [folder, target] = await Promise.all([earlierFolder(), newFolder()]);
    const url = await databaseForTest();
    expect(await trainyard(['migrate-data', '--from', folder, '--to', url, target])).toMatchObject({ code: 0 });
    expectEverythingIn(await servedHoldings(target, { token: TOKEN, env: { DATABASE_URL: url } }));
  });
});
