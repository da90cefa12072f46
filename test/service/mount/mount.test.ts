import { existsSync } from 'node:fs';
import { readdir, readFile, rename, rm, stat, utimes, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { lastMount } from '../../../src/service/mount/mounted-folder.js';
import { mountSmallDisk } from '../../faults/small-disk.js';
import * as media from '../../fixtures/media.js';
import { ONLY_PROGRESS } from '../../harness/command.js';
import { folderWith, pairsOf } from '../../harness/folder.js';
import { datasetOf, leaveLitter, mountedIn, newRoot, stateOf } from '../../harness/mounting.js';
import { sharedServer } from '../../harness/shared-server.js';
import { trainerWalk } from '../../harness/trainer.js';
import { commandsOn } from '../../cli/commands.js';

const server = await sharedServer();
const { api, run } = await commandsOn(server);

/** Over HTTP, and straight from the data folder. */
const SOURCES = [
  ['from a service', () => []],
  ['from a data folder', () => ['--data', server.dataFolder]],
] as const;

/** An image and its caption as they are uploaded, the name of the mounted image, and the text. */
const PAIRS = [
  ['plain.jpg', 'plain.txt', 'plain.jpg', 'plain'],
  ['LOUD.JPG', 'LOUD.TXT', 'LOUD.jpg', 'loud'],
  ['with space.PnG', 'with space.txt', 'with space.png', 'space'],
  [`quo"te's & $(dollar);.webp`, `quo"te's & $(dollar);.txt`, `quo"te's & $(dollar);.webp`, 'quotes'],
  ['cafe\u0301.jpg', 'caf\u00e9.txt', 'caf\u00e9.jpg', 'both forms of an accent'],
  ['猫と電車 🚂.jpeg', '猫と電車 🚂.txt', '猫と電車 🚂.jpeg', media.CAPTIONS.accents],
  ['-rf.jpg', '-rf.txt', '-rf.jpg', 'a name like an option'],
  ['two.dots.jpg', 'two.dots.txt', 'two.dots.jpg', 'dots'],
] as const;

test.each(SOURCES)(
  '%s, the trainer reads exactly the media of the dataset, each with its caption',
  async (source, sourceArgs) => {
    const files: Record<string, Buffer | string> = {};
    for (const [seed, [image, caption, , text]] of PAIRS.entries()) {
      const isPng = image.toLowerCase().endsWith('.png');
      files[image] = await (isPng ? media.png : image.endsWith('.webp') ? media.webp : media.jpeg)({ seed });
      files[caption] = text;
    }
    const clip = media.clip('faststart.mp4');
    Object.assign(files, { 'clip.MP4': clip, 'clip.txt': 'a clip' });
    const name = `Ünder the  roof.v1-${source.length}`;
    const id = await datasetOf(api, files, name);
    const root = await newRoot();
    const ended = await run(['mount', name, '--into', root, ...sourceArgs()]);
    expect([ended.code, ended.stderr]).toEqual([0, expect.stringMatching(ONLY_PROGRESS)]);
    expect(await mountedIn(root)).toEqual([name]);
    const folder = join(root, name);
    const expected = [
      ...PAIRS.map(([, , path, caption]) => ({ path, caption })),
      { path: 'clip.mp4', caption: 'a clip' },
    ];
    expect(trainerWalk(folder)).toEqual(expected.toSorted((one, other) => (one.path < other.path ? -1 : 1)));
    expect((await readFile(join(folder, 'clip.mp4'))).equals(clip)).toBe(true);
    expect((await readdir(folder)).filter((file) => file.startsWith('.'))).toEqual(['.mount.json']);
    const record = JSON.parse(await readFile(join(folder, '.mount.json'), 'utf8'));
    const { body: manifest } = await api.manifest(id);
    expect(record).toMatchObject({ dataset_id: id, name, digest: manifest.digest });
    expect(record.files).toHaveLength(manifest.files.length);
    expect(record.files).toContainEqual(
      expect.objectContaining({ filename: 'LOUD.TXT', mounted_name: 'LOUD.txt', size_bytes: 4 }),
    );
    // A push would take it for removed.
    expect((await lastMount([folder], id)).files.has('LOUD.TXT')).toBe(false);
  },
);

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

describe('files that trainyard did not mount', () => {
  const name = 'guarded';
  let id: string;
  beforeAll(async () => {
    id = await datasetOf(api, await pairsOf(2), name);
  });
  const mount = (root: string, ...args: string[]) => run(['mount', name, '--into', root, ...args]);

  test.each([
    ['with files', { 'mine.txt': 'mine' }],
    ["with another program's .mount.json", { '.mount.json': '{"format":"other"}' }],
  ])('a folder of that name %s is left unchanged without --replace', async (_, files) => {
    const folder = await folderWith(files, name);
    const [root, before] = [dirname(folder), await stateOf(folder)];
    const ended = await mount(root);
    expect([ended.code, ended.stderr]).toEqual([73, expect.stringContaining('not mounted by trainyard')]);
    expect(await stateOf(folder)).toEqual(before);
    expect((await mount(root, '--replace')).code).toBe(0);
    expect(trainerWalk(folder)).toHaveLength(2);
    expect(await mountedIn(root)).toEqual([name]);
  });

  test('the folder of another dataset that was renamed to the name is left unchanged without --replace', async () => {
    const root = await newRoot();
    await mount(root);
    await datasetOf(api, { 'a.jpg': await media.jpeg(), 'a.txt': 'a wagon' }, `${name} kept`);
    const folder = join(root, `${name} kept`);
    await rename(join(root, name), folder);
    const before = await stateOf(folder);
    const { code, stderr } = await run(['mount', `${name} kept`, '--into', root]);
    expect([code, stderr]).toEqual([73, expect.stringContaining('under another name')]);
    expect(await stateOf(folder)).toEqual(before);
  });

  test('what a person changed, removed or added is reported, and kept without --replace; a new time is no change', async () => {
    const root = await newRoot();
    const folder = join(root, name);
    await mount(root);
    const inside = await mount(folder);
    expect([inside.code, inside.stderr]).toEqual([73, expect.stringContaining('is a mounted dataset itself')]);
    await utimes(join(folder, '01.jpg'), 1, 1);
    await writeFile(join(folder, '.DS_Store'), 'x');
    expect((await mount(root, '--json')).json().mounts).toMatchObject([{ outcome: 'unchanged' }]);
    for (const [what, edit] of [
      ['01.txt', () => writeFile(join(folder, '01.txt'), 'wagon X')],
      ['02.jpg', () => rm(join(folder, '02.jpg'))],
      ['new.jpg', () => writeFile(join(folder, 'new.jpg'), 'x')],
    ] as const) {
      await edit();
      const before = await stateOf(folder);
      const ended = await mount(root);
      expect([ended.code, ended.stderr]).toEqual([73, expect.stringContaining(what)]);
      expect(await stateOf(folder)).toEqual(before);
    }
    expect((await mount(root, '--replace')).code).toBe(0);
    expect(trainerWalk(folder).map(({ caption }) => caption)).toEqual(['wagon 1', 'wagon 2']);
    // A hidden file is no change, but it is not removed with the folder either.
    await writeFile(join(folder, '.DS_Store'), 'x');
    await api.upload(id, '01.txt', 'another caption');
    expect((await mount(root)).code).toBe(73);
    expect(existsSync(join(folder, '.DS_Store'))).toBe(true);
    await api.upload(id, '01.txt', 'wagon 1');
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
  expect(ended.code).toBe(74);
  expect(ended.stderr).toMatch(/does not fit .*: it needs \d+ MB more, and \d MB are free/);
  expect(await readdir(disk.folder, { recursive: true })).toEqual(before);
});
