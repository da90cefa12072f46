import { spawnSync } from 'node:child_process';
import { chmod, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { acquireLock } from '../../../src/storage/lock-file.js';
import { folderWith, pairsOf } from '../../harness/folder.js';
import { newRoot } from '../../harness/mounting.js';
import { eventually } from '../../harness/server.js';
import { sharedServer } from '../../harness/shared-server.js';
import { commandsOn } from '../commands.js';

const LOCK = '.trainyard-sync.lock';
const OTHER_UID = 65_534;

const server = await sharedServer();
const { namesIn, newMachine, newName } = await commandsOn(server);

const lockOf = (folder: string) => acquireLock(join(folder, LOCK), { signal: new AbortController().signal });

/** Leaves a lock behind as a process that was killed does. */
async function abandonLock(folder: string): Promise<void> {
  const { pid } = spawnSync('true');
  await (await lockAs(folder, { pid }))();
}

/** Locks a folder as another process. @returns ends its heartbeat; the lock stays */
async function lockAs(folder: string, holder: { pid: number } | { machine: string }): Promise<() => Promise<void>> {
  const path = join(folder, LOCK);
  const release = await lockOf(folder);
  await writeFile(path, JSON.stringify({ ...JSON.parse(await readFile(path, 'utf8')), ...holder }));
  return release;
}

describe('several commands at once', () => {
  test('that pull into one folder, and push it, find no conflicts and lose nothing', async () => {
    const { run } = await newMachine();
    const source = await folderWith(await pairsOf(5), newName());
    expect((await run('push', source)).code).toBe(0);
    const folder = join(await newRoot(), 'pulled', basename(source));
    const pulls = await Promise.all(Array.from({ length: 3 }, () => run('pull', basename(source), folder, '--json')));
    expect(pulls.map(({ code }) => code)).toEqual([0, 0, 0]);
    expect(pulls.map((each) => each.json().pulled.length).sort()).toEqual([0, 0, 10]);
    for (const name of ['01.txt', '02.txt']) await rm(join(folder, name));
    const both = await Promise.all([run('pull', basename(source), folder, '--theirs'), run('push', folder)]);
    expect(both.map(({ code }) => code)).toEqual([0, 0]);
    expect(await readdir(folder)).toEqual((await readdir(source)).sort());
    expect(await namesIn(basename(folder))).toEqual((await readdir(source)).sort());
  });

  test('wait for the other, say for which, and can be interrupted', async () => {
    const { run, start } = await newMachine();
    const folder = await folderWith(await pairsOf(2), newName());
    expect((await run('push', folder)).code).toBe(0);
    await writeFile(join(folder, '01.txt'), Buffer.from('\ufeffa wagon', 'utf16le'));
    const commands = [
      ['push', folder, '--fix', '--json'],
      ['pull', basename(folder), folder],
      ['check', folder, '--fix'],
    ];
    const release = await lockOf(folder);
    const waiting = commands.map((args) => start(...args));
    const interrupted = start('push', folder);
    for (const each of [...waiting, interrupted]) {
      await eventually(() => (each.stderr().includes(`(process ${process.pid})`) ? true : undefined));
    }
    interrupted.process.kill('SIGINT');
    expect((await interrupted.ended).code).toBe(130);
    expect(waiting.map((each) => each.process.exitCode)).toEqual([null, null, null]);
    await release();
    const ended = await Promise.all(waiting.map((each) => each.ended));
    expect(ended.map(({ code }) => code)).toEqual([0, 0, 0]);
    expect((await readdir(folder)).sort()).toEqual(['01.jpg', '01.txt', '02.jpg', '02.txt']);
    expect(await readFile(join(folder, '01.txt'), 'utf8')).toBe('a wagon');
  });

  test('on another machine: a command says that it waits, and for how long', async () => {
    const { start } = await newMachine();
    const folder = await folderWith(await pairsOf(1), newName());
    const end = await lockAs(folder, { machine: 'another' });
    const waiting = start('push', folder);
    await eventually(() => (/perhaps on another machine.*after a minute/.test(waiting.stderr()) ? true : undefined));
    waiting.process.kill('SIGINT');
    expect((await waiting.ended).code).toBe(130);
    await end();
  });

  test('push --watch has the lock only while it transfers', async () => {
    const { run, start } = await newMachine();
    const folder = await folderWith(await pairsOf(1), newName());
    const watching = start('push', folder, '--watch');
    await eventually(() => (watching.stderr().includes('Watching') ? true : undefined));
    expect(await readdir(folder)).not.toContain(LOCK);
    expect((await run('pull', basename(folder), folder)).code).toBe(0);
    watching.process.kill('SIGINT');
    expect((await watching.ended).code).toBe(0);
  });
});

test('a folder that a user can only read is pushed, also with the lock of a killed command in it', async () => {
  const { env, run } = await newMachine(server.url, { uid: OTHER_UID });
  await chmod(env.XDG_CONFIG_HOME, 0o777);
  const folder = await folderWith(await pairsOf(2), newName());
  await abandonLock(folder);
  for (let at = folder; at !== '/tmp' && at !== '/'; at = join(at, '..')) await chmod(at, 0o755);
  const pushes = await Promise.all([run('push', folder), run('push', folder)]);
  expect(pushes.map(({ code }) => code)).toEqual([0, 0]);
  expect(await namesIn(basename(folder))).toEqual(['01.jpg', '01.txt', '02.jpg', '02.txt']);
});
