import { expect, onTestFinished, test } from 'vitest';
import * as media from '../../fixtures/media.js';
import type { Api } from '../../harness/api.js';
import { discardServer, eventually, startServer } from '../../harness/server.js';

const SETTINGS = { 'caption-grace-seconds': 0, 'inspection-processes': 2, ffmpeg: 'none' };

const endOf = (api: Api, id: string) =>
  eventually(async () => {
    const { body } = await api.status(id);
    return body.status === 'UPLOADING' ? undefined : body;
  }, 150_000);

test('files whose inspection takes long keep no image of another account waiting', async () => {
  const server = await startServer({ ...SETTINGS, 'inline-decode-seconds': 1 });
  onTestFinished(() => discardServer(server));
  const [api, neighbour] = [await server.api(), await server.api('neighbour')];
  const [id, neighbourId] = [await api.newDataset(), await neighbour.newDataset()];
  const large = await media.jpeg({ width: 7000, height: 6000, quality: 100, progressive: true });
  // They take both processes.
  const uploads = ['a', 'b'].map((stem) => api.upload(id, `${stem}.jpg`, large));
  await eventually(async () => ((await api.status(id)).body.status === 'UPLOADING' ? true : undefined));
  const image = await neighbour.upload(neighbourId, 'dog.jpg', await media.jpeg());
  expect([image.status, image.body]).toEqual([200, expect.not.objectContaining({ checking: true })]);
  for (const { status } of await Promise.all(uploads)) expect(status).toBe(200);
  for (const stem of ['a', 'b']) await api.upload(id, `${stem}.txt`, 'a dog');
  const { status, files } = await endOf(api, id);
  expect(status).toBe('READY');
  expect(files.find(({ filename }) => filename === 'a.jpg')).toMatchObject({ width: 7000, height: 6000 });
}, 240_000);

test('an image whose inspection takes long is inspected after its answer, and rejected if it is damaged', async () => {
  const server = await startServer({ ...SETTINGS, 'inline-decode-seconds': 0 });
  onTestFinished(() => discardServer(server));
  const api = await server.api();
  const id = await api.newDataset();
  const good = await media.png({ width: 7000, height: 6000 });
  const damaged = Buffer.from(good);
  damaged[good.length - 200]! ^= 0xff;
  for (const [name, bytes] of Object.entries({ good, damaged })) {
    const { status, body } = await api.upload(id, `${name}.png`, bytes);
    expect([status, body]).toEqual([
      200,
      expect.objectContaining({ checking: true, kind: 'image', format: 'png', size_bytes: bytes.length }),
    ]);
    expect(body).not.toHaveProperty('width');
    await api.upload(id, `${name}.txt`, 'a dog');
  }
  const failed = await endOf(api, id);
  expect(failed).toMatchObject({ status: 'FAILED', error: { problems: expect.any(Array) } });
  expect(failed.error?.message).toContain('damaged.png');
  expect(failed.files.find(({ filename }) => filename === 'good.png')).toMatchObject({ width: 7000, height: 6000 });
}, 120_000);
