import { mkdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import * as media from '../fixtures/media.js';
import type { Api } from '../harness/api.js';
import { startCommand, trainyard } from '../harness/command.js';
import { startProxy } from '../harness/proxy.js';
import { discardServer, eventually, startServer, type TestServer, temporaryFolder } from '../harness/server.js';
import { flipBit, pathOfBytes } from '../harness/transferring.js';

let server: TestServer;
let api: Api;
let folder: string;
let image: Buffer;
beforeAll(async () => {
  server = await startServer({ 'caption-grace-seconds': 0 });
  api = await server.api();
  folder = join(await temporaryFolder(), 'wagons');
  image = await media.jpeg({ seed: 3 });
  await mkdir(folder);
  await writeFile(join(folder, 'red.jpg'), image);
  await writeFile(join(folder, 'red.txt'), 'a red wagon');
  await run(['push', folder]);
});
afterAll(async () => {
  await discardServer(server);
  await rm(join(folder, '..'), { recursive: true, force: true });
});

const run = (args: readonly string[], url = server.url) =>
  trainyard(args, { env: { TRAINYARD_URL: url, TRAINYARD_TOKEN: api.token } });

describe('trainyard verify', () => {
  test('can be interrupted, goes on in the service, and is continued by the same command', async () => {
    const proxy = await startProxy(server.url);
    const running = { dataset_id: 'x', state: 'running', total: 2, checked: 1, problems: [] };
    proxy.rule(({ path }) => (path.endsWith('/recheck') ? { status: 200, body: JSON.stringify(running) } : undefined));
    const command = startCommand(['verify', 'wagons'], {
      env: { TRAINYARD_URL: proxy.url, TRAINYARD_TOKEN: api.token },
    });
    await eventually(() => proxy.requests('GET', '/recheck')[0]);
    command.process.kill('SIGINT');
    const { code, stderr } = await command.ended;
    expect([code, stderr]).toEqual([130, expect.stringContaining('run the same command again')]);
    await proxy.close();
    expect((await run(['verify', 'wagons'])).code).toBe(0);
  });

  test('lists damaged files, ends with 1, and a push of the same folder repairs them', async () => {
    const other = await api.newDataset('ships');
    await api.upload(other, 'sail.jpg', await media.jpeg({ seed: 4 }));
    await api.upload(other, 'sail.txt', 'a ship');
    await flipBit(await pathOfBytes(server.dataFolder, image));
    const { code, stdout } = await run(['verify']);
    expect(code).toBe(1);
    expect(stdout).toContain('wagons  2 files checked, 1 damaged file; the dataset is FAILED');
    expect(stdout).toMatch(/✗ .*red\.jpg.*Upload the file again/);
    expect(stdout).toContain('ships  2 files checked, none is damaged; the dataset is READY');
    const again = await run(['verify', 'wagons', '--no-start', '--json']);
    expect(await run(['recheck', 'wagons', '--no-start', '--json']), 'its earlier name').toMatchObject({
      code: 1,
      stdout: again.stdout,
    });
    expect(again.code).toBe(1);
    expect(again.json()).toMatchObject({
      datasets: [
        {
          ...{ name: 'wagons', status: 'FAILED', state: 'finished', total: 2, checked: 2 },
          problems: [{ code: 'BYTES_LOST', filename: 'red.jpg' }],
        },
      ],
    });
    const { body } = await api.status(again.json().datasets[0].id);
    expect(body).toMatchObject({
      error: { code: 'BYTES_LOST', problems: [{ code: 'BYTES_LOST' }] },
      files: [{ filename: 'red.txt' }],
      damaged: [{ filename: 'red.jpg', problem: { code: 'BYTES_LOST' } }],
    });
    expect((await api.raw('GET', `/${body.id}/files/red.jpg`)).status).toBe(200);
    expect((await run(['push', folder])).code).toBe(0);
    expect((await run(['verify', 'wagons'])).code).toBe(0);
  });
});
