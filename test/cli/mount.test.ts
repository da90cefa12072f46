import { readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import * as media from '../fixtures/media.js';
import { type Running, trainyard } from '../harness/command.js';
import { pairsOf } from '../harness/folder.js';
import { datasetOf, digestOfFolder, leaveLitter, mountedIn, newRoot, recordIn } from '../harness/mounting.js';
import { eventually, serverUntil, temporaryFolder } from '../harness/server.js';
import { trainerWalk } from '../harness/trainer.js';
import { commandsOn } from './commands.js';

const server = await serverUntil(afterAll);
const { api, envFor, run, start } = await commandsOn(server);

/** The path of a file in the store. */
async function storedFile(content: string): Promise<string> {
  const blobs = await readdir(join(server.dataFolder, 'blobs'), { recursive: true, withFileTypes: true });
  for (const { parentPath, name } of blobs.filter((entry) => entry.isFile())) {
    if ((await readFile(join(parentPath, name))).equals(Buffer.from(content))) return join(parentPath, name);
  }
  throw new Error(`The store has no file with the content ${JSON.stringify(content)}.`);
}

describe('the command', () => {
  beforeAll(async () => {
    await datasetOf(api, await pairsOf(2), 'one');
    await datasetOf(api, await pairsOf(1), 'two');
    await datasetOf(await server.api('studio'), await pairsOf(2), 'two');
  });

  test('mounts several datasets, and continues after a missing one', async () => {
    const root = join(await newRoot(), 'new', 'folder');
    const ended = await run(['mount', 'one', 'missing', 'two', '--into', root, '--json']);
    expect([ended.code, ended.json().mounts]).toMatchObject([
      66,
      [
        { name: 'one', outcome: 'mounted', files: 4 },
        { name: 'missing', error: { exit_code: 66 } },
        { name: 'two', outcome: 'mounted', files: 2 },
      ],
    ]);
    expect(await mountedIn(root)).toEqual(['one', 'two']);
  });

  test('replaces a folder whose changes are in the dataset', async () => {
    const root = await newRoot();
    await datasetOf(api, await pairsOf(2), 'edited');
    const mount = async () => (await run(['mount', 'edited', '--into', root])).code;
    expect(await mount()).toBe(0);
    const folder = join(root, 'edited');
    await writeFile(join(folder, '01.txt'), 'my own words');
    await writeFile(join(folder, '03.jpg'), await media.jpeg({ seed: 33 }));
    await writeFile(join(folder, '03.txt'), 'the third');
    expect(await mount()).toBe(73);
    expect((await run(['push', folder])).code).toBe(0);
    expect(await mount()).toBe(0);
    expect([await readdir(root), await readFile(join(folder, '01.txt'), 'utf8')]).toEqual([['edited'], 'my own words']);
  });

  test('links images of a data folder on request, and never captions; a name of two accounts is not one dataset', async () => {
    const root = await newRoot();
    expect((await run(['mount', 'one', '--into', root, '--data', server.dataFolder, '--link'])).code).toBe(0);
    expect((await stat(join(root, 'one', '01.jpg'))).nlink).toBe(2);
    expect((await stat(join(root, 'one', '01.txt'))).nlink).toBe(1);
    expect(trainerWalk(join(root, 'one'))).toHaveLength(2);
    const twice = await run(['mount', 'two', '--into', root, '--data', server.dataFolder]);
    expect([twice.code, twice.stderr]).toEqual([65, expect.stringContaining('several accounts have a dataset "two"')]);
    const remote = await run(['mount', 'one', '--into', root, '--link']);
    expect([remote.code, remote.stderr]).toEqual([64, expect.stringContaining('--data')]);
  });

  test('finds damaged and lost bytes in the store, says which file to upload again, and mounts nothing', async () => {
    const [damaged, lost] = ['a caption of its own', 'the bytes that have disappeared'];
    const image = await media.jpeg({ seed: 50 });
    await datasetOf(api, { 'a.jpg': image, 'a.txt': damaged }, 'rotten');
    await datasetOf(api, { 'a.jpg': image, 'a.txt': lost }, 'disappeared');
    await writeFile(await storedFile(damaged), 'A caption of its own');
    await rm(await storedFile(lost));
    const root = await newRoot();
    for (const source of [[], ['--data', server.dataFolder]]) {
      const ended = await run(['mount', 'disappeared', 'rotten', '--into', root, ...source, '--json']);
      expect([ended.code, ended.json().mounts]).toMatchObject([
        65,
        [
          { name: 'disappeared', error: { message: expect.stringMatching(/a\.txt.* store.*Upload the file again/s) } },
          { name: 'rotten', error: { message: expect.stringContaining('a.txt') } },
        ],
      ]);
      // What was received over HTTP is kept, hidden, for the next attempt.
      expect((await mountedIn(root)).filter((name) => !name.startsWith('.'))).toEqual([]);
    }
  });

  test.each([
    [['--digest', 'x'], 'SHA-256'],
    [['two', '--digest', 'a'.repeat(64)], 'one dataset'],
    [['--concurrency', '0'], '1 to 64'],
    [['--timeout', '1s'], '--timeout needs --wait'],
    [['--wait', '--data', 'data'], '--data'],
    [['--wait', '--digest', 'a'.repeat(64)], '--digest'],
    [['--wait', '--revision', '3'], '--revision'],
  ])('rejects %j', async (args, reason) => {
    const ended = await run(['mount', 'one', '--into', await newRoot(), ...args]);
    expect([ended.code, ended.stderr]).toEqual([64, expect.stringContaining(reason)]);
  });
});

describe('--exec', () => {
  let root: string;
  beforeAll(async () => {
    root = await temporaryFolder();
    await datasetOf(api, await pairsOf(1), 'trained');
  });
  afterAll(() => rm(root, { recursive: true, force: true }));
  const args = (...command: string[]) => ['mount', 'trained', '--into', root, '--exec', ...command];

  test('runs a command after mounting, with its arguments and streams, and exits with its exit code', async () => {
    const script =
      'process.stdin.on("data", (d) => process.stdout.write(d)).on("end", () => { console.log(process.argv.slice(1).join()); process.exit(7); })';
    const folder = join(root, 'trained');
    const words = [folder, '--', '--version', '--help', '--json'];
    const mounting = args(process.execPath, '-e', script, ...words);
    const ended = await trainyard(mounting, { env: envFor(), input: 'through\n' });
    expect([ended.code, ended.stdout]).toEqual([7, `through\n${words.join()}\n`]);
    expect(await readdir(folder)).toHaveLength(3);
  });

  test('exits as the command does: with 0, by a signal, or because it does not exist', async () => {
    expect((await run(args('true'))).code).toBe(0);
    expect((await run(args('sh', '-c', 'kill -9 $$'))).code).toBe(137);
    const missing = await run(args('no-such-trainer'));
    expect([missing.code, missing.stderr]).toEqual([127, expect.stringContaining('no-such-trainer')]);
    expect((await run(args(root))).code).toBe(126);
  });

  test('forwards a signal and waits for the command to end', async () => {
    const trapping = "trap 'echo got it; exit 9' INT TERM; echo ready; while :; do sleep 0.02; done";
    for (const signal of ['SIGINT', 'SIGTERM'] as const) {
      const running = start(args('sh', '-c', trapping));
      await eventually(() => (running.stdout().includes('ready') ? true : undefined));
      running.process.kill(signal);
      expect(await running.ended).toMatchObject({ code: 9, stdout: 'ready\ngot it\n' });
    }
  });

  test('does not run the command if a dataset could not be mounted', async () => {
    const ended = await run(['mount', 'trained', 'missing', '--into', root, '--exec', 'echo', 'ran']);
    expect([ended.code, ended.stdout]).toEqual([66, '']);
  });
});

const startMount = (...args: string[]) => start(['mount', ...args]);
const wait = (...args: string[]) => startMount(...args).ended;
const said = (command: Running, words: string) =>
  eventually(() => (command.stderr().includes(words) ? true : undefined));

describe('--wait', () => {
  test('says what it waits for, mounts once the dataset is READY, and then trains', async () => {
    const id = await api.newDataset('late');
    const root = await newRoot();
    const command = startMount('late', '--into', root, '--wait', '--timeout', '1h', '--exec', 'ls', join(root, 'late'));
    await said(command, 'waiting for "late", which is DRAFT: it has no files yet');
    await api.upload(id, 'a.jpg', await media.jpeg({ seed: 1 }));
    expect(await mountedIn(root)).toEqual([]);
    await api.upload(id, 'a.txt', 'a');
    const { code, stdout, stderr } = await command.ended;
    expect([code, stdout]).toEqual([0, 'a.jpg\na.txt\n']);
    expect(stderr).toContain('mounted late in');
  });

  test('ends with the problems of a FAILED dataset, and does not wait for the others', async () => {
    const id = await api.newDataset('broken');
    await api.newDataset('empty');
    await api.upload(id, 'a.jpg', Buffer.from('no image'));
    const ended = await wait('broken', 'empty', '--into', await newRoot(), '--wait', '--json');
    expect(ended.code).toBe(65);
    const [broken, empty] = ended.json().mounts;
    expect(broken.error).toMatchObject({ exit_code: 65, problems: [{ code: 'NOT_AN_IMAGE', filename: 'a.jpg' }] });
    expect(broken.error.message).toContain('"broken" is FAILED');
    const { problems } = broken.error as { problems: { message: string }[] };
    expect(broken.error.message.split(problems[0]!.message), 'the one problem is named once').toHaveLength(2);
    expect(empty.error).toMatchObject({ reason: 'FAILED', message: expect.stringContaining('is DRAFT') });
  });

  test('ends when the time is over, with the reason', async () => {
    await api.newDataset('never');
    const ended = await wait('never', '--into', await newRoot(), '--wait', '--timeout', '1s');
    expect(ended.code).toBe(75);
    expect(ended.stderr).toContain('trainyard: "never" was not READY within 1s: ');
  });
});

describe('--only', () => {
  let root: string;
  const folder = () => join(root, 'mixed');
  const names = async () => (await readdir(folder())).filter((name) => name !== '.mount.json').sort();
  beforeAll(async () => {
    const image = await media.jpeg({ seed: 2 });
    const files = {
      ...{ 'a.jpg': image, 'a.txt': 'a', 'b.mp4': media.clip('faststart.mp4'), 'b.txt': 'b' },
      ...{ 'both.jpg': await media.jpeg({ seed: 3 }), 'both.txt': 'shared', 'both.webm': media.clip('live.webm') },
    };
    await datasetOf(api, files, 'mixed');
    await datasetOf(api, { 'a.jpg': image, 'a.txt': 'a' }, 'images');
  });

  test('mounts one kind with its captions, and another choice replaces it', async () => {
    root = await newRoot();
    const mounted = (await wait('mixed', '--into', root, '--only', 'images', '--json')).json().mounts[0];
    expect(await names()).toEqual(['a.jpg', 'a.txt', 'both.jpg', 'both.txt']);
    const folder_digest = await digestOfFolder(folder());
    expect(mounted).toMatchObject({ outcome: 'mounted', only: 'images', files: 4, folder_digest });
    expect(await recordIn(root, 'mixed')).toMatchObject({ only: 'images', digest: mounted.digest });

    // The digest names the state of the whole dataset.
    const again = await wait('mixed', '--into', root, '--only', 'images', '--digest', mounted.digest);
    expect(again.stdout).toContain('mixed is unchanged');
    await leaveLitter(folder());
    const local = await wait('mixed', '--into', root, '--only', 'videos', '--data', server.dataFolder);
    expect([local.code, local.stdout]).toEqual([0, expect.stringContaining('only videos, 4 files')]);
    expect(await names()).toEqual(['b.mp4', 'b.txt', 'both.txt', 'both.webm']);

    expect((await wait('mixed', '--into', root)).code).toBe(0);
    expect(await names()).toHaveLength(7);
    expect(await recordIn(root, 'mixed')).not.toHaveProperty('only');
    expect(await digestOfFolder(folder())).toBe(mounted.digest);
    const none = await wait('images', '--into', root, '--only', 'videos');
    expect([none.code, none.stderr]).toEqual([65, 'trainyard: "images" has no videos. Mount it without --only.\n']);
  });
});
