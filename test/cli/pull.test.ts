import { existsSync } from 'node:fs';
import { mkdir, readdir, readFile, stat, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { parse } from 'yaml';
import * as media from '../fixtures/media.js';
import type { Api } from '../harness/api.js';
import { trainyard } from '../harness/command.js';
import { pairsOf } from '../harness/folder.js';
import { datasetOf, newRoot } from '../harness/mounting.js';
import { startProxy } from '../harness/proxy.js';
import { discardServer, startServer, type TestServer } from '../harness/server.js';

let server: TestServer;
let api: Api;
beforeAll(async () => {
  // Without a decoder, the length of an AVI file is unknown.
  server = await startServer({ 'caption-grace-seconds': 0, ffmpeg: 'none' });
  api = await server.api();
});
afterAll(() => discardServer(server));

const run = (args: readonly string[], url = server.url) =>
  trainyard(args, { env: { TRAINYARD_URL: url, TRAINYARD_TOKEN: api.token } });

describe('pull', () => {
  let name: string;
  const files = async () => ({ ...(await pairsOf(2)), 'LOUD.JPG': await media.jpeg({ seed: 9 }), 'LOUD.TXT': 'loud' });
  beforeAll(async () => {
    name = 'pulled';
    await datasetOf(api, await files(), name);
  });

  test('downloads every file under its own name, and nothing the second time', async () => {
    const folder = join(await newRoot(), 'new', 'folder');
    const first = await run(['pull', name, folder, '--json']);
    expect(first.json()).toMatchObject({ pulled: Object.keys(await files()).sort(), unchanged: [], different: [] });
    for (const [filename, bytes] of Object.entries(await files())) {
      expect((await readFile(join(folder, filename))).equals(Buffer.from(bytes))).toBe(true);
    }
    expect((await readdir(folder)).sort()).toEqual(Object.keys(await files()).sort());
    const { ino, mtimeMs } = await stat(join(folder, '01.jpg'));
    const second = await run(['pull', name, folder, '--json']);
    expect(second.json()).toMatchObject({ pulled: [], unchanged: Object.keys(await files()).sort() });
    expect(await stat(join(folder, '01.jpg'))).toMatchObject({ ino, mtimeMs });
  });

  test('lists local files that differ, and overwrites them only with --replace', async () => {
    const folder = await newRoot();
    await writeFile(join(folder, '01.txt'), 'mine!!!');
    await writeFile(join(folder, 'unrelated'), 'mine');
    await mkdir(join(folder, '02.txt'));
    await symlink('/nowhere', join(folder, '02.jpg'));
    const ended = await run(['pull', name, folder]);
    expect([ended.code, ended.stderr]).toEqual([73, expect.stringMatching(/"01\.txt", "02\.jpg", "02\.txt"/)]);
    expect(await readFile(join(folder, '01.txt'), 'utf8')).toBe('mine!!!');
    expect(existsSync(join(folder, '01.jpg'))).toBe(true);
    const forced = await run(['pull', name, folder, '--replace']);
    // A folder and a link are not overwritten.
    expect([forced.code, forced.stderr]).toEqual([73, expect.stringMatching(/: "02\.jpg", "02\.txt"\./)]);
    expect(await readFile(join(folder, '01.txt'), 'utf8')).toBe('wagon 1');
    expect(await readFile(join(folder, 'unrelated'), 'utf8')).toBe('mine');
  });

  test('continues after a broken connection, and never leaves half a file', async () => {
    const proxy = await startProxy(server.url);
    onTestFinished(() => proxy.close());
    const folder = await newRoot();
    proxy.rule(({ path }) => (path.endsWith('/01.jpg') ? { status: 400, body: '{}' } : undefined));
    expect((await run(['pull', name, folder], proxy.url)).code).toBe(65);
    expect(existsSync(join(folder, '01.jpg'))).toBe(false);
    proxy.rule(({ path, time }) => (path.endsWith('/01.jpg') && time === 2 ? 'cut-answer' : undefined));
    expect((await run(['pull', name, folder], proxy.url)).code).toBe(0);
    expect(proxy.requests('GET', '/files/01.jpg').map(({ status }) => status)).toEqual([400, 200, 206]);
    expect((await readdir(folder)).sort()).toEqual(Object.keys(await files()).sort());
  });

  test('rejects bytes with another SHA-256, and names the file', async () => {
    const proxy = await startProxy(server.url);
    onTestFinished(() => proxy.close());
    proxy.rule(({ path }) => (path.endsWith('/01.txt') ? { status: 200, body: 'WAGON X' } : undefined));
    const folder = await newRoot();
    const { code, json } = await run(['pull', name, folder, '--json'], proxy.url);
    expect([code, json().error]).toMatchObject([65, { reason: 'DAMAGED', message: expect.stringContaining('01.txt') }]);
    expect(existsSync(join(folder, '01.txt'))).toBe(false);
  });

  test('and mount report that a service with only the API of the contract offers no downloads', async () => {
    const proxy = await startProxy(server.url, { isContractOnly: true });
    onTestFinished(() => proxy.close());
    const pulled = await run(['pull', name, await newRoot()], proxy.url);
    expect([pulled.code, pulled.stderr]).toEqual([69, expect.stringContaining('offers no downloads')]);
    const mounted = await run(['mount', name, '--into', await newRoot()], proxy.url);
    expect([mounted.code, mounted.stderr]).toEqual([69, expect.stringContaining('offers no downloads')]);
  });

  test('works for a dataset that is not READY, and creates no folder for an empty or missing dataset', async () => {
    const id = await api.newDataset('unfinished');
    const folder = join(await newRoot(), 'folder');
    expect((await run(['pull', 'unfinished', folder])).code).toBe(0);
    expect((await run(['pull', 'missing', folder])).code).toBe(66);
    expect(existsSync(folder)).toBe(false);
    const own = await newRoot();
    expect((await run(['pull', 'unfinished', own])).code).toBe(0);
    expect(existsSync(own)).toBe(true);
    await api.upload(id, 'bare.jpg', await media.jpeg());
    expect((await run(['pull', 'unfinished', folder])).code).toBe(0);
    expect(await readdir(folder)).toEqual(['bare.jpg']);
  });
});

describe('mount-config', () => {
  test('prints a block for each dataset, with resolutions that the images reach', async () => {
    const image = (side: number, seed: number) => media.jpeg({ width: side, height: side, seed });
    const sized = async (name: string, sides: readonly number[]) => {
      const files: Record<string, Buffer | string> = {};
      for (const [i, side] of sides.entries()) {
        files[`${i}.jpg`] = await image(side, i);
        files[`${i}.txt`] = 'x';
      }
      await datasetOf(api, files, name);
    };
    await sized('small and small', [300, 330]);
    await sized('mixed.sizes', [600, 800, 1100]);
    const { stdout, code } = await run(['mount-config', 'small and small', 'mixed.sizes', '--into', '/data/"sets"']);
    expect(code).toBe(0);
    expect(stdout).toBe(`datasets:
  - folder_path: "/data/\\"sets\\"/small and small"
    caption_ext: txt
    resolution: [320]  # 1 of 2 files have fewer pixels than 320 x 320; the trainer does not enlarge them
    cache_latents_to_disk: true
  - folder_path: "/data/\\"sets\\"/mixed.sizes"
    caption_ext: txt
    resolution: [512, 768]  # 1 of 3 files have fewer pixels than 768 x 768; the trainer does not enlarge them
    cache_latents_to_disk: true
`);
  });

  test('prints YAML with the content of --json for any folder name', async () => {
    await datasetOf(api, { 'a.mp4': media.clip('faststart.mp4'), 'a.txt': 'a' }, 'yes');
    for (const root of ['/a: b #c', `/it's "q" \\ {x} [y]`, '/caf\u0065\u0301 🚂\u0085\t%', '/- *a &b !c | >\n d']) {
      const args = ['mount-config', 'yes', '--into', root];
      const printed = (await run([...args, '--json'])).json().datasets[0];
      const { reasons: _, ...settings } = printed;
      expect(settings.folder_path).toBe(`${root}/yes`);
      expect(parse((await run(args)).stdout)).toEqual({ datasets: [settings] });
    }
  });

  test('recognizes a clip by its name if the service reports no kinds', async () => {
    const proxy = await startProxy(server.url, { isContractOnly: true });
    onTestFinished(() => proxy.close());
    await datasetOf(api, { 'a.mp4': media.clip('faststart.mp4'), 'a.txt': 'a' }, 'bare clip');
    const { json } = await run(['mount-config', 'bare clip', '--json'], proxy.url);
    expect(json().datasets).toMatchObject([
      { num_frames: 33, reasons: { num_frames: expect.stringContaining('are unknown') } },
    ]);
  });

  test('suggests as many frames as the shortest clip has, in the form that video models take', async () => {
    await datasetOf(
      api,
      { 'a.mp4': media.clip('faststart.mp4'), 'a.txt': 'a', 'b.avi': media.clip('old.avi'), 'b.txt': 'b' },
      'clips',
    );
    const { files } = (await api.status((await api.list('?name=clips')).body.datasets[0]!.id)).body;
    const frames = files.find(({ filename }) => filename === 'a.mp4')!.frames!;
    const ended = await run(['mount-config', 'clips', '--json']);
    const [dataset] = ended.json().datasets;
    expect(dataset.folder_path).toBe('/path/to/datasets/clips');
    expect([dataset.num_frames % 4, dataset.num_frames <= frames, dataset.num_frames > frames - 4]).toEqual([
      1,
      true,
      true,
    ]);
    expect(dataset.reasons.num_frames).toContain(`${frames} frames (1 of unknown length)`);
  });
});
