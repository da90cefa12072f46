import { join } from 'node:path';
import sharp from 'sharp';
import { describe, expect, onTestFinished, test } from 'vitest';
import * as media from '../fixtures/media.js';
import { whyNoFfmpeg } from '../harness/available.js';
import { trainyard } from '../harness/command.js';
import { folderWith } from '../harness/folder.js';
import { discardServer, eventually, startServer, type TestServer, temporaryFolder } from '../harness/server.js';

const why = whyNoFfmpeg();

async function serverWith(settings: Record<string, string>): Promise<TestServer> {
  const server = await startServer(settings);
  onTestFinished(() => discardServer(server));
  return server;
}

const ffmpegOf = async ({ url }: TestServer) =>
  ((await (await fetch(`${url}/readyz`)).json()) as { ffmpeg: unknown }).ffmpeg;

test.skipIf(why)('with ffmpeg, uploads are accepted or rejected by their frames, and it is named', async () => {
  const server = await serverWith({});
  const found = { path: expect.stringMatching(/^\/.*ffmpeg$/), version: expect.stringMatching(/\d/) };
  expect(await ffmpegOf(server)).toEqual(found);
  expect(server.output()).toMatch(/every frame of a clip is decoded with ffmpeg \S+ \(\/\S+\)/);
  const api = await server.api();
  const id = await api.newDataset();
  expect((await api.upload(id, 'good.mp4', media.clip('faststart.mp4'))).status).toBe(200);
  expect((await api.upload(id, 'old.avi', media.clip('old.avi'))).status).toBe(200);
  const rejected = await api.upload(id, 'bad.avi', media.damaged.clip());
  expect(rejected.status).toBe(422);
  expect(rejected.body.error_message).toEqual(
    expect.stringMatching(/^bad\.avi is damaged: only \d+ of its 16 frames can be decoded\. Upload an intact copy\.$/),
  );
  const { files, warnings } = (await api.status(id)).body;
  expect(files.map(({ filename, frames, width }) => [filename, frames, width])).toEqual([
    ['good.mp4', 15, 160],
    ['old.avi', 15, 160],
  ]);
  expect(warnings).toEqual([]);
});

test.skipIf(why)(
  'with ffmpeg, a clip has a thumbnail of its first frame, a placeholder, and is like no other clip',
  async () => {
    const server = await serverWith({});
    const api = await server.api();
    const id = await api.newDataset();
    await api.upload(id, 'a.mp4', media.clip('faststart.mp4'));
    await api.upload(id, 'b.avi', media.clip('old.avi'));
    await eventually(async () => (await api.status(id)).body.files.every(({ thumbhash }) => thumbhash !== undefined));
    for (const name of ['a.mp4', 'b.avi']) {
      const thumbnail = await api.raw('GET', `/${id}/files/${name}/thumbnail`);
      const { format, width, height } = await sharp(Buffer.from(await thumbnail.arrayBuffer())).metadata();
      expect([name, format, width, height]).toEqual([name, 'webp', 160, 120]);
    }
    expect((await api.request('GET', `/${id}/duplicates`)).body).toMatchObject({ groups: [], pending: 0 });
  },
);

test('without ffmpeg, a clip has no thumbnail, and the answer says why', async () => {
  const server = await serverWith({ ffmpeg: 'none' });
  const api = await server.api();
  const id = await api.newDataset();
  await api.upload(id, 'clip.mp4', media.clip('faststart.mp4'));
  const { status, body } = await api.request('GET', `/${id}/files/clip.mp4/thumbnail`);
  expect([status, body.error_code, body.error_message]).toEqual([404, 404004, expect.stringContaining('no ffmpeg')]);
});

test('without ffmpeg, each clip has a warning, and the log says what to do', async () => {
  const server = await serverWith({ ffmpeg: 'none' });
  expect(await ffmpegOf(server)).toBeNull();
  expect(server.output()).toContain('each clip gets the warning NOT_FULLY_CHECKED');
  const api = await server.api();
  const id = await api.newDataset();
  await api.upload(id, 'good.mp4', media.clip('faststart.mp4'));
  await api.upload(id, 'bad.avi', media.damaged.clip());
  const { warnings } = (await api.status(id)).body;
  expect(warnings.map(({ code, filename }) => [filename, code])).toEqual([
    ['bad.avi', 'NOT_FULLY_CHECKED'],
    ['good.mp4', 'NOT_FULLY_CHECKED'],
  ]);
});

test('an ffmpeg that is named and does not run is a start error', async () => {
  const data = await temporaryFolder();
  const served = await trainyard(['serve', '--port', '0', '--data', data, '--ffmpeg', join(data, 'nothing')]);
  expect(served.code).toBe(78);
  expect(served.stderr).toContain(`can't use the ffmpeg at ${join(data, 'nothing')}: there is no such program.`);
});

describe('trainyard check', () => {
  test.skipIf(why)('decodes clips and says with what', async () => {
    const folder = await folderWith({
      'bad.avi': media.damaged.clip(),
      'bad.txt': 'x',
      'good.mp4': media.clip('faststart.mp4'),
      'good.txt': 'x',
    });
    const { code, stdout } = await trainyard(['check', folder]);
    expect(code).toBe(1);
    expect(stdout).toMatch(/^Every frame of a clip is decoded with ffmpeg \S+ \(\/\S+\)\.$/m);
    expect(stdout).toMatch(/^✗ bad\.avi is damaged: only \d+ of its 16 frames can be decoded/m);
    expect(stdout).not.toContain('good.mp4');
    const { ffmpeg, files } = (await trainyard(['check', '--json', folder])).json();
    expect(ffmpeg.path).toMatch(/ffmpeg$/);
    expect(files).toContainEqual(expect.objectContaining({ filename: 'good.mp4', frames: 15 }));
  });

  test('without ffmpeg says so, and exits with 78 if a named one does not run', async () => {
    const folder = await folderWith({ 'good.mp4': media.clip('faststart.mp4'), 'good.txt': 'x' });
    const { code, stdout } = await trainyard(['check', folder, '--ffmpeg', 'none']);
    expect(code).toBe(0);
    expect(stdout).toMatch(/^ffmpeg is turned off: /m);
    expect((await trainyard(['check', folder], { env: { TRAINYARD_FFMPEG: '/nothing' } })).code).toBe(78);
  });
});
