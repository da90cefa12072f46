import { expect, test } from 'vitest';
import * as media from '../../fixtures/media.js';
import { put } from '../../harness/api.js';
import { whyNoFfmpeg } from '../../harness/available.js';
import { checked } from '../../harness/server.js';
import { sharedServer } from '../../harness/shared-server.js';

const shared = await sharedServer();

const leftOut = whyNoFfmpeg();
const title = `clips that are decoded after the answer are being checked, and end as a file or as an error${leftOut ? `, left out: ${leftOut}` : ''}`;
test.skipIf(leftOut !== undefined)(title, async () => {
  const api = await shared.api();
  const id = await api.newDataset();
  await api.upload(id, 'good.txt', 'a dog');
  await api.upload(id, 'bad.txt', 'a cat');
  const clip = media.longClip(media.clip('faststart.mp4'));
  expect((await put(await api.link(id, 'good.mp4', clip.length), clip)).status).toBe(200);
  const answer = await api.upload(id, 'bad.avi', media.longClip(media.damaged.clip()));
  expect([answer.status, answer.body]).toEqual([200, expect.objectContaining({ checking: true })]);
  expect(answer.body).not.toHaveProperty('warnings');
  const failed = await checked(api, id);
  expect(failed).toMatchObject({ status: 'FAILED', error: { problems: [{ code: 'VIDEO_CORRUPT' }] } });
  expect(failed.error?.message).toContain('bad.avi is damaged');
  expect(failed.files.find(({ filename }) => filename === 'good.mp4')?.frames).toBe(15);
  expect(failed).not.toHaveProperty('checking');
  for (const file of ['bad.avi', 'bad.txt']) await api.request('DELETE', `/${id}/files/${file}`);
  expect((await api.status(id)).body).toMatchObject({ status: 'READY', warnings: [] });
});
