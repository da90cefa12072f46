import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { appendFile, mkdir, readdir, readFile, rm, stat, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import * as media from './fixtures/media.js';
import type { Api } from './harness/api.js';
import { type Ended, type RunOptions, startCommand, trainyard } from './harness/command.js';
import { folderWith, pairsOf } from './harness/folder.js';
import { startProxy } from './harness/proxy.js';
import { discardServer, eventually, startServer, type TestServer, temporaryFolder } from './harness/server.js';
import { TRAINER_LITTER, trainerWalk } from './harness/trainer.js';

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

/** An empty folder to mount into, removed with the test. */
async function newRoot(): Promise<string> {
  const root = await temporaryFolder();
  onTestFinished(() => rm(root, { recursive: true, force: true }));
  return root;
}

/** A READY dataset of so many pairs under a name of its own. */
async function datasetOf(files: Record<string, Buffer | string>, name = `ds ${Math.random()}`): Promise<string> {
  const id = await api.newDataset(name);
  for (const [filename, bytes] of Object.entries(files)) await api.upload(id, filename, bytes);
  const { body } = await api.status(id);
  if (body.status !== 'READY') throw new Error(JSON.stringify(body));
  return id;
}

/** All that stands under a folder, file by file with its hash and modification time. */
async function stateOf(folder: string): Promise<string[]> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  const states = entries
    .filter((entry) => entry.isFile())
    .map(async ({ parentPath, name }) => {
      const path = join(parentPath, name);
      const hash = createHash('sha256').update(await readFile(path));
      return `${path} ${(await stat(path)).mtimeMs} ${(await stat(path)).ino} ${hash.digest('hex')}`;
    });
  return (await Promise.all(states)).sort();
}

const visible = async (root: string) => (await readdir(root)).filter((name) => name !== '.trainyard.lock').sort();

/** Over HTTP, and straight from the data folder. */
const WAYS = [
  ['from a service', () => []],
  ['from a data folder', () => ['--data', server.dataFolder]],
] as const;

describe.each(WAYS)('mounting %s', (_, way) => {
  test('gives the trainer exactly the media of the dataset, each with its caption', async () => {
    const clip = media.clip('faststart.mp4');
    const files: Record<string, Buffer | string> = {
      'plain.jpg': await media.jpeg({ seed: 1 }),
      'plain.txt': 'plain',
      'LOUD.JPG': await media.jpeg({ seed: 2 }),
      'LOUD.TXT': 'loud',
      'with space.PnG': await media.png({ seed: 3 }),
      'with space.txt': 'space',
      [`quo"te's & $(dollar);.webp`]: await media.webp({ seed: 4 }),
      [`quo"te's & $(dollar);.txt`]: 'quotes',
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
    const id = await datasetOf(files, name);
    const root = await newRoot();
    const ended = await run(['mount', name, '--into', root, ...way()]);
    expect([ended.code, ended.stderr]).toEqual([0, '']);
    expect(await visible(root)).toEqual([name]);
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

  test('gives private copies that the trainer may write beside and a person may edit', async () => {
    await datasetOf(await pairsOf(1), `private ${way().length}`);
    const root = await newRoot();
    await run(['mount', `private ${way().length}`, '--into', root, ...way()]);
    const folder = join(root, `private ${way().length}`);
    await writeFile(join(folder, '.aitk_size.json'), '{}');
    await appendFile(join(folder, '01.txt'), ', edited');
    const again = await run(['mount', `private ${way().length}`, '--into', await newRoot(), ...way(), '--json']);
    expect(await readFile(join(again.json().mounts[0].folder, '01.txt'), 'utf8')).toBe('wagon 1');
    for (const name of await readdir(folder)) expect((await stat(join(folder, name))).nlink).toBe(1);
  });

  test('a second time is instant and touches nothing, whatever the trainer has cached', async () => {
    const name = `twice ${way().length}`;
    await datasetOf(await pairsOf(3), name);
    const root = await newRoot();
    await run(['mount', name, '--into', root, ...way()]);
    await litter(join(root, name));
    const before = await stateOf(root);
    const ended = await run(['mount', name, '--into', root, ...way(), '--json']);
    expect(ended.json().mounts).toMatchObject([{ name, outcome: 'unchanged' }]);
    expect(await stateOf(root)).toEqual(before);
  });

  test('a changed dataset replaces the folder, caches included', async () => {
    const name = `changing ${way().length}`;
    const id = await datasetOf(await pairsOf(2), name);
    const root = await newRoot();
    await run(['mount', name, '--into', root, ...way()]);
    await litter(join(root, name));
    await api.upload(id, '01.jpg', await media.jpeg({ seed: 99 }));
    await api.request('DELETE', `/${id}/files/02.jpg`);
    await api.request('DELETE', `/${id}/files/02.txt`);
    const ended = await run(['mount', name, '--into', root, ...way(), '--json']);
    expect(ended.json().mounts).toMatchObject([{ outcome: 'mounted', digest: (await api.manifest(id)).body.digest }]);
    expect((await readdir(join(root, name))).sort()).toEqual(['.mount.json', '01.jpg', '01.txt']);
    expect((await readFile(join(root, name, '01.jpg'))).equals(await media.jpeg({ seed: 99 }))).toBe(true);
    expect(await visible(root)).toEqual([name]);
  });

  test('demands a digest', async () => {
    const name = `demanded ${way().length}`;
    const id = await datasetOf(await pairsOf(1), name);
    const root = await newRoot();
    const digest = (await api.manifest(id)).body.digest!;
    const other = digest.replace(/^./, (digit) => (digit === '0' ? '1' : '0'));
    const refused = await run(['mount', name, '--into', root, '--digest', other, ...way()]);
    expect([refused.code, refused.stderr]).toEqual([65, expect.stringContaining(digest)]);
    expect(await visible(root)).toEqual([]);
    expect((await run(['mount', name, '--into', root, '--digest', digest.toUpperCase(), ...way()])).code).toBe(0);
  });

  test('refuses what is not READY', async () => {
    const root = await newRoot();
    const name = `unready ${way().length}`;
    const id = await api.newDataset(name);
    expect((await run(['mount', name, '--into', root, ...way()])).code).toBe(65);
    await api.link(id, 'late.jpg', 1000);
    const ended = await run(['mount', id, '--into', root, ...way()]);
    expect([ended.code, ended.stderr]).toEqual([75, expect.stringContaining('UPLOADING')]);
    expect((await run(['mount', 'nobody', '--into', root, ...way()])).code).toBe(66);
    expect(await visible(root)).toEqual([]);
  });
});

async function litter(folder: string): Promise<void> {
  for (const path of TRAINER_LITTER) {
    await mkdir(join(folder, path, '..'), { recursive: true });
    await writeFile(join(folder, path), 'cached');
  }
}

describe('what is not ours', () => {
  const name = 'guarded';
  let id: string;
  beforeAll(async () => {
    id = await datasetOf(await pairsOf(2), name);
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
      'a folder whose record is not one of ours',
      async (path: string) => {
        await mkdir(path);
        await writeFile(join(path, '.mount.json'), '{"format":"other"}');
      },
    ],
  ])('%s of that name is left alone, and replaced only when told so', async (_, make) => {
    const root = await newRoot();
    await make(join(root, name));
    const before = await stateOf(root);
    const ended = await mount(root);
    expect([ended.code, ended.stderr]).toEqual([73, expect.stringContaining('not mounted by trainyard')]);
    expect(await stateOf(root).then((state) => state.filter((line) => !line.includes('.trainyard.lock')))).toEqual(
      before,
    );
    expect((await mount(root, '--replace')).code).toBe(0);
    expect(trainerWalk(join(root, name))).toHaveLength(2);
    expect(await visible(root)).toEqual([name]);
  });

  test.each([
    ['a caption that was rewritten', (folder: string) => writeFile(join(folder, '01.txt'), 'wagon X'), '01.txt'],
    ['an image that was removed', (folder: string) => rm(join(folder, '02.jpg')), '02.jpg'],
    ['an image that was added', (folder: string) => writeFile(join(folder, 'new.jpg'), 'x'), 'new.jpg'],
  ])('%s is said, and kept unless told otherwise', async (_, edit, what) => {
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

  test('a new modification time alone is no change', async () => {
    const root = await newRoot();
    await mount(root);
    await utimes(join(root, name, '01.jpg'), 1, 1);
    expect((await mount(root, '--json')).json().mounts).toMatchObject([{ outcome: 'unchanged' }]);
  });

  test('a hidden file that the trainer does not see is no change, but no loss either', async () => {
    const root = await newRoot();
    await mount(root);
    await writeFile(join(root, name, '.DS_Store'), 'x');
    expect((await mount(root, '--json')).json().mounts).toMatchObject([{ outcome: 'unchanged' }]);
    await api.upload(id, '01.txt', 'another caption');
    expect((await mount(root)).code).toBe(73);
    expect(existsSync(join(root, name, '.DS_Store'))).toBe(true);
    await api.upload(id, '01.txt', 'wagon 1');
  });

  test('after a restart of the machine all bytes are looked at again, and what it tore is mended', async () => {
    const root = await newRoot();
    await mount(root);
    const path = join(root, name, '.mount.json');
    const beforeRestart = async () => {
      const record = JSON.parse(await readFile(path, 'utf8'));
      await writeFile(path, JSON.stringify({ ...record, boot_id: 'an earlier one' }));
    };
    await beforeRestart();
    const image = join(root, name, '01.jpg');
    const { mtime, size } = await stat(image);
    expect((await mount(root, '--json')).json().mounts).toMatchObject([{ outcome: 'unchanged' }]);
    expect(JSON.parse(await readFile(path, 'utf8')).boot_id).not.toBe('an earlier one');
    // As a file system leaves it that had the size on disk and not the bytes.
    await beforeRestart();
    await writeFile(image, Buffer.alloc(size));
    await utimes(image, mtime, mtime);
    const record = JSON.parse(await readFile(path, 'utf8'));
    for (const file of record.files) if (file.mounted_name === '01.jpg') file.mtime_ms = (await stat(image)).mtimeMs;
    await writeFile(path, JSON.stringify(record));
    expect((await mount(root, '--json')).json().mounts).toMatchObject([{ outcome: 'mounted' }]);
    expect((await readFile(image)).equals(await media.jpeg({ seed: 1 }))).toBe(true);
  });
});

describe('the command', () => {
  beforeAll(async () => {
    await datasetOf(await pairsOf(2), 'one');
    await datasetOf(await pairsOf(1), 'two');
  });

  test('mounts several side by side, and goes on after one that is not there', async () => {
    const root = await newRoot();
    const ended = await run(['mount', 'one', 'nobody', 'two', '--into', join(root, 'new', 'folder'), '--json']);
    expect(ended.code).toBe(66);
    expect(ended.json().mounts).toMatchObject([
      { name: 'one', outcome: 'mounted', files: 4 },
      { name: 'nobody', error: { exit_code: 66 } },
      { name: 'two', outcome: 'mounted', files: 2 },
    ]);
    expect(await visible(join(root, 'new', 'folder'))).toEqual(['one', 'two']);
  });

  test('links images to the store on request, and never captions', async () => {
    const root = await newRoot();
    expect((await run(['mount', 'one', '--into', root, '--data', server.dataFolder, '--link'])).code).toBe(0);
    expect((await stat(join(root, 'one', '01.jpg'))).nlink).toBe(2);
    expect((await stat(join(root, 'one', '01.txt'))).nlink).toBe(1);
    expect(trainerWalk(join(root, 'one'))).toHaveLength(2);
    const remote = await run(['mount', 'one', '--into', root, '--link']);
    expect([remote.code, remote.stderr]).toEqual([64, expect.stringContaining('--data')]);
  });

  test('waits for another process that mounts into the same root', async () => {
    const root = await newRoot();
    const all = await Promise.all(
      Array.from({ length: 4 }, () => run(['mount', 'one', 'two', '--into', root, '--json'])),
    );
    expect(all.map(({ code }) => code)).toEqual([0, 0, 0, 0]);
    const outcomes = all.flatMap((ended) => ended.json().mounts.map((mount: { outcome: string }) => mount.outcome));
    expect(outcomes.filter((outcome) => outcome === 'mounted')).toHaveLength(2);
    expect(await visible(root)).toEqual(['one', 'two']);
  });

  test('finds bytes in the store that have rotted, and mounts nothing of them', async () => {
    const id = await datasetOf({ 'a.jpg': await media.jpeg({ seed: 50 }), 'a.txt': 'a caption of its own' }, 'rotten');
    const blobs = await readdir(join(server.dataFolder, 'blobs'), { recursive: true, withFileTypes: true });
    for (const { parentPath, name } of blobs.filter((entry) => entry.isFile())) {
      const bytes = await readFile(join(parentPath, name));
      if (bytes.equals(Buffer.from('a caption of its own')))
        await writeFile(join(parentPath, name), 'A caption of its own');
    }
    const root = await newRoot();
    for (const way of [[], ['--data', server.dataFolder]]) {
      const ended = await run(['mount', id, '--into', root, ...way]);
      expect([ended.code, ended.stderr]).toEqual([65, expect.stringContaining('a.txt')]);
      expect(await visible(root)).toEqual([]);
    }
  });

  test('says of a root that it can not write to what is wrong', async () => {
    const root = await newRoot();
    await writeFile(join(root, 'file'), '');
    const ended = await run(['mount', 'one', '--into', join(root, 'file')]);
    expect([ended.code, ended.stderr]).toEqual([73, expect.stringContaining('file')]);
  });

  test.each([
    [['--digest', 'x'], 'SHA-256'],
    [['two', '--digest', 'a'.repeat(64)], 'one dataset'],
    [['--concurrency', '0'], '1 to 64'],
    [['--exec'], 'argument missing'],
  ])('refuses %j', async (args, reason) => {
    const ended = await run(['mount', 'one', '--into', await newRoot(), ...args]);
    expect([ended.code, ended.stderr]).toEqual([64, expect.stringContaining(reason)]);
  });
});

describe('--exec', () => {
  let root: string;
  beforeAll(async () => {
    root = await temporaryFolder();
    await datasetOf(await pairsOf(1), 'trained');
  });
  afterAll(() => rm(root, { recursive: true, force: true }));
  const args = (...command: string[]) => ['mount', 'trained', '--into', root, '--exec', ...command];

  test('runs a command after mounting, passes all its arguments, its streams and its exit code on', async () => {
    const script =
      'const { readdirSync } = require("fs"); process.stdin.on("data", (d) => process.stdout.write(d)).on("end", () => { console.log(process.argv.slice(1), readdirSync(process.argv[1]).length); process.exit(7); })';
    const ended = await run(
      args(process.execPath, '-e', script, join(root, 'trained'), '--', '--version', '--help', '--json'),
      {
        input: 'through\n',
      },
    );
    expect([ended.code, ended.stdout]).toEqual([
      7,
      `through\n[\n  '${join(root, 'trained')}',\n  '--',\n  '--version',\n  '--help',\n  '--json'\n] 3\n`,
    ]);
  });

  test('ends as the command does: with 0, by a signal, or because there is none', async () => {
    expect((await run(args('true'))).code).toBe(0);
    expect((await run(args('sh', '-c', 'kill -9 $$'))).code).toBe(137);
    const missing = await run(args('no-such-trainer'));
    expect([missing.code, missing.stderr]).toEqual([127, expect.stringContaining('no-such-trainer')]);
    expect((await run(args(root))).code).toBe(126);
  });

  test.each(['SIGINT', 'SIGTERM'] as const)(
    'passes %s on and waits for what the command makes of it',
    async (signal) => {
      const running = startCommand(
        args('sh', '-c', `trap 'echo got it; exit 9' ${signal.slice(3)}; echo ready; while :; do sleep 0.02; done`),
        {
          env: environment(),
        },
      );
      await eventually(() => (running.stdout().includes('ready') ? true : undefined));
      running.process.kill(signal);
      const ended = await running.ended;
      expect([ended.code, ended.stdout]).toEqual([9, 'ready\ngot it\n']);
    },
  );

  test('is not run where something could not be mounted', async () => {
    const ended = await run(['mount', 'trained', 'nobody', '--into', root, '--exec', 'echo', 'ran']);
    expect([ended.code, ended.stdout]).toEqual([66, '']);
  });
});

describe('over a network that breaks', () => {
  let id: string;
  let big: Buffer;
  beforeAll(async () => {
    big = await media.png({ width: 700, height: 700, seed: 3 });
    id = await datasetOf({ ...(await pairsOf(4)), 'big.png': big, 'big.txt': 'big' }, 'far');
  });

  test('goes on within a file from where the connection broke', async () => {
    const proxy = await startProxy(server.url);
    onTestFinished(() => proxy.close());
    proxy.rule(({ path, time }) => (path.endsWith('/files/big.png') && time < 3 ? 'cut-answer' : undefined));
    const root = await newRoot();
    const ended = await run(['mount', 'far', '--into', root], { env: environment(proxy.url) });
    expect([ended.code, ended.stderr]).toEqual([0, '']);
    expect((await readFile(join(root, 'far', 'big.png'))).equals(big)).toBe(true);
    // The first gave 200 and a half, the others what was missing.
    expect(proxy.requests('GET', '/files/big.png').map(({ status }) => status)).toEqual([200, 206, 206]);
  });

  test('interrupted and begun again, fetches only what is missing', async () => {
    const proxy = await startProxy(server.url);
    onTestFinished(() => proxy.close());
    const { promise: isHeld, resolve: holds } = Promise.withResolvers<void>();
    // The last file never comes, and all others have.
    proxy.rule(({ path }) => {
      if (!path.endsWith('/files/big.txt')) return undefined;
      holds();
      return new Promise(() => {});
    });
    const root = await newRoot();
    const first = startCommand(['mount', 'far', '--into', root, '--concurrency', '1'], { env: environment(proxy.url) });
    await isHeld;
    first.process.kill('SIGINT');
    expect((await first.ended).code).toBe(130);
    expect(existsSync(join(root, 'far'))).toBe(false);
    const before = proxy.requests('GET', '/files/').length;
    proxy.rule();
    expect((await run(['mount', 'far', '--into', root], { env: environment(proxy.url) })).code).toBe(0);
    const fetched = proxy
      .requests('GET', '/files/')
      .slice(before)
      .map(({ path }) => path.split('/').at(-1));
    expect(before).toBeGreaterThan(1);
    expect(fetched.length + before).toBe(11);
    expect(trainerWalk(join(root, 'far'))).toHaveLength(5);
    expect(await visible(root)).toEqual(['far']);
  });

  test('what an earlier attempt left is checked before it is kept', async () => {
    const root = await newRoot();
    const staging = join(root, '.far.mounting');
    await mkdir(join(staging, 'folder'), { recursive: true });
    await writeFile(join(staging, '01.jpg'), Buffer.alloc((await media.jpeg({ seed: 1 })).length));
    await writeFile(join(staging, '02.jpg'), 'another file of that name');
    await writeFile(join(staging, 'stranger.jpg'), 'not of this dataset');
    expect((await run(['mount', 'far', '--into', root])).code).toBe(0);
    expect((await readFile(join(root, 'far', '01.jpg'))).equals(await media.jpeg({ seed: 1 }))).toBe(true);
    expect(trainerWalk(join(root, 'far'))).toHaveLength(5);
  });

  test('a dataset that changes meanwhile is mounted as it is then, and never as a mix', async () => {
    const proxy = await startProxy(server.url);
    onTestFinished(() => proxy.close());
    let isChanged = false;
    proxy.rule(async ({ path }) => {
      if (isChanged || !path.includes('/files/')) return undefined;
      isChanged = true;
      for (const [seed, stem] of ['01', '02', '03', '04'].entries()) {
        await api.upload(id, `${stem}.jpg`, await media.jpeg({ seed: 60 + seed }));
        await api.upload(id, `${stem}.txt`, `changed ${stem}`);
      }
      return undefined;
    });
    const root = await newRoot();
    const ended = await run(['mount', 'far', '--into', root, '--json'], { env: environment(proxy.url) });
    expect(ended.json().mounts).toMatchObject([{ outcome: 'mounted', digest: (await api.manifest(id)).body.digest }]);
    const captions = trainerWalk(join(root, 'far')).map(({ caption }) => caption);
    expect(captions).toEqual(['changed 01', 'changed 02', 'changed 03', 'changed 04', 'big']);
    const demanded = await run(['mount', 'far', '--into', await newRoot(), '--digest', 'a'.repeat(64)]);
    expect(demanded.code).toBe(65);
  });

  test('bytes that are not what the manifest says are refused, and nothing is left', async () => {
    const proxy = await startProxy(server.url);
    onTestFinished(() => proxy.close());
    proxy.rule(({ path }) => (path.endsWith('/files/01.txt') ? { status: 200, body: 'changed XX' } : undefined));
    const root = await newRoot();
    const ended = await run(['mount', 'far', '--into', root], { env: environment(proxy.url) });
    expect([ended.code, ended.stderr]).toEqual([65, expect.stringContaining('01.txt')]);
    expect(await visible(root)).toEqual([]);
  });
});
