import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { unmountDataset } from '../../src/service/mount/mount.js';
import * as media from '../fixtures/media.js';
import { type Api, put } from '../harness/api.js';
import { type Running, startCommand } from '../harness/command.js';
import { datasetOf, digestOfFolder, leaveLitter, mountedIn, newRoot } from '../harness/mounting.js';
import { discardServer, eventually, startServer, type TestServer } from '../harness/server.js';

let server: TestServer;
let api: Api;
beforeAll(async () => {
  server = await startServer();
  api = await server.api();
});
afterAll(() => discardServer(server));

const start = (...args: string[]) =>
  startCommand(['mount', ...args], { env: { TRAINYARD_URL: server.url, TRAINYARD_TOKEN: api.token } });
const run = (...args: string[]) => start(...args).ended;
const said = (command: Running, words: string) =>
  eventually(() => (command.stderr().includes(words) ? true : undefined));

describe('--wait', () => {
  test('says what it waits for, mounts once the dataset is READY, and then trains', async () => {
    const id = await api.newDataset('late');
    const root = await newRoot();
    const script = 'console.log(require("fs").readdirSync(process.argv[1]).length)';
    const command = start(
      'late',
      '--into',
      root,
      '--wait',
      '--timeout',
      '1h',
      '--exec',
      'node',
      '-e',
      script,
      join(root, 'late'),
    );
    await said(command, 'waiting for "late", which is DRAFT: it has no files yet');
    await api.upload(id, 'a.jpg', await media.jpeg({ seed: 1 }));
    expect(await mountedIn(root)).toEqual([]);
    await api.upload(id, 'a.txt', 'a');
    const { code, stdout, stderr } = await command.ended;
    expect([code, stdout]).toEqual([0, '3\n']);
    expect(stderr).toContain('mounted late in');
  });

  test('ends with the problems of a FAILED dataset, and does not wait for the others', async () => {
    const id = await api.newDataset('broken');
    await api.newDataset('empty');
    await api.upload(id, 'a.jpg', Buffer.from('no image'));
    const ended = await run('broken', 'empty', '--into', await newRoot(), '--wait', '--json');
    expect(ended.code).toBe(65);
    const [broken, empty] = ended.json().mounts;
    expect(broken.error).toMatchObject({ exit_code: 65, problems: [{ code: 'NOT_AN_IMAGE', filename: 'a.jpg' }] });
    expect(broken.error.message).toContain('"broken" is FAILED');
    const { problems } = broken.error as { problems: { message: string }[] };
    expect(broken.error.message.split(problems[0]!.message), 'the one problem is named once').toHaveLength(2);
    expect(empty.error).toMatchObject({ reason: 'FAILED', message: expect.stringContaining('is DRAFT') });
  });

  /** A READY dataset with one image, and a control that is linked to it. */
  const linked = async (name: string) => {
    const target = await datasetOf(api, { 'a.jpg': await media.jpeg({ seed: 1 }), 'a.txt': 'a' }, name);
    const control = (await api.json<{ id: string }>('POST', '', { name: `${name}-depth`, role: 'control' })).body.id;
    return { control, link: () => api.json('PUT', `/${target}/links`, { control_1: control }) };
  };

  test('says which linked dataset it waits for, and mounts both once that is READY', async () => {
    const { control, link } = await linked('paired');
    await api.upload(control, 'b.jpg', await media.jpeg({ seed: 2 }));
    const image = await media.jpeg({ seed: 3 });
    const url = await api.link(control, 'a.jpg', image.length);
    await link();
    const root = await newRoot();
    const command = start('paired', '--into', root, '--wait', '--timeout', '1h');
    const reason = 'its control 1 "paired-depth" is UPLOADING and has nothing yet for a';
    await said(command, `waiting for "paired", which is UPLOADING: ${reason}`);
    expect((await put(url, image)).status).toBe(200);
    expect((await command.ended).code).toBe(0);
    expect(await mountedIn(root)).toEqual(['paired', 'paired-depth']);
  });

  test('ends with the problems of a FAILED linked dataset', async () => {
    const { control, link } = await linked('badly-paired');
    await api.upload(control, 'a.jpg', Buffer.from('no image'));
    await link();
    const ended = await run('badly-paired', '--into', await newRoot(), '--wait', '--json');
    expect(ended.code).toBe(65);
    const { problems } = ended.json().mounts[0].error;
    expect(problems).toContainEqual(expect.objectContaining({ code: 'LINKED_NOT_READY' }));
    const message = expect.stringContaining('"badly-paired-depth": ');
    expect(problems).toContainEqual(expect.objectContaining({ code: 'NOT_AN_IMAGE', filename: 'a.jpg', message }));
  });

  test('ends when the time is over, with the reason', async () => {
    await api.newDataset('never');
    const ended = await run('never', '--into', await newRoot(), '--wait', '--timeout', '1s');
    expect(ended.code).toBe(75);
    expect(ended.stderr).toContain('trainyard: "never" was not READY within 1s: ');
  });

  test('is rejected with options that it contradicts', async () => {
    const root = await newRoot();
    for (const [args, reason] of [
      [['--timeout', '1s'], '--timeout needs --wait'],
      [['--wait', '--data', 'data'], '--data'],
      [['--wait', '--digest', 'a'.repeat(64)], '--digest'],
      [['--wait', '--revision', '3'], '--revision'],
    ] as const) {
      const ended = await run('late', '--into', root, ...args);
      expect([ended.code, ended.stderr]).toEqual([64, expect.stringContaining(reason)]);
    }
  });
});

describe('--only', () => {
  let root: string;
  const folder = () => join(root, 'mixed');
  const names = async () => (await readdir(folder())).filter((name) => name !== '.mount.json').sort();
  const record = async () => JSON.parse(await readFile(join(folder(), '.mount.json'), 'utf8'));
  beforeAll(async () => {
    const clip = media.clip('faststart.mp4');
    const image = await media.jpeg({ seed: 2 });
    const files = {
      'a.jpg': image,
      'a.txt': 'a',
      'b.mp4': clip,
      'b.txt': 'b',
      'both.jpg': await media.jpeg({ seed: 3 }),
    };
    const shared = { 'both.txt': 'shared', 'both.webm': media.clip('live.webm') };
    await datasetOf(api, { ...files, ...shared }, 'mixed');
    await datasetOf(api, { 'a.jpg': image, 'a.txt': 'a' }, 'images');
  });

  test('mounts one kind with its captions, and another choice replaces it', async () => {
    root = await newRoot();
    const mounted = (await run('mixed', '--into', root, '--only', 'images', '--json')).json().mounts[0];
    expect(await names()).toEqual(['a.jpg', 'a.txt', 'both.jpg', 'both.txt']);
    expect(mounted).toMatchObject({
      outcome: 'mounted',
      only: 'images',
      files: 4,
      folder_digest: await digestOfFolder(folder()),
    });
    expect(await record()).toMatchObject({ only: 'images', digest: mounted.digest });

    // The digest names the state of the whole dataset.
    const again = await run('mixed', '--into', root, '--only', 'images', '--digest', mounted.digest);
    expect(again.stdout).toContain('mixed is unchanged');
    await leaveLitter(folder());
    const local = await run('mixed', '--into', root, '--only', 'videos', '--data', server.dataFolder);
    expect([local.code, local.stdout]).toEqual([0, expect.stringContaining('only videos, 4 files')]);
    expect(await names()).toEqual(['b.mp4', 'b.txt', 'both.txt', 'both.webm']);

    expect((await run('mixed', '--into', root)).code).toBe(0);
    expect(await names()).toHaveLength(7);
    expect(await record()).not.toHaveProperty('only');
    expect(await digestOfFolder(folder())).toBe(mounted.digest);
  });

  test('a folder of one kind is removed with its dataset', async () => {
    root = await newRoot();
    await run('mixed', '--into', root, '--only', 'videos');
    await leaveLitter(folder());
    await unmountDataset('mixed', { root, signal: new AbortController().signal });
    expect(await mountedIn(root)).toEqual([]);
  });

  test('says that a dataset has nothing of that kind', async () => {
    const ended = await run('images', '--into', await newRoot(), '--only', 'videos');
    expect([ended.code, ended.stderr]).toEqual([65, 'trainyard: "images" has no videos. Mount it without --only.\n']);
  });
});
