import { basename } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { TrainyardClient } from '../../../src/client/client.js';
import type { Api } from '../../harness/api.js';
import { trainyard } from '../../harness/command.js';
import { maskPng } from '../../fixtures/masks.js';
import { folderWith, imagesOf, pairsOf } from '../../harness/folder.js';
import { discardServer, startServer, type TestServer } from '../../harness/server.js';

let server: TestServer;
let api: Api;
let client: TrainyardClient;
beforeAll(async () => {
  server = await startServer({ 'caption-grace-seconds': 0 });
  api = await server.api();
  client = new TrainyardClient({ baseUrl: server.url, token: api.token });
});
afterAll(() => discardServer(server));

const run = (args: readonly string[]) =>
  trainyard(args, { env: { TRAINYARD_URL: server.url, TRAINYARD_TOKEN: api.token } });

let names = 0;
const newName = () => `roles-${++names}`;

describe('push --role', () => {
  test('makes a dataset of that role, whose images need no captions; later pushes need no --role', async () => {
    const name = newName();
    const folder = await folderWith({ ...(await imagesOf(2)), '01.txt': 'unused' }, name);
    const first = await run(['push', folder, '--role', 'control']);
    expect(first).toMatchObject({ code: 0, stdout: expect.stringMatching(/READY {2}digest/) });
    expect(first.stdout).toMatch(/! .*01\.txt/);
    expect(await client.find(name)).toMatchObject({ role: 'control', status: 'READY', counts: { uncaptioned: 0 } });
    expect(await run(['push', folder])).toMatchObject({ code: 0 });
    expect((await run(['push', folder, '--json'])).json()).toMatchObject({ dataset: { role: 'control' }, sent: [] });
  });

  test('does not change the role of a dataset, but says how to', async () => {
    const name = newName();
    await run(['push', await folderWith(await pairsOf(1), name)]);
    const folder = await folderWith(await imagesOf(1), name);
    expect(await run(['push', folder, '--role', 'mask'])).toMatchObject({
      code: 65,
      stderr: expect.stringContaining(
        `"${name}" is a training dataset. To make it a mask dataset, run: trainyard role ${name} mask`,
      ),
    });
    const control = await folderWith(await imagesOf(1), newName());
    await run(['push', control, '--role', 'control']);
    expect(await run(['push', control, '--role', 'training'])).toMatchObject({
      code: 65,
      stderr: expect.stringContaining('is a control dataset'),
    });
    expect((await client.find(name))?.role).toBe('training');
  });

  test('rejects an unknown role, and options for captions', async () => {
    const folder = await folderWith(await imagesOf(1), newName());
    expect(await run(['push', folder, '--role', 'controls'])).toMatchObject({
      code: 64,
      stderr: expect.stringContaining('Did you mean control?'),
    });
    expect(await run(['push', folder, '--role', 'mask', '--trigger', 'x'])).toMatchObject({
      code: 64,
      stderr: expect.stringContaining('--trigger is of no use for a mask dataset'),
    });
  });

  test('check --role needs no captions, and says which are unused', async () => {
    const folder = await folderWith({ ...(await imagesOf(2)), '01.txt': 'unused' }, newName());
    expect((await run(['check', folder])).code).toBe(1);
    const checked = await run(['check', folder, '--role', 'control']);
    expect(checked).toMatchObject({ code: 0, stdout: expect.stringContaining('see 2 images as 2 controls') });
    expect((await run(['check', folder, '--role', 'control', '--json'])).json()).toMatchObject({
      fit: true,
      errors: [],
      warnings: [{ code: 'UNUSED_CAPTION' }],
    });
  });
});

test('check and push read masks as the trainer does', async () => {
  const black = maskPng({ width: 9, height: 9, colour: 0, depth: 8, pixel: () => [0] });
  const name = newName();
  const folder = await folderWith({ ...(await imagesOf(1)), '02.png': black }, name);
  const checked = await run(['check', folder, '--role', 'mask', '--json']);
  expect(checked.json()).toMatchObject({
    fit: true,
    warnings: [
      { code: 'MASK_NOT_GRAYSCALE', filename: '01.jpg' },
      { code: 'BLACK_MASK', filename: '02.png' },
    ],
  });
  expect((await run(['check', folder, '--role', 'control', '--json'])).json()).toMatchObject({ warnings: [] });
  const pushed = await run(['push', folder, '--role', 'mask']);
  expect(pushed).toMatchObject({ code: 0, stdout: expect.stringMatching(/! .*02\.png is black\. As a mask it/) });
  const { warnings } = await client.status((await client.find(name))!.id);
  expect(warnings.map(({ code }) => code)).toEqual(['MASK_NOT_GRAYSCALE', 'BLACK_MASK']);
});

describe('roles in other commands', () => {
  test('ls and show print them', async () => {
    const folder = await folderWith(await imagesOf(1), newName());
    const name = basename(folder);
    await run(['push', folder, '--role', 'mask']);
    const listed = await run(['ls', '--role', 'mask']);
    expect(listed.stdout).toMatch(/^NAME +ROLE +STATUS/);
    expect(listed.stdout).toMatch(new RegExp(`^${name} +mask +READY +1 image `, 'm'));
    expect(listed.stdout).not.toMatch(/ training /);
    expect((await run(['ls', '--role', 'mask', '--status', 'failed'])).stdout).toBe(
      'No dataset is FAILED and a mask dataset.\n',
    );
    expect((await run(['show', name])).stdout).toMatch(/^mask dataset, 1 file, /m);
    expect((await run(['show', name])).stdout).not.toContain('none');
    expect((await run(['status', name])).stdout).toMatch(new RegExp(`^${name} {2}mask dataset, 1 image, `));
  });
});
