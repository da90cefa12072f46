import { existsSync, readFileSync, statSync } from 'node:fs';
import { readFile, rename, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { setImmediate as turn } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { seededRandom } from '../../faults/random.js';
import * as media from '../../fixtures/media.js';
import type { Api } from '../../harness/api.js';
import { IS_ALL } from '../../harness/available.js';
import { killGroup, ONLY_PROGRESS, startCommand, trainyard } from '../../harness/command.js';
import { digestOfFolder, leaveLitter, leaveStaging, mountedIn, newRoot } from '../../harness/mounting.js';
import { discardServer, startServer, type TestServer } from '../../harness/server.js';
import { trainerWalk } from '../../harness/trainer.js';

const PAIRS = 8;
/** Each moment once. */
const ROUNDS = IS_ALL ? 15 : 3;
const ALONE = ['killed'];
const LINKED = ['kills', 'kills-depth', 'kills-mask'];

let server: TestServer;
let api: Api;
const idOf = new Map<string, string>();
beforeAll(async () => {
  server = await startServer({ 'caption-grace-seconds': 0 });
  api = await server.api();
  for (const name of [...ALONE, ...LINKED]) {
    const role = name.endsWith('-depth') ? 'control' : name.endsWith('-mask') ? 'mask' : 'training';
    const id = (await api.json<{ id: string }>('POST', '', { name, role })).body.id;
    idOf.set(name, id);
    for (let seed = 0; seed < PAIRS; seed++) {
      await api.upload(id, `${seed}.png`, await media.png({ seed }));
      if (role === 'training') await api.upload(id, `${seed}.txt`, 'state 0');
    }
  }
  await api.json('PUT', `/${idOf.get(LINKED[0]!)}/links`, { control_1: LINKED[1], mask: LINKED[2] });
});
afterAll(() => discardServer(server));

/** Brings datasets to one of two states. */
async function turnTo(state: number, names: readonly string[]): Promise<void> {
  for (const name of names) await api.upload(idOf.get(name)!, '3.png', await media.png({ seed: 60 + state }));
}

const environment = () => ({
  TRAINYARD_URL: server.url,
  TRAINYARD_TOKEN: api.token,
  TRAINYARD_CAPTION_GRACE_SECONDS: '0',
});

const SOURCES = [
  ['a service', () => []],
  ['a data folder', () => ['--data', server.dataFolder]],
] as const;
const SETS = [
  ['a dataset', ALONE],
  ['a dataset with a control and a mask', LINKED],
] as const;

describe.each(SOURCES)('a mount from %s', (source, sourceArgs) => {
  // Without TEST_ALL, one set from each source.
  test.each(SETS.filter(([set]) => IS_ALL || (set === 'a dataset') === (source === 'a data folder')))(
    'of %s, killed at any moment, never leaves a mixture, and the next one completes it',
    async (_, names) => {
      const [target = ''] = names;
      const begin = (root: string) => {
        const args = ['mount', target, '--into', root, ...sourceArgs()];
        return startCommand(args, { env: environment(), detached: true });
      };
      const random = seededRandom(20_261_127);
      const root = await newRoot();
      const digestsIn = () => Promise.all(names.map((name) => digestIn(root, name)));
      const states: (string | undefined)[][] = [];
      for (const state of [1, 0]) {
        await turnTo(state, names);
        expect((await begin(root).ended).code).toBe(0);
        states[state] = await digestsIn();
      }
      const startedAt = performance.now();
      await begin(await newRoot()).ended;
      const usualMs = performance.now() - startedAt;
      for (let round = 1, wanted = 1; round <= ROUNDS; round++, wanted = 1 - wanted) {
        await turnTo(wanted, names);
        const [before] = await digestsIn();
        if (before !== undefined) await leaveLitter(join(root, target));
        const moment = MOMENTS[round % MOMENTS.length]!;
        const inode = before === undefined ? 0 : statSync(join(root, target)).ino;
        const running = begin(root);
        const until = async (isTrue: () => boolean) => {
          while (!isTrue() && running.process.exitCode === null) await turn();
        };
        await until(() => moment.isReached(root, target, inode));
        const [from, laterMs] = [performance.now(), random() * (moment.laterMs ?? usualMs)];
        await until(() => performance.now() - from >= laterMs);
        await killGroup(running);

        const at = `round ${round}, ${laterMs} ms after ${moment.name}`;
        const found = await digestsIn();
        for (const [i, digest] of found.entries()) {
          if (digest !== undefined) expect([states[0]![i], states[1]![i]], at).toContain(digest);
        }
        // Where there is a target, it is with the controls of its record. Its caches go with its old files.
        if (found[0] !== undefined) {
          expect(states, at).toContainEqual(found);
          expect(existsSync(join(root, target, '_latent_cache')), at).toBe(found[0] === before);
        }
        if (round % 2 === 0) continue;
        const healed = await begin(root).ended;
        expect([healed.code, healed.stderr], at).toEqual([0, expect.stringMatching(ONLY_PROGRESS)]);
        expect(await digestsIn(), at).toEqual(states[wanted]);
        expect(await mountedIn(root)).toEqual([...names]);
      }
    },
  );
});

/** The digest of the files of a mounted folder; `undefined` if there is none. */
async function digestIn(root: string, name: string): Promise<string | undefined> {
  return existsSync(join(root, name)) ? digestOfFolder(join(root, name)) : undefined;
}

/** When a mount is killed, and at most how much later: at a random time, and in the short steps that are most critical. */
const MOMENTS: readonly {
  readonly name: string;
  readonly isReached: (root: string, name: string, inode: number) => boolean;
  readonly laterMs?: number;
}[] = [
  { name: 'the start of the command', isReached: () => true },
  {
    name: 'the start of the mount',
    isReached: (root, name) => existsSync(join(root, `.${name}.mounting`)),
    laterMs: 50,
  },
  {
    name: 'the staging of all files',
    isReached: (root, name) => {
      try {
        return readFileSync(join(root, `.${name}.mounting`, '.mount.json'), 'utf8').includes('mounted_at');
      } catch {
        return false;
      }
    },
    laterMs: 8,
  },
  {
    name: 'the first rename',
    isReached: (root, name, inode) => statSync(join(root, name), { throwIfNoEntry: false })?.ino !== inode,
    laterMs: 0,
  },
];

describe('what a mount that was killed between two renames has left', () => {
  const mount = async (name: string, root: string) => {
    const ended = await trainyard(['mount', name, '--into', root, '--json'], { env: environment() });
    return ended.json().mounts[0];
  };

  test('is the old folder, which is restored', async () => {
    const [name = ''] = ALONE;
    const root = await newRoot();
    await mount(name, root);
    const folder = join(root, name);
    const { ino } = await stat(folder);
    await rename(folder, join(root, `.${name}.aside`));
    await leaveStaging(root, name, { '10.jpg': 'half' });
    expect(await mount(name, root)).toMatchObject({ outcome: 'unchanged' });
    expect((await stat(folder)).ino).toBe(ino);
    expect(await mountedIn(root)).toEqual([name]);
  });

  test('is no old folder with controls of another moment: it stays away until the new one is complete', async () => {
    const [target = '', control = ''] = LINKED;
    const root = await newRoot();
    await turnTo(0, LINKED);
    await mount(target, root);
    await rename(join(root, target), join(root, `.${target}.aside`));
    // The control was replaced already.
    await turnTo(1, LINKED);
    await mount(control, root);
    expect(existsSync(join(root, target))).toBe(false);
    expect(await mount(target, root)).toMatchObject({ outcome: 'mounted', warnings: [] });
    expect(trainerWalk(join(root, target))).toHaveLength(PAIRS);
    const { mounted_with: together } = JSON.parse(await readFile(join(root, target, '.mount.json'), 'utf8'));
    expect(together[1].digest).toBe(await digestOfFolder(join(root, control)));
    expect(await mountedIn(root)).toEqual(LINKED);
  });
});
