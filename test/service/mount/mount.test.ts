import { existsSync } from 'node:fs';
import { mkdir, readdir, readFile, rm, stat, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { mountSmallDisk } from '../../faults/small-disk.js';
import * as media from '../../fixtures/media.js';
import type {} from '../../harness/api.js';
import { type Ended, ONLY_PROGRESS, type RunOptions, trainyard } from '../../harness/command.js';
import { pairsOf } from '../../harness/folder.js';
import { datasetOf, leaveLitter, mountedIn, newRoot, stateOf } from '../../harness/mounting.js';
import { discardServer, startServer } from '../../harness/server.js';
import { trainerWalk } from '../../harness/trainer.js';

const server = await startServer({ 'caption-grace-seconds': 0 });
afterAll(() => discardServer(server));
const api = await server.api();

const environment = (url = server.url) => ({ TRAINYARD_URL: url, TRAINYARD_TOKEN: api.token });
const run = (args: readonly string[], options: RunOptions = {}): Promise<Ended> =>
  trainyard(args, { ...options, env: { ...environment(), ...options.env } });

/** Over HTTP, and straight from the data folder. */
const SOURCES = [
  ['from a service', () => []],
  ['from a data folder', () => ['--data', server.dataFolder]],
] as const;

describe.each(SOURCES)('mounting %s', (_, sourceArgs) => {
  test('the trainer reads exactly the media of the dataset, each with its caption', async () => {
    const clip = media.clip('faststart.mp4');
    const files: Record<string, Buffer | string> = {
      'plain.jpg': await media.jpeg({ seed: 1 }),
      'plain.txt': 'plain',
      'LOUD.JPG': await media.jpeg({ seed: 2 }),
      'LOUD.TXT': 'loud',
      'with space.PnG': await media.png({ seed: 3 }),
      'with space.txt': 'space',
      'quo"te\'s & $(dollar);.webp': await media.webp({ seed: 4 }),
      'quo"te\'s & $(dollar);.txt': 'quotes',
      'cafe\u0301.jpg': await media.jpeg({ seed: 5 }),
      'caf\u00e9.txt': 'both forms of an accent',
      '猫と電車 🚂.jpeg': await media.jpeg({ seed: 6 }),
      '猫と電車 🚂.txt': media.CAPTIONS.accents,
      '-rf.jpg': await media.jpeg({ seed: 7 }),
      '-rf.txt': 'a name like an option',
      'two.dots.jpg': await media.jpeg({ seed: 8 }),
      'two.dots.txt': 'dots',
      'clip.MP4': clip,
      'clip.txt': 'a clip',
    };
    const name = `Ünder the  roof.v1-${_.length}`;
    const id = await datasetOf(api, files, name);
    const root = await newRoot();
    const ended = await run(['mount', name, '--into', root, ...sourceArgs()]);
    expect([ended.code, ended.stderr]).toEqual([0, expect.stringMatching(ONLY_PROGRESS)]);
    expect(await mountedIn(root)).toEqual([name]);
    const folder = join(root, name);
    expect(trainerWalk(folder)).toEqual(
      [
        ['plain.jpg', 'plain'],
        ['LOUD.jpg', 'loud'],
        ['with space.png', 'space'],
        [`quo"te's & $(dollar);.webp`, 'quotes'],
        ['caf\u00e9.jpg', 'both forms of an accent'],
        ['猫と電車 🚂.jpeg', media.CAPTIONS.accents],
        ['-rf.jpg', 'a name like an option'],
        ['two.dots.jpg', 'dots'],
        ['clip.mp4', 'a clip'],
      ]
        .map(([path, caption]) => ({ path, caption }))
        .toSorted((a, b) => (a.path! < b.path! ? -1 : 1)),
    );
    expect((await readFile(join(folder, 'clip.mp4'))).equals(clip)).toBe(true);
    expect((await readdir(folder)).filter((file) => file.startsWith('.'))).toEqual(['.mount.json']);
    const record = JSON.parse(await readFile(join(folder, '.mount.json'), 'utf8'));
    const { body: manifest } = await api.manifest(id);
    expect(record).toMatchObject({ dataset_id: id, name, digest: manifest.digest });
    expect(record.files).toHaveLength(manifest.files.length);
    expect(record.files).toContainEqual(
      expect.objectContaining({ filename: 'LOUD.TXT', mounted_name: 'LOUD.txt', size_bytes: 4 }),
    );
  });
});

describe('a mount', () => {
  test('an unchanged dataset is left alone with the caches of the trainer, a changed one replaced with them', async () => {
    const name = 'changing';
    const id = await datasetOf(api, await pairsOf(2), name);
    const root = await newRoot();
    const mount = async () => (await run(['mount', name, '--into', root, '--json'])).json().mounts;
    await mount();
    const folder = join(root, name);
    for (const file of await readdir(folder)) expect((await stat(join(folder, file))).nlink).toBe(1);
    await leaveLitter(folder);
    const before = await stateOf(root);
    expect(await mount()).toMatchObject([{ name, outcome: 'unchanged' }]);
    expect(await stateOf(root)).toEqual(before);
    await api.upload(id, '01.jpg', await media.jpeg({ seed: 99 }));
    await api.request('DELETE', `/${id}/files/02.jpg`);
    await api.request('DELETE', `/${id}/files/02.txt`);
    expect(await mount()).toMatchObject([{ outcome: 'mounted', digest: (await api.manifest(id)).body.digest }]);
    expect((await readdir(folder)).sort()).toEqual(['.mount.json', '01.jpg', '01.txt']);
    expect((await readFile(join(folder, '01.jpg'))).equals(await media.jpeg({ seed: 99 }))).toBe(true);
    expect(await mountedIn(root)).toEqual([name]);
  });

  test('rejects another digest than the required one, and a dataset that is not READY', async () => {
    const name = 'pinned';
    const id = await datasetOf(api, await pairsOf(1), name);
    const root = await newRoot();
    const mount = (...args: string[]) => run(['mount', ...args, '--into', root]);
    const digest = (await api.manifest(id)).body.digest!;
    const other = digest.replace(/^./, (digit) => (digit === '0' ? '1' : '0'));
    const rejected = await mount(name, '--digest', other);
    expect([rejected.code, rejected.stderr]).toEqual([65, expect.stringContaining(digest)]);
    const unready = await api.newDataset('unready');
    expect((await mount(unready)).code).toBe(65);
    await api.link(unready, 'late.jpg', 1000);
    const ended = await mount(unready);
    expect([ended.code, ended.stderr]).toEqual([75, expect.stringContaining('UPLOADING')]);
    expect((await mount('missing')).code).toBe(66);
    expect(await mountedIn(root)).toEqual([]);
    expect((await mount(name, '--digest', digest.toUpperCase())).code).toBe(0);
  });
});

describe('files that trainyard did not mount', () => {
  const name = 'guarded';
  let id: string;
  beforeAll(async () => {
    id = await datasetOf(api, await pairsOf(2), name);
  });
  const mount = (root: string, ...args: string[]) => run(['mount', name, '--into', root, ...args]);

  test.each([
    [
      'a folder with files',
      async (path: string) => {
        await mkdir(path);
        await writeFile(join(path, 'mine.txt'), 'mine');
      },
    ],
    [
      "a folder with another program's .mount.json",
      async (path: string) => {
        await mkdir(path);
        await writeFile(join(path, '.mount.json'), '{"format":"other"}');
      },
    ],
  ])('%s of that name is left unchanged without --replace', async (_, make) => {
    const root = await newRoot();
    await make(join(root, name));
    const before = await stateOf(root);
    const ended = await mount(root);
    expect([ended.code, ended.stderr]).toEqual([73, expect.stringContaining('not mounted by trainyard')]);
    expect(await stateOf(root)).toEqual(before);
    expect((await mount(root, '--replace')).code).toBe(0);
    expect(trainerWalk(join(root, name))).toHaveLength(2);
    expect(await mountedIn(root)).toEqual([name]);
  });

  test.each([
    ['a caption that was rewritten', (folder: string) => writeFile(join(folder, '01.txt'), 'wagon X'), '01.txt'],
    ['an image that was removed', (folder: string) => rm(join(folder, '02.jpg')), '02.jpg'],
    ['an image that was added', (folder: string) => writeFile(join(folder, 'new.jpg'), 'x'), 'new.jpg'],
  ])('%s is reported, and kept without --replace', async (_, edit, what) => {
    const root = await newRoot();
    await mount(root);
    await edit(join(root, name));
    const before = await stateOf(join(root, name));
    const ended = await mount(root);
    expect([ended.code, ended.stderr]).toEqual([73, expect.stringContaining(what)]);
    expect(await stateOf(join(root, name))).toEqual(before);
    expect((await mount(root, '--replace')).code).toBe(0);
    expect(trainerWalk(join(root, name)).map(({ caption }) => caption)).toEqual(['wagon 1', 'wagon 2']);
  });

  test('a new modification time and an added hidden file are no changes, but the file is not removed either', async () => {
    const root = await newRoot();
    await mount(root);
    await utimes(join(root, name, '01.jpg'), 1, 1);
    await writeFile(join(root, name, '.DS_Store'), 'x');
    expect((await mount(root, '--json')).json().mounts).toMatchObject([{ outcome: 'unchanged' }]);
    await api.upload(id, '01.txt', 'another caption');
    expect((await mount(root)).code).toBe(73);
    expect(existsSync(join(root, name, '.DS_Store'))).toBe(true);
    await api.upload(id, '01.txt', 'wagon 1');
  });

  test('a mounted dataset is no root', async () => {
    const root = await newRoot();
    await mount(root);
    const inside = await mount(join(root, name));
    expect([inside.code, inside.stderr]).toEqual([73, expect.stringContaining('is a mounted dataset itself')]);
  });
});

test('on a disk that is too small, a mount fails, leaves no files, and keeps the mounted folder', async () => {
  const disk = await mountSmallDisk(2);
  if ('refusal' in disk) return;
  onTestFinished(() => disk.unmount());
  const name = 'small';
  const id = await datasetOf(api, { 'a.jpg': await media.jpeg({ seed: 1 }), 'a.txt': 'a' }, name);
  const mount = () => run(['mount', name, '--into', disk.folder]);
  expect((await mount()).code).toBe(0);
  await leaveLitter(join(disk.folder, name));
  const before = await readdir(disk.folder, { recursive: true });
  for (const seed of [2, 3, 4]) {
    await api.upload(id, `${seed}.png`, await media.png({ width: 600, height: 600, seed }));
    await api.upload(id, `${seed}.txt`, 'large');
  }
  const ended = await mount();
  expect([ended.code, ended.stderr]).toEqual([74, expect.stringContaining('does not fit')]);
  expect(await readdir(disk.folder, { recursive: true })).toEqual(before);
});
