import { mkdir, rm, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { BASE_PATH } from '../../../src/api/limits.js';
import { TrainyardClient } from '../../../src/client/client.js';
import * as media from '../../fixtures/media.js';
import { metricsOf } from '../../harness/metrics.js';
import { eventually, serverUntil } from '../../harness/server.js';
import { flipBit, pathOfBytes } from '../../harness/transferring.js';

const server = await serverUntil(afterAll, { 'caption-grace-seconds': 0 });
const api = await server.api();

test.each([
  ['changed', flipBit],
  ['cut short', (path: string) => truncate(path, 5)],
])('the text of a caption that was %s is not served', async (what, damage) => {
  const id = await api.newDataset();
  await api.upload(id, 'a.txt', 'a sound dog');
  const text = `a dog, ${what}`;
  await api.upload(id, 'b.txt', text);
  await damage(await pathOfBytes(server.dataFolder, text));
  const { status, body } = await api.json('POST', `/${id}/captions`, { filenames: ['a.txt', 'b.txt'] });
  expect([status, body.error_code]).toEqual([409, 409003]);
  expect(body.error_message).toContain('b.txt');
});

const LOST = [
  ['is gone', (path: string) => rm(path)],
  ['was cut short', (path: string) => truncate(path, 5)],
  ['has lost all its bytes', (path: string) => truncate(path, 0)],
  ['became a folder', becomeFolder],
] as const;

async function becomeFolder(path: string): Promise<void> {
  await rm(path);
  await mkdir(path);
  await writeFile(join(path, 'other.txt'), 'not of the service');
}

test.each(LOST)('a file that %s is answered with the reason, and compared without its text', async (what, damage) => {
  const id = await api.newDataset();
  const image = await media.png({ seed: what.length });
  await api.upload(id, 'a.png', image);
  await api.upload(id, 'a.txt', what);
  await api.upload(id, 'b.txt', 'a sound dog');
  await eventually(async () => (await api.status(id)).body.files[0]?.thumbhash);
  for (const bytes of [image, what]) {
    const stored = await pathOfBytes(server.dataFolder, bytes);
    await damage(stored);
    await rm(`${stored}.thumbnail`, { force: true });
  }
  for (const path of ['a.png', 'a.txt', 'a.txt?revision=1', 'a.png/thumbnail', 'a.png/thumbnail?revision=1']) {
    const { status, body } = await api.request('GET', `/${id}/files/${path}`);
    expect([path, status, body.error_code]).toEqual([path, 409, 409003]);
    expect(body.error_message).toMatch(/The bytes of a\.(png|txt) .*Upload the file again\./);
  }
  const client = new TrainyardClient({ baseUrl: server.url, token: api.token });
  const { added } = await client.history.diff(id, { from: 0, to: 1 });
  expect(added.map(({ filename, text }) => [filename, text])).toEqual([
    ['a.png', undefined],
    ['a.txt', undefined],
    ['b.txt', 'a sound dog'],
  ]);
});

/** The lines of the log about answers of a dataset that broke off. */
function brokenOff(id: string): Record<string, unknown>[] {
  const lines = server.output().split('\n').slice(0, -1);
  return lines
    .filter((line) => line.includes('an answer broke off') && line.includes(id))
    .map((line) => JSON.parse(line));
}

const ARCHIVES = {
  zip: (id: string) => api.raw('GET', `/${id}/zip`),
  archive: (id: string) =>
    api.raw('POST', `/${id}/archive`, {
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ filenames: ['a.txt', 'b.txt', 'c.txt'] }),
    }),
};

test.each([
  ['zip', ...LOST[0]],
  ['zip', ...LOST[1]],
  ['zip', 'was changed', flipBit],
  ['archive', ...LOST[0]],
] as const)(
  'a %s with a file that %s breaks off before its announced end, and is logged',
  async (path, what, damage) => {
    const ask = ARCHIVES[path];
    const id = await api.newDataset();
    // One that is read ahead, and one that is not.
    for (const text of [what, what.repeat(40_000)]) {
      await api.upload(id, 'a.txt', 'a sound dog');
      await api.upload(id, 'b.txt', text);
      await api.upload(id, 'c.txt', 'another sound dog');
      expect((await (await ask(id)).arrayBuffer()).byteLength).toBeGreaterThan(text.length);
      await damage(await pathOfBytes(server.dataFolder, text));
      const response = await ask(id);
      expect(response.status).toBe(200);
      await expect(response.arrayBuffer()).rejects.toThrow();
    }
    const lines = await eventually(() => (brokenOff(id).length === 2 ? brokenOff(id) : undefined));
    const line = { level: 40, path: `${BASE_PATH}/${id}/${path}`, error: 'bytes_replaced' };
    const err = expect.objectContaining({
      message: expect.stringMatching(/^The bytes of b\.txt in the store |^The bytes of b\.txt disappeared /),
    });
    expect(lines).toEqual([1, 2].map(() => expect.objectContaining({ ...line, err })));
    expect((await fetch(`${server.url}/readyz`)).status).toBe(200);
  },
);

test('of an answer that breaks off, neither a signature nor that a client left is in the log', async () => {
  const id = await api.newDataset();
  const client = new TrainyardClient({ baseUrl: server.url, token: api.token });
  // More than the buffers of the connection hold.
  const image = media.bmp({ width: 2000, height: 2000 });
  for (const name of ['a.bmp', 'b.bmp', 'c.bmp']) await api.upload(id, name, image);
  await api.upload(id, 'd.txt', 'a lost dog');
  const links = await client.downloadLinks(id);
  const filesInFlight = async () => Number(/^trainyard_files_in_flight (\d+)$/m.exec(await metricsOf(server))?.[1]);
  const left = await fetch(links.zip());
  expect(await filesInFlight()).toBe(4);
  await left.body!.cancel();
  await eventually(async () => (await filesInFlight()) === 0 || undefined);
  await rm(await pathOfBytes(server.dataFolder, 'a lost dog'));
  await expect(fetch(links.zip()).then((response) => response.arrayBuffer())).rejects.toThrow();
  const [line] = await eventually(() => (brokenOff(id).length > 0 ? brokenOff(id) : undefined));
  expect(line).toMatchObject({ path: `${BASE_PATH}/${id}/zip` });
  expect(brokenOff(id)).toHaveLength(1);
  const signature = new URL(links.zip()).searchParams.get('signature') ?? '';
  expect(signature).not.toBe('');
  expect(server.output()).not.toContain(signature);
});
