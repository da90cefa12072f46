import { readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import * as media from '../fixtures/media.js';
import type { Api } from '../harness/api.js';
import { type Ended, type RunOptions, startCommand, trainyard } from '../harness/command.js';
import { pairsOf } from '../harness/folder.js';
import { datasetOf, mountedIn, newRoot } from '../harness/mounting.js';
import { discardServer, eventually, startServer, type TestServer, temporaryFolder } from '../harness/server.js';
import { trainerWalk } from '../harness/trainer.js';

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
  });

  test('mounts several datasets, and continues after a missing one', async () => {
    const root = await newRoot();
    const ended = await run(['mount', 'one', 'missing', 'two', '--into', join(root, 'new', 'folder'), '--json']);
    expect(ended.code).toBe(66);
    expect(ended.json().mounts).toMatchObject([
      { name: 'one', outcome: 'mounted', files: 4 },
      { name: 'missing', error: { exit_code: 66 } },
      { name: 'two', outcome: 'mounted', files: 2 },
    ]);
    expect(await mountedIn(join(root, 'new', 'folder'))).toEqual(['one', 'two']);
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
    expect(await mountedIn(root)).toEqual(['one', 'two']);
  });

  test('finds damaged bytes in the store, and mounts nothing', async () => {
    const id = await datasetOf(
      api,
      { 'a.jpg': await media.jpeg({ seed: 50 }), 'a.txt': 'a caption of its own' },
      'rotten',
    );
    await writeFile(await storedFile('a caption of its own'), 'A caption of its own');
    const root = await newRoot();
    for (const source of [[], ['--data', server.dataFolder]]) {
      const ended = await run(['mount', id, '--into', root, ...source]);
      expect([ended.code, ended.stderr]).toEqual([65, expect.stringContaining('a.txt')]);
      expect(await mountedIn(root)).toEqual([]);
    }
  });

  test('says which file to upload again if its bytes in the store have disappeared', async () => {
    const caption = 'the bytes that have disappeared';
    const id = await datasetOf(api, { 'a.jpg': await media.jpeg({ seed: 51 }), 'a.txt': caption }, 'disappeared');
    await rm(await storedFile(caption));
    const root = await newRoot();
    for (const source of [[], ['--data', server.dataFolder]]) {
      const ended = await run(['mount', id, '--into', root, ...source]);
      expect([ended.code, ended.stderr]).toEqual([65, expect.stringMatching(/a\.txt.* store.*Upload the file again/s)]);
      // What was received over HTTP is kept, hidden, for the next attempt.
      expect((await mountedIn(root)).filter((name) => !name.startsWith('.'))).toEqual([]);
    }
  });

  test('creates no data folder', async () => {
    const root = await newRoot();
    const ended = await run(['mount', 'one', '--into', root, '--data', join(root, 'none')]);
    expect([ended.code, ended.stderr]).toEqual([66, expect.stringContaining('No trainyard data in')]);
    expect(await mountedIn(root)).toEqual([]);
  });

  test('prints why a root is not writable', async () => {
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
    [['--digest', 'x', '--exec', 'trainer', '--json'], 'SHA-256'],
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

  test('exits as the command does: with 0, by a signal, or because it does not exist', async () => {
    expect((await run(args('true'))).code).toBe(0);
    expect((await run(args('sh', '-c', 'kill -9 $$'))).code).toBe(137);
    const missing = await run(args('no-such-trainer'));
    expect([missing.code, missing.stderr]).toEqual([127, expect.stringContaining('no-such-trainer')]);
    expect((await run(args(root))).code).toBe(126);
  });

  test.each(['SIGINT', 'SIGTERM'] as const)('forwards %s and waits for the command to end', async (signal) => {
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
  });

  test('does not run the command if a dataset could not be mounted', async () => {
    const ended = await run(['mount', 'trained', 'missing', '--into', root, '--exec', 'echo', 'ran']);
    expect([ended.code, ended.stdout]).toEqual([66, '']);
  });
});
