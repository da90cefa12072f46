import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import * as media from '../fixtures/media.js';
import { folderWith } from '../harness/folder.js';
import { newRoot } from '../harness/mounting.js';
import { eventually, serverUntil } from '../harness/server.js';
import { flipBit, pathOfBytes } from '../harness/transferring.js';
import { commandsOn } from './commands.js';

const server = await serverUntil(afterAll, { 'caption-grace-seconds': 0 });
const { api, run, newProxy, start } = await commandsOn(server);
const image = await media.jpeg({ seed: 3 });

const pushed = async () => {
  const folder = await folderWith({ 'red.jpg': image, 'red.txt': 'a red wagon' });
  expect((await run(['push', folder])).code).toBe(0);
  return folder;
};

test('verify can be interrupted, goes on in the service, and is continued by the same command', async () => {
  await pushed();
  const proxy = await newProxy();
  const running = { dataset_id: 'x', state: 'running', total: 2, checked: 1, problems: [] };
  proxy.rule(({ path }) => (path.endsWith('/recheck') ? { status: 200, body: JSON.stringify(running) } : undefined));
  const command = start(['verify', 'wagons'], proxy.url);
  await eventually(() => proxy.requests('GET', '/recheck')[0]);
  command.process.kill('SIGINT');
  const { code, stderr } = await command.ended;
  expect([code, stderr]).toEqual([130, expect.stringContaining('run the same command again')]);
  expect((await run(['verify', 'wagons'])).code).toBe(0);
});

test('verify lists damaged files, ends with 1, and a push of the same folder repairs them', async () => {
  const folder = await pushed();
  const other = await api.newDataset('ships');
  await api.upload(other, 'sail.jpg', await media.jpeg({ seed: 4 }));
  await api.upload(other, 'sail.txt', 'a ship');
  await flipBit(await pathOfBytes(server.dataFolder, image));
  const { code, stdout } = await run(['verify']);
  expect(code).toBe(1);
  expect(stdout).toContain('wagons  2 files checked, 1 damaged file; the dataset is FAILED');
  expect(stdout).toMatch(/✗ .*red\.jpg.*Upload the file again/);
  expect(stdout).toContain('ships  2 files checked, none is damaged; the dataset is READY');
  const pulled = await run(['pull', 'wagons', join(await newRoot(), 'pulled')]);
  expect(pulled.stdout).toContain('1 image is damaged in the dataset, and is not fetched: red.jpg.');
  const again = await run(['verify', 'wagons', '--no-start', '--json']);
  // Its earlier name.
  expect((await run(['recheck', 'wagons', '--no-start', '--json'])).stdout).toBe(again.stdout);
  expect(again.code).toBe(1);
  expect(again.json()).toMatchObject({
    datasets: [
      {
        ...{ name: 'wagons', status: 'FAILED', state: 'finished', total: 2, checked: 2 },
        problems: [{ code: 'BYTES_LOST', filename: 'red.jpg' }],
      },
    ],
  });
  expect((await run(['push', folder])).code).toBe(0);
  expect((await run(['verify', 'wagons'])).code).toBe(0);
});
