import { execFile } from 'node:child_process';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { describe, expect, onTestFinished, test } from 'vitest';
import { openCatalog } from '../../../src/storage/catalog/open-catalog.js';
import * as media from '../../fixtures/media.js';
import type { Api } from '../../harness/api.js';
import { whyNoFfmpeg, whyNoPostgres, whyNoS3 } from '../../harness/available.js';
import { newRoot } from '../../harness/mounting.js';
import { discardServer, eventually, startServer, temporaryFolder } from '../../harness/server.js';
import { newWorld } from '../../harness/world.js';

const SETTINGS = { 'caption-grace-seconds': 0, 'blob-grace-seconds': 0 };

const WORLDS = [
  { name: 'sqlite+disk', tags: [], leftOut: whyNoFfmpeg() },
  { name: 'postgres+presigned', tags: ['long'], leftOut: whyNoFfmpeg() ?? whyNoPostgres() ?? whyNoS3() },
];

const endOf = (api: Api, id: string) =>
  eventually(async () => {
    const { body } = await api.status(id);
    return body.status === 'UPLOADING' ? undefined : body;
  }, 150_000);

for (const { name, tags, leftOut } of WORLDS) {
  const title = `clips that are decoded after the answer, on ${name}${leftOut === undefined ? '' : `, left out: ${leftOut}`}`;
  describe.skipIf(leftOut !== undefined)(title, () => {
    test('are being checked, and end as a file or as an error', { tags }, async () => {
      const { env, discard } = await newWorld(name);
      onTestFinished(discard);
      const server = await startServer(SETTINGS, { env });
      onTestFinished(() => discardServer(server));
      const api = await server.api();
      const id = await api.newDataset();
      await api.upload(id, 'good.txt', 'a dog');
      await api.upload(id, 'bad.txt', 'a cat');
      const clip = media.longClip(media.clip('faststart.mp4'));
      const link = await api.link(id, 'good.mp4', clip.length);
      expect((await fetch(link, { method: 'PUT', body: new Uint8Array(clip) })).status).toBe(200);
      const answer = await api.upload(id, 'bad.avi', media.longClip(media.damaged.clip()));
      expect([answer.status, answer.body]).toEqual([200, expect.objectContaining({ checking: true })]);
      expect(answer.body).not.toHaveProperty('warnings');
      const failed = await endOf(api, id);
      expect(failed).toMatchObject({ status: 'FAILED', error: { problems: [{ code: 'VIDEO_CORRUPT' }] } });
      expect(failed.error?.message).toContain('bad.avi is damaged');
      expect(failed.files.find(({ filename }) => filename === 'good.mp4')?.frames).toBe(15);
      expect(failed).not.toHaveProperty('checking');
      for (const file of ['bad.avi', 'bad.txt']) await api.request('DELETE', `/${id}/files/${file}`);
      expect((await api.status(id)).body).toMatchObject({ status: 'READY', warnings: [] });
    });
  });
}

/** A clip whose decode takes seconds. */
async function longDecode(): Promise<Buffer> {
  const target = join(await newRoot(), 'long.mp4');
  const source = media.clipPath('faststart.mp4');
  const repeat = ['-v', 'error', '-stream_loop', '1999', '-i', source, '-map', '0:v', '-c', 'copy', target];
  await promisify(execFile)('ffmpeg', repeat);
  return media.longClip(await readFile(target));
}

/** Whether a process has a child that is ffprobe. */
async function isDecoding(pid: number | undefined): Promise<boolean> {
  const ids = (await readdir('/proc')).filter((name) => /^\d+$/.test(name));
  const stats = await Promise.all(ids.map((id) => readFile(`/proc/${id}/stat`, 'utf8').catch(() => '')));
  return stats.some((stat) => new RegExp(`^\\d+ \\(ffprobe\\) \\w ${pid} `).test(stat));
}

test.skipIf(whyNoFfmpeg())(
  'the decode of a long clip is ended by SIGTERM and SIGKILL, and goes on after each start',
  async () => {
    const dataFolder = await temporaryFolder();
    let server = await startServer(SETTINGS, { dataFolder });
    onTestFinished(() => discardServer(server));
    const api = await server.api();
    const id = await api.newDataset();
    await api.upload(id, 'long.mp4', await longDecode());
    await api.upload(id, 'long.txt', 'a dog');
    for (const signal of ['SIGTERM', 'SIGKILL'] as const) {
      // Its process is decoding.
      await eventually(async () => (await isDecoding(server.process.pid)) || undefined, 150_000);
      await server.stop(signal);
      const { jobs, close } = await openCatalog({ dataFolder, blobGrace: 0 });
      const counts = await jobs.counts().finally(close);
      // The next process takes over the job of one that was killed.
      const waiting = signal === 'SIGTERM' ? 1 : 0;
      expect(counts).toContainEqual(expect.objectContaining({ kind: 'check-file', waiting, running: 1 - waiting }));
      server = await startServer(SETTINGS, { dataFolder });
      const { body } = await (await server.api()).status(id);
      expect(body).toMatchObject({
        status: 'UPLOADING',
        checking: [{ filename: 'long.mp4' }],
        counts: { checking: 1 },
      });
    }
    const ready = await endOf(await server.api(), id);
    expect(ready).toMatchObject({ status: 'READY', warnings: [] });
    expect(ready.files[0]).toMatchObject({ filename: 'long.mp4', frames: 2000 * 15 });
  },
  240_000,
);
