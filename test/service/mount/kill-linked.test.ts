import { execFileSync } from 'node:child_process';
import { existsSync, statSync } from 'node:fs';
import { chmod, readdir, readFile, writeFile } from 'node:fs/promises';
import { delimiter, join } from 'node:path';
import { setImmediate as turn } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { digestWithLinks } from '../../../src/dataset/digest.js';
import { seededRandom } from '../../faults/random.js';
import * as media from '../../fixtures/media.js';
import type { Api } from '../../harness/api.js';
import { killGroup, ONLY_PROGRESS, type Running, startCommand } from '../../harness/command.js';
import { digestOfFolder, leaveLitter, mountedIn, newRoot } from '../../harness/mounting.js';
import { discardServer, startServer, type TestServer } from '../../harness/server.js';

const NAMES = ['kills', 'kills-depth', 'kills-mask'] as const;
const [TARGET, CONTROL, MASK] = NAMES;
const PAIRS = 8;
const ROUNDS = 10;

let server: TestServer;
let api: Api;
let ids: readonly [target: string, control: string, mask: string];
beforeAll(async () => {
  server = await startServer({ 'caption-grace-seconds': 0 });
  api = await server.api();
  const idOf = async (name: string, role: string) =>
    (await api.json<{ id: string }>('POST', '', { name, role })).body.id;
  ids = [await idOf(TARGET, 'training'), await idOf(CONTROL, 'control'), await idOf(MASK, 'mask')];
  for (let seed = 0; seed < PAIRS; seed++) {
    await api.upload(ids[0], `${seed}.jpg`, await media.jpeg({ seed }));
    await api.upload(ids[0], `${seed}.txt`, 'state 0');
    await api.upload(ids[1], `${seed}.jpg`, await media.jpeg({ seed: 20 + seed }));
    await api.upload(ids[2], `${seed}.png`, await media.png({ seed: 40 + seed }));
  }
  await api.json('PUT', `/${ids[0]}/links`, { control_1: CONTROL, mask: MASK });
});
afterAll(() => discardServer(server));

/** Brings all three datasets to one of two states. */
async function turnTo(state: number): Promise<void> {
  await api.upload(ids[0], '3.txt', `state ${state}`);
  await api.upload(ids[1], '3.jpg', await media.jpeg({ seed: 60 + state }));
  await api.upload(ids[2], '3.png', await media.png({ seed: 70 + state }));
}

const SOURCES = [
  ['from a service', () => []],
  ['from a data folder', () => ['--data', server.dataFolder]],
] as const;

describe.each(SOURCES)('a mount of a dataset with links that is killed, %s', (_, sourceArgs) => {
  const begin = (root: string, more: Record<string, string> = {}): Running => {
    const own = { TRAINYARD_URL: server.url, TRAINYARD_TOKEN: api.token, TRAINYARD_CAPTION_GRACE_SECONDS: '0' };
    const env = { ...own, ...more };
    return startCommand(['mount', TARGET, '--into', root, ...sourceArgs()], { env, detached: true });
  };
  const digestsIn = (root: string) => Promise.all(NAMES.map((name) => digestOfFolder(join(root, name))));

  test('leaves each folder old or new, no record of a moment that is not there, and nothing to do by hand', async () => {
    const random = seededRandom(20_261_127);
    const root = await newRoot();
    const states: string[][] = [];
    for (const state of [1, 0]) {
      await turnTo(state);
      expect((await begin(root).ended).code).toBe(0);
      states[state] = await digestsIn(root);
    }
    const startedAt = performance.now();
    await begin(await newRoot()).ended;
    const usualMs = performance.now() - startedAt;
    const path = await pathWithHeldSwaps();
    let [wanted, mixed] = [0, 0];
    for (let round = 1; round <= ROUNDS; round++) {
      wanted = 1 - wanted;
      await turnTo(wanted);
      await leaveLitter(join(root, TARGET));
      const inodes = inodesIn(root);
      const moment = MOMENTS[round % MOMENTS.length]!;
      const running = begin(root, { PATH: path, HELD: moment.held === undefined ? '' : join(root, moment.held) });
      const isReached = () => moment.isReached(root, inodes);
      while (!isReached() && running.process.exitCode === null) await turn();
      const [from, laterMs] = [performance.now(), random() * (moment.laterMs ?? usualMs)];
      while (performance.now() - from < laterMs && running.process.exitCode === null) await turn();
      await killGroup(running);

      const at = `round ${round}, ${laterMs} ms after ${moment.name}`;
      const found = await digestsIn(root);
      const isWhole = NAMES.map((_, i) => found[i] === states[0]?.[i] || found[i] === states[1]?.[i]);
      expect(isWhole, at).toEqual([true, true, true]);
      expect(existsSync(join(root, TARGET, '_latent_cache')), at).toBe(inodesIn(root)[0] === inodes[0]);
      await expectTrueRecord(root, found, at);
      if (new Set(found.map((digest, i) => digest === states[0]?.[i])).size > 1) mixed++;

      if (round % 2 === 0) continue;
      const healed = await begin(root).ended;
      expect([healed.code, healed.stderr], at).toEqual([0, expect.stringMatching(ONLY_PROGRESS)]);
      expect(await digestsIn(root), at).toEqual(states[wanted]);
      await expectTrueRecord(root, states[wanted]!, at);
      expect((await record(root)).mounted_with, at).toHaveLength(3);
      await expectNoLitter(root);
    }
    expect(mixed).toBeGreaterThanOrEqual(ROUNDS / MOMENTS.length);
    expect((await begin(root).ended).code).toBe(0);
    await expectNoLitter(root);
  });
});

/** A PATH whose commands that swap folders do not return after the swap with the one that `HELD` names. */
async function pathWithHeldSwaps(): Promise<string> {
  const folder = await newRoot();
  for (const command of ['mv', 'python3']) {
    const path = join(folder, command);
    const real = execFileSync('sh', ['-c', `command -v ${command} || :`], { encoding: 'utf8' }).trim();
    const held = 'for last; do :; done\n[ "$last" != "$HELD" ] || exec sleep 600';
    await writeFile(path, `#!/bin/sh\n${real || 'false'} "$@" || exit\n${held}\n`);
    await chmod(path, 0o755);
  }
  return `${folder}${delimiter}${process.env.PATH}`;
}

const record = async (root: string) => JSON.parse(await readFile(join(root, TARGET, '.mount.json'), 'utf8'));

/** What the record of the target says about its own files, and about the folders beside it, is so. */
async function expectTrueRecord(root: string, found: readonly string[], at: string): Promise<void> {
  const { digest, mounted_with: together = [] } = await record(root);
  const [, ...linked] = together as { as: 'control_1' | 'mask'; name: (typeof NAMES)[number]; digest: string }[];
  expect(
    linked.map((link) => link.digest),
    at,
  ).toEqual(linked.map(({ name }) => found[NAMES.indexOf(name)]));
  const slots = linked.map(({ as: slot, digest: of }) => ({ slot, digest: of }));
  expect(digest, at).toBe(digestWithLinks(found[0]!, slots));
}

/** Caches stay in a target that was mounted as it is wanted. */
async function expectNoLitter(root: string): Promise<void> {
  expect(await mountedIn(root)).toEqual([...NAMES]);
  for (const name of NAMES) {
    const hidden = (await readdir(join(root, name))).filter((entry) => entry.startsWith('.mount'));
    expect(hidden).toEqual(['.mount.json']);
  }
}

const inodesIn = (root: string) => NAMES.map((name) => statSync(join(root, name)).ino);

/** When a mount is killed, and at most how much later: at a random time, and in the short steps that are most critical. */
const MOMENTS: readonly {
  readonly name: string;
  readonly isReached: (root: string, inodes: readonly number[]) => boolean;
  readonly laterMs?: number;
  /** The folder whose swap is the last thing that happens. */
  readonly held?: (typeof NAMES)[number];
}[] = [
  { name: 'the start of the command', isReached: () => true },
  {
    name: 'the staging of all files',
    isReached: (root) => existsSync(join(root, `.${TARGET}.mounting`, '.mount.json')),
    laterMs: 8,
  },
  {
    name: 'the swap of the mask',
    isReached: (root, inodes) => inodesIn(root)[2] !== inodes[2],
    laterMs: 0,
    held: MASK,
  },
  {
    name: 'the swap of the control',
    isReached: (root, inodes) => inodesIn(root)[1] !== inodes[1],
    laterMs: 0,
    held: CONTROL,
  },
  { name: 'the swap of the target', isReached: (root, inodes) => inodesIn(root)[0] !== inodes[0], laterMs: 8 },
];
