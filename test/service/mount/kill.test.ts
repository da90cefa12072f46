import { spawnSync } from 'node:child_process';
import { existsSync, statSync } from 'node:fs';
import { mkdir, rename, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setImmediate as turn } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { seededRandom } from '../../faults/random.js';
import * as media from '../../fixtures/media.js';
import type { Api } from '../../harness/api.js';
import { killGroup, ONLY_PROGRESS, type Running, startCommand, trainyard } from '../../harness/command.js';
import { datasetOf, digestOfFolder, leaveLitter, leaveStaging, mountedIn, newRoot } from '../../harness/mounting.js';
import { discardServer, startServer, type TestServer, temporaryFolder } from '../../harness/server.js';
import { trainerWalk } from '../../harness/trainer.js';

const NAME = 'killed';
const PAIRS = 12;
const ROUNDS = 20;

let server: TestServer;
let api: Api;
let id: string;
/** The digests of the two states between which the dataset alternates. */
const digests: string[] = [];
beforeAll(async () => {
  server = await startServer({ 'caption-grace-seconds': 0 });
  api = await server.api();
  const files: Record<string, Buffer | string> = {};
  for (let seed = 10; seed < 10 + PAIRS; seed++) {
    files[`${seed}.jpg`] = await media.jpeg({ seed });
    files[`${seed}.txt`] = 'state 0';
  }
  id = await datasetOf(api, files, NAME);
  for (const state of [1, 0]) digests[state] = await turnTo(state);
});
afterAll(() => discardServer(server));

/** Replaces the caption of every image. */
async function turnTo(state: number): Promise<string> {
  for (let seed = 10; seed < 10 + PAIRS; seed++) await api.upload(id, `${seed}.txt`, `state ${state}`);
  return (await api.manifest(id)).body.digest!;
}

const environment = (path = process.env.PATH ?? '') => ({
  TRAINYARD_URL: server.url,
  TRAINYARD_TOKEN: api.token,
  PATH: path,
});
const begin = (root: string, sourceArgs: readonly string[], path?: string): Running =>
  startCommand(['mount', NAME, '--into', root, ...sourceArgs], { env: environment(path), detached: true });

const SOURCES = [
  ['from a service', () => []],
  ['from a data folder', () => ['--data', server.dataFolder]],
] as const;

describe.each(SOURCES)('killed at any moment, %s', (_, sourceArgs) => {
  test('a mount leaves either the old folder or the new one', async () => {
    const random = seededRandom(20_240_607);
    const root = await newRoot();
    const folder = join(root, NAME);
    // The test before may have left another state.
    await turnTo(0);
    await begin(root, sourceArgs()).ended;
    const startedAt = performance.now();
    await begin(await newRoot(), sourceArgs()).ended;
    const usualMs = performance.now() - startedAt;
    const found = { old: 0, new: 0 };
    let mounted = 0;
    for (let round = 1; round <= ROUNDS; round++) {
      const wanted = 1 - mounted;
      await turnTo(wanted);
      await leaveLitter(folder);
      const before = statSync(folder).ino;
      const running = begin(root, sourceArgs());
      const moment = MOMENTS[round % MOMENTS.length]!;
      await until(running, () => isReached(moment, root, before));
      const laterMs = random() * (moment === 'at any time' ? usualMs : moment === 'when it starts' ? 0 : 8);
      const from = performance.now();
      await until(running, () => performance.now() - from >= laterMs);
      await killGroup(running);
      expect(trainerWalk(folder)).toHaveLength(PAIRS);
      const state = digests.indexOf(await digestOfFolder(folder));
      expect(state, `round ${round}, ${laterMs} ms after ${moment}`).toBeGreaterThanOrEqual(0);
      // The caches of the old files are not kept with the new files.
      expect(existsSync(join(folder, '_latent_cache'))).toBe(state !== wanted);
      found[state === wanted ? 'new' : 'old']++;
      mounted = state;
    }
    // A kill at the start leaves the old folder, and a kill after the rename the new one, on any machine.
    expect([found.old >= ROUNDS / MOMENTS.length, found.new >= ROUNDS / MOMENTS.length]).toEqual([true, true]);
    await begin(root, sourceArgs()).ended;
    expect(await mountedIn(root)).toEqual([NAME]);
  });
});

/** When a mount is killed: at a random time, and in the short steps that are most critical. */
const MOMENTS = ['at any time', 'when it starts', 'when all files are staged', 'when it is in place'] as const;

function isReached(moment: (typeof MOMENTS)[number], root: string, inodeBefore: number): boolean {
  const staging = join(root, `.${NAME}.mounting`);
  switch (moment) {
    case 'at any time':
      return true;
    case 'when it starts':
      return existsSync(staging);
    case 'when all files are staged':
      return existsSync(join(staging, '.mount.json'));
    case 'when it is in place':
      return statSync(join(root, NAME)).ino !== inodeBefore;
  }
}

async function until(running: Running, isTrue: () => boolean): Promise<void> {
  while (!isTrue() && running.process.exitCode === null) await turn();
}

describe('replacing a folder', () => {
  /** Creates a PATH with only these commands. */
  async function pathWith(commands: Record<string, string> = {}): Promise<string> {
    const folder = await temporaryFolder();
    onTestFinished(() => rm(folder, { recursive: true, force: true }));
    for (const [name, path] of Object.entries(commands)) await symlink(path, join(folder, name));
    return folder;
  }

  const answerOf = (command: string, ...args: string[]) => {
    const { status, stdout } = spawnSync(command, args, { encoding: 'utf8' });
    return status === 0 ? stdout.trim() : undefined;
  };
  const SWAP_COMMANDS = [
    ['mv', () => (answerOf('mv', '--exchange', '--version') === undefined ? undefined : answerOf('which', 'mv'))],
    // The interpreter itself: the command in PATH may be a script that searches for it.
    ['python3', () => answerOf('python3', '-c', 'import sys; print(sys.executable)')],
  ] as const;

  test.for(SWAP_COMMANDS)('by %s, the name always refers to a folder', async ([command, find], { skip }) => {
    const executable = find();
    if (executable === undefined) return skip(`no ${command} on this machine can swap folders`);
    const path = await pathWith({ [command]: executable });
    const root = await newRoot();
    await begin(root, [], path).ended;
    for (let turns = 0; turns < 4; turns++) {
      await turnTo(1 - (turns % 2));
      const running = begin(root, [], path);
      let isAlwaysThere = true;
      await until(running, () => {
        isAlwaysThere &&= existsSync(join(root, NAME, '10.jpg'));
        return !isAlwaysThere;
      });
      expect([isAlwaysThere, (await running.ended).code]).toEqual([true, 0]);
    }
  });

  test('works without an atomic swap', async () => {
    const path = await pathWith();
    const root = await newRoot();
    await begin(root, [], path).ended;
    await turnTo(1);
    expect((await begin(root, [], path).ended).code).toBe(0);
    expect(await digestOfFolder(join(root, NAME))).toBe(digests[1]);
    expect(await mountedIn(root)).toEqual([NAME]);
    await turnTo(0);
  });

  test('an old folder that was left between two renames is restored', async () => {
    const root = await newRoot();
    await begin(root, []).ended;
    const folder = join(root, NAME);
    const { ino } = await stat(folder);
    await rename(folder, join(root, `.${NAME}.aside`));
    await leaveStaging(root, NAME, { '10.jpg': 'half' });
    const ended = await trainyard(['mount', NAME, '--into', root, '--json'], { env: environment() });
    expect(ended.json().mounts).toMatchObject([{ outcome: 'unchanged' }]);
    expect((await stat(folder)).ino).toBe(ino);
    expect(await mountedIn(root)).toEqual([NAME]);
  });

  test('a record that was being written is removed, and does not keep the folder from being replaced', async () => {
    const root = await newRoot();
    for (const state of [1, 0]) {
      await begin(root, []).ended;
      const unfinished = join(root, NAME, '.mount.json.new');
      await writeFile(unfinished, '{');
      expect((await begin(root, []).ended).code).toBe(0);
      expect(existsSync(unfinished)).toBe(false);
      await writeFile(unfinished, '{');
      await turnTo(state);
      const ended = await begin(root, []).ended;
      expect([ended.code, ended.stderr]).toEqual([0, expect.stringMatching(ONLY_PROGRESS)]);
      expect(await digestOfFolder(join(root, NAME))).toBe(digests[state]);
    }
  });

  test('a staging folder that was emptied in part is used again, with the caches of the folder that it was', async () => {
    const root = await newRoot();
    await leaveStaging(root, NAME, { '99.jpg': 'old', _latent_cache: '' });
    const cache = join(root, `.${NAME}.mounting`, '_latent_cache');
    await rm(cache);
    await mkdir(cache);
    await writeFile(join(cache, '99_0123.safetensors'), 'cached');
    const ended = await begin(root, []).ended;
    expect([ended.code, ended.stderr]).toEqual([0, expect.stringMatching(ONLY_PROGRESS)]);
    expect(await mountedIn(root)).toEqual([NAME]);
  });

  test('an old folder whose removal was interrupted is removed', async () => {
    const root = await newRoot();
    await begin(root, []).ended;
    const leftover = join(root, `.${NAME}.removing-01234567-89ab-cdef-0123-456789abcdef`);
    await mkdir(leftover);
    await writeFile(join(leftover, '10.jpg'), 'old');
    const other = join(root, `.${NAME}.removing-of-another-dataset`);
    await mkdir(other);
    await begin(root, []).ended;
    expect(await mountedIn(root)).toEqual([`.${NAME}.removing-of-another-dataset`, NAME]);
  });
});
