import { existsSync } from 'node:fs';
import { appendFile, mkdir, readdir, readFile, rm, stat, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import * as media from '../../fixtures/media.js';
import type { Api } from '../../harness/api.js';
import { type Ended, ONLY_PROGRESS, type RunOptions, trainyard } from '../../harness/command.js';
import { pairsOf } from '../../harness/folder.js';
import { datasetOf, leaveLitter, mountedIn, newRoot, stateOf } from '../../harness/mounting.js';
import { discardServer, startServer, type TestServer } from '../../harness/server.js';
import { trainerWalk } from '../../harness/trainer.js';

let server: TestServer;
let api: Api;
beforeAll(async () => {
  server = await startServer({ 'caption-grace-seconds': 0 });
  api = await server.api();
});
afterAll(() => discardServer(server));

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

  test('copies files, so that the trainer may add files and a person may edit them', async () => {
    await datasetOf(api, await pairsOf(1), `private ${sourceArgs().length}`);
    const root = await newRoot();
    await run(['mount', `private ${sourceArgs().length}`, '--into', root, ...sourceArgs()]);
    const folder = join(root, `private ${sourceArgs().length}`);
    await writeFile(join(folder, '.aitk_size.json'), '{}');
    await appendFile(join(folder, '01.txt'), ', edited');
    const again = await run([
      'mount',
      `private ${sourceArgs().length}`,
      '--into',
      await newRoot(),
      ...sourceArgs(),
      '--json',
    ]);
    expect(await readFile(join(again.json().mounts[0].folder, '01.txt'), 'utf8')).toBe('wagon 1');
    for (const name of await readdir(folder)) expect((await stat(join(folder, name))).nlink).toBe(1);
  });

  test('a second mount changes nothing, also with caches of the trainer', async () => {
    const name = `twice ${sourceArgs().length}`;
    await datasetOf(api, await pairsOf(3), name);
    const root = await newRoot();
    await run(['mount', name, '--into', root, ...sourceArgs()]);
    await leaveLitter(join(root, name));
    const before = await stateOf(root);
    const ended = await run(['mount', name, '--into', root, ...sourceArgs(), '--json']);
    expect(ended.json().mounts).toMatchObject([{ name, outcome: 'unchanged' }]);
    expect(await stateOf(root)).toEqual(before);
  });

  test('a changed dataset replaces the folder, caches included', async () => {
    const name = `changing ${sourceArgs().length}`;
    const id = await datasetOf(api, await pairsOf(2), name);
    const root = await newRoot();
    await run(['mount', name, '--into', root, ...sourceArgs()]);
    await leaveLitter(join(root, name));
    await api.upload(id, '01.jpg', await media.jpeg({ seed: 99 }));
    await api.request('DELETE', `/${id}/files/02.jpg`);
    await api.request('DELETE', `/${id}/files/02.txt`);
    const ended = await run(['mount', name, '--into', root, ...sourceArgs(), '--json']);
    expect(ended.json().mounts).toMatchObject([{ outcome: 'mounted', digest: (await api.manifest(id)).body.digest }]);
    expect((await readdir(join(root, name))).sort()).toEqual(['.mount.json', '01.jpg', '01.txt']);
    expect((await readFile(join(root, name, '01.jpg'))).equals(await media.jpeg({ seed: 99 }))).toBe(true);
    expect(await mountedIn(root)).toEqual([name]);
  });

  test('rejects another digest than the required one', async () => {
    const name = `pinned ${sourceArgs().length}`;
    const id = await datasetOf(api, await pairsOf(1), name);
    const root = await newRoot();
    const digest = (await api.manifest(id)).body.digest!;
    const other = digest.replace(/^./, (digit) => (digit === '0' ? '1' : '0'));
    const rejected = await run(['mount', name, '--into', root, '--digest', other, ...sourceArgs()]);
    expect([rejected.code, rejected.stderr]).toEqual([65, expect.stringContaining(digest)]);
    expect(await mountedIn(root)).toEqual([]);
    expect((await run(['mount', name, '--into', root, '--digest', digest.toUpperCase(), ...sourceArgs()])).code).toBe(
      0,
    );
  });

  test('rejects a mounted dataset as the root', async () => {
    const name = `outer ${sourceArgs().length}`;
    await datasetOf(api, await pairsOf(1), name);
    const root = await newRoot();
    expect((await run(['mount', name, '--into', root, ...sourceArgs()])).code).toBe(0);
    const inside = await run(['mount', name, '--into', join(root, name), ...sourceArgs()]);
    expect([inside.code, inside.stderr]).toEqual([73, expect.stringContaining('is a mounted dataset itself')]);
    expect(await mountedIn(join(root, name))).toEqual(['.mount.json', '01.jpg', '01.txt']);
  });

  test('rejects a dataset that is not READY', async () => {
    const root = await newRoot();
    const name = `unready ${sourceArgs().length}`;
    const id = await api.newDataset(name);
    expect((await run(['mount', name, '--into', root, ...sourceArgs()])).code).toBe(65);
    await api.link(id, 'late.jpg', 1000);
    const ended = await run(['mount', id, '--into', root, ...sourceArgs()]);
    expect([ended.code, ended.stderr]).toEqual([75, expect.stringContaining('UPLOADING')]);
    expect((await run(['mount', 'missing', '--into', root, ...sourceArgs()])).code).toBe(66);
    expect(await mountedIn(root)).toEqual([]);
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
    ['a file', (path: string) => writeFile(path, 'mine')],
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

  test('a new modification time alone is not a change', async () => {
    const root = await newRoot();
    await mount(root);
    await utimes(join(root, name, '01.jpg'), 1, 1);
    expect((await mount(root, '--json')).json().mounts).toMatchObject([{ outcome: 'unchanged' }]);
  });

  test('an added hidden file is not a change, but it is not removed either', async () => {
    const root = await newRoot();
    await mount(root);
    await writeFile(join(root, name, '.DS_Store'), 'x');
    expect((await mount(root, '--json')).json().mounts).toMatchObject([{ outcome: 'unchanged' }]);
    await api.upload(id, '01.txt', 'another caption');
    expect((await mount(root)).code).toBe(73);
    expect(existsSync(join(root, name, '.DS_Store'))).toBe(true);
    await api.upload(id, '01.txt', 'wagon 1');
  });
});
