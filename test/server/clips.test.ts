import { join } from 'node:path';
import sharp from 'sharp';
import { expect, onTestFinished, test } from 'vitest';
import * as media from '../fixtures/media.js';
import { whyNoFfmpeg } from '../harness/available.js';
import { trainyard } from '../harness/command.js';
import { folderWith } from '../harness/folder.js';
import { eventually, serverUntil, temporaryFolder } from '../harness/server.js';
import { sharedServer } from '../harness/shared-server.js';

const why = whyNoFfmpeg();
const shared = await sharedServer();

const ffmpegOf = async ({ url }: { url: string }) =>
  ((await (await fetch(`${url}/readyz`)).json()) as { ffmpeg: unknown }).ffmpeg;

test.skipIf(why)('with ffmpeg, clips are accepted or rejected by their frames, and have thumbnails', async () => {
  const found = { path: expect.stringMatching(/^\/.*ffmpeg$/), version: expect.stringMatching(/\d/) };
  expect(await ffmpegOf(shared)).toEqual(found);
  const api = await shared.api();
  const id = await api.newDataset();
  await api.upload(id, 'good.mp4', media.clip('faststart.mp4'));
  await api.upload(id, 'old.avi', media.clip('old.avi'));
  const rejected = await api.upload(id, 'bad.avi', media.damaged.clip());
  expect([rejected.status, rejected.body.error_message]).toEqual([
    422,
    expect.stringMatching(/^bad\.avi is damaged: only \d+ of its 16 frames can be decoded\. Upload an intact copy\.$/),
  ]);
  const { files, warnings } = await eventually(async () => {
    const { body } = await api.status(id);
    return body.files.every(({ thumbhash }) => thumbhash !== undefined) ? body : undefined;
  });
  expect(warnings).toEqual([]);
  expect(files.map(({ filename, frames, width }) => [filename, frames, width])).toEqual([
    ['good.mp4', 15, 160],
    ['old.avi', 15, 160],
  ]);
  const audio = { sample_rate: 44_100, channels: 1, duration_seconds: expect.any(Number) };
  expect(files).toMatchObject(['aac', 'mp3'].map((codec) => ({ audio: { codec, ...audio } })));
  for (const { filename } of files) {
    const thumbnail = await api.raw('GET', `/${id}/files/${filename}/thumbnail`);
    const { format, width, height } = await sharp(Buffer.from(await thumbnail.arrayBuffer())).metadata();
    expect([format, width, height]).toEqual(['webp', 160, 120]);
  }
  expect((await api.request('GET', `/${id}/duplicates`)).body).toMatchObject({ groups: [], pending: 0 });
});

test('without ffmpeg, each clip has a warning and no thumbnail, and the log says what to do', async () => {
  const server = await serverUntil(onTestFinished, { ffmpeg: 'none' });
  expect(await ffmpegOf(server)).toBeNull();
  expect(server.output()).toContain('each clip gets the warning NOT_FULLY_CHECKED');
  const api = await server.api();
  const id = await api.newDataset();
  await api.upload(id, 'bad.avi', media.damaged.clip());
  const { warnings } = (await api.status(id)).body;
  expect(warnings.map(({ code, filename }) => [filename, code])).toEqual([['bad.avi', 'NOT_FULLY_CHECKED']]);
  const { body } = await api.request('GET', `/${id}/files/bad.avi/thumbnail`);
  expect(body).toMatchObject({ error_code: 404004, error_message: expect.stringContaining('no ffmpeg') });
});

test('an ffmpeg that is named and does not run is an error of the start and of a check', async () => {
  const nothing = join(await temporaryFolder(), 'nothing');
  const served = await trainyard(['serve', '--port', '0', '--data', nothing, '--ffmpeg', nothing]);
  expect([served.code, served.stderr]).toEqual([
    78,
    expect.stringContaining(`can't use the ffmpeg at ${nothing}: there is no such program.`),
  ]);
  expect((await trainyard(['check', nothing], { env: { TRAINYARD_FFMPEG: nothing } })).code).toBe(78);
});

test.skipIf(why)('trainyard check decodes clips and says with what, or that it does not', async () => {
  const folder = await folderWith({
    ...{ 'bad.avi': media.damaged.clip(), 'bad.txt': 'x' },
    ...{ 'good.mp4': media.clip('faststart.mp4'), 'good.txt': 'x' },
  });
  const { code, stdout } = await trainyard(['check', folder]);
  expect(code).toBe(1);
  expect(stdout).toMatch(/^Every frame of a clip is decoded with ffmpeg \S+ \(\/\S+\)\.$/m);
  expect(stdout).toMatch(/^✗ bad\.avi is damaged: only \d+ of its 16 frames can be decoded/m);
  expect(stdout).not.toContain('good.mp4');
  const without = await trainyard(['check', folder, '--ffmpeg', 'none']);
  expect([without.code, without.stdout]).toEqual([0, expect.stringMatching(/^ffmpeg is turned off: /m)]);
});
