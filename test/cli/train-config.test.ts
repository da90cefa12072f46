import { afterAll, expect, test } from 'vitest';
import * as media from '../fixtures/media.js';
import { datasetOf } from '../harness/mounting.js';
import { serverUntil } from '../harness/server.js';
import { commandsOn } from './commands.js';

// Without a decoder, the length of an AVI file is unknown.
const server = await serverUntil(afterAll, { 'caption-grace-seconds': 0, ffmpeg: 'none' });
const { api, run } = await commandsOn(server);
const pair = { 'a.jpg': await media.jpeg({ seed: 1 }), 'a.txt': 'one\ntwo' };
await datasetOf(api, { ...pair, 'b.mp4': media.clip('faststart.mp4'), 'b.txt': 'b' }, 'mixed');

test('prints a block for each dataset, with resolutions that the images reach', async () => {
  const sized = async (name: string, sides: readonly number[]) => {
    const pairs = sides.map(async (side, seed) => ({
      [`${seed}.jpg`]: await media.jpeg({ width: side, height: side, seed }),
      [`${seed}.txt`]: 'x',
    }));
    await datasetOf(api, Object.assign({}, ...(await Promise.all(pairs))), name);
  };
  await sized('small and small', [300, 330]);
  await sized('mixed.sizes', [600, 800, 1100]);
  const { stdout, code } = await run(['train-config', 'small and small', 'mixed.sizes', '--into', '/data/"sets"']);
  expect(code).toBe(0);
  expect(stdout).toBe(`      datasets:
        - folder_path: "/data/\\"sets\\"/small and small"
          caption_ext: "txt"
          resolution: [320]  # 1 of 2 files has fewer pixels than 320 x 320; the trainer does not enlarge files
          cache_latents_to_disk: true
        - folder_path: "/data/\\"sets\\"/mixed.sizes"
          caption_ext: "txt"
          resolution: [512, 768]  # 1 of 3 files has fewer pixels than 768 x 768; the trainer does not enlarge files
          cache_latents_to_disk: true
`);
});

test('prints the file alone on standard output, and what JSON has no comments for on standard error', async () => {
  const { stdout, stderr, code } = await run(['mount-config', 'mixed', '--into', '/data', '--for', 'simpletuner']);
  expect(code).toBe(0);
  const ids = JSON.parse(stdout).map(({ id }: { id: string }) => id);
  expect(ids).toEqual(['mixed-images', 'mixed-videos', 'text-embeds']);
  expect(stderr).toContain('trainyard: 1 caption has several lines.');
  const { json } = await run(['train-config', 'mixed', '--only', 'videos', '--for', 'musubi', '--json']);
  expect(json()).toMatchObject({ trainer: 'musubi', format: 'toml', filename: 'dataset.toml', notes: [] });
  expect(json().text).not.toContain('image_directory');
});

test.each([
  [['--for', 'kohya', '--job', 'x'], 64, 'for ai-toolkit only'],
  [['--for', 'kohya', '--only', 'videos'], 65, 'use musubi'],
])('rejects %j', async (args, code, reason) => {
  const ended = await run(['train-config', 'mixed', ...args]);
  expect(ended).toMatchObject({ code, stdout: '', stderr: expect.stringContaining(reason) });
});
