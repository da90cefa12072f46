import { existsSync, readFileSync, statSync, watch } from 'node:fs';
import { mkdir, readFile, rename, rm, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { setImmediate as turn } from 'node:timers/promises';
import { beforeAll, expect, test } from 'vitest';
import * as media from '../../fixtures/media.js';
import { IS_ALL } from '../../harness/available.js';
import { killGroup, ONLY_PROGRESS, startCommand, trainyard } from '../../harness/command.js';
import { digestOfFolder, leaveLitter, leaveStaging, mountedIn, newRoot } from '../../harness/mounting.js';
import { eventually } from '../../harness/server.js';
import { sharedServer } from '../../harness/shared-server.js';
import { trainerWalk } from '../../harness/trainer.js';

const PAIRS = 4;
/** At each moment once. */
const ROUNDS = IS_ALL ? 15 : 3;
const ALONE = ['killed'] as const;
const LINKED = ['kills', 'kills-depth', 'kills-mask'] as const;

const server = await sharedServer();
const api = await server.api();
const idOf = new Map<string, string>();
beforeAll(async () => {
  for (const name of [...ALONE, ...LINKED]) {
    const role = name.endsWith('-depth') ? 'control' : name.endsWith('-mask') ? 'mask' : 'training';
    const id = (await api.json<{ id: string }>('POST', '', { name, role })).body.id;
    idOf.set(name, id);
    for (let seed = 0; seed < PAIRS; seed++) {
      await api.upload(id, `${seed}.png`, await media.png({ seed }));
      if (role === 'training') await api.upload(id, `${seed}.txt`, 'state 0');
    }
  }
  await api.json('PUT', `/${idOf.get(LINKED[0])}/links`, { control_1: LINKED[1], mask: LINKED[2] });
});

/** Brings datasets to one of two states. */
async function turnTo(state: number, names: readonly string[]): Promise<void> {
  for (const name of names) await api.upload(idOf.get(name)!, '3.png', await media.png({ seed: 60 + state }));
}

const environment = { TRAINYARD_URL: server.url, TRAINYARD_TOKEN: api.token, TRAINYARD_CAPTION_GRACE_SECONDS: '0' };

/** When a mount is killed: as it begins, once all files are staged and their record is written, and after the first rename. */
const MOMENTS: readonly ((root: string, name: string, inode: number) => boolean)[] = [
  (root, name) => existsSync(join(root, `.${name}.mounting`)),
  (root, name) => {
    try {
      return readFileSync(join(root, `.${name}.mounting`, '.mount.json'), 'utf8').includes('mounted_at');
    } catch {
      return false;
    }
  },
  (root, name, inode) => statSync(join(root, name), { throwIfNoEntry: false })?.ino !== inode,
];

const SOURCES = [
  ['a dataset with a control and a mask from a service', LINKED, []],
  ['a dataset from a data folder', ALONE, ['--data', server.dataFolder]],
] as const;
test.each(SOURCES.slice(0, IS_ALL ? 2 : 1))(
  'a mount of %s that is killed at any moment never leaves a mixture, and the next one completes it',
  async (_, names, sourceArgs) => {
    const [target] = names;
    const begin = (root: string) => {
      return startCommand(['mount', target, '--into', root, ...sourceArgs], { env: environment, detached: true });
    };
    const root = await newRoot();
    const digestsIn = () => Promise.all(names.map((name) => digestIn(root, name)));
    const states: (string | undefined)[][] = [];
    for (const state of [1, 0]) {
      await turnTo(state, names);
      expect((await begin(root).ended).code).toBe(0);
      states[state] = await digestsIn();
    }
    for (let round = 0, wanted = 1; round < ROUNDS; round++, wanted = 1 - wanted) {
      await turnTo(wanted, names);
      const [before] = await digestsIn();
      if (before !== undefined) await leaveLitter(join(root, target));
      const inode = before === undefined ? 0 : statSync(join(root, target)).ino;
      const running = begin(root);
      const until = async (isTrue: () => boolean) => {
        while (!isTrue() && running.process.exitCode === null) await turn();
      };
      await until(() => MOMENTS[round % MOMENTS.length]!(root, target, inode));
      // At first right then.
      const killsAt = performance.now() + 3 * Math.floor(round / MOMENTS.length);
      await until(() => performance.now() >= killsAt);
      await killGroup(running);

      const at = `round ${round}`;
      const found = await digestsIn();
      for (const [i, digest] of found.entries()) {
        if (digest !== undefined) expect([states[0]![i], states[1]![i]], at).toContain(digest);
      }
      // Where there is a target, it is with the controls of its record. Its caches go with its old files.
      if (found[0] !== undefined) {
        expect(states, at).toContainEqual(found);
        expect(existsSync(join(root, target, '_latent_cache')), at).toBe(found[0] === before);
      }
      if (round % 2 === 1) continue;
      const healed = await begin(root).ended;
      expect([healed.code, healed.stderr], at).toEqual([0, expect.stringMatching(ONLY_PROGRESS)]);
      expect(await digestsIn(), at).toEqual(states[wanted]);
      expect(await mountedIn(root)).toEqual([...names]);
    }
  },
);

/** The digest of the files of a mounted folder; `undefined` if there is none. */
async function digestIn(root: string, name: string): Promise<string | undefined> {
  return existsSync(join(root, name)) ? digestOfFolder(join(root, name)) : undefined;
}

test('after a kill between two renames, the old folder is restored, but not with controls of another moment', async () => {
  const mount = async (name: string, root: string) =>
    (await trainyard(['mount', name, '--into', root, '--json'], { env: environment })).json().mounts[0];
  const [name] = ALONE;
  const root = await newRoot();
  await mount(name, root);
  const { ino } = await stat(join(root, name));
  await rename(join(root, name), join(root, `.${name}.aside`));
  await leaveStaging(root, name, { '10.jpg': 'half' });
  expect(await mount(name, root)).toMatchObject({ outcome: 'unchanged' });
  expect((await stat(join(root, name))).ino).toBe(ino);
  expect(await mountedIn(root)).toEqual([name]);

  const [target, control] = LINKED;
  const folder = join(root, target);
  await turnTo(0, LINKED);
  await mount(target, root);
  await rename(folder, join(root, `.${target}.aside`));
  // The control was replaced already.
  await turnTo(1, LINKED);
  await mount(control, root);
  const inTheWay = join(root, `.${target}.mounting`, 'mine');
  await mkdir(inTheWay, { recursive: true });
  expect(await mount(target, root)).toMatchObject({ error: { exit_code: 73 } });
  expect(existsSync(folder)).toBe(false);
  await rm(dirname(inTheWay), { recursive: true });
  expect(await mount(target, root)).toMatchObject({ outcome: 'mounted', warnings: [] });
  expect(trainerWalk(folder)).toHaveLength(PAIRS);
  const { mounted_with: together } = JSON.parse(await readFile(join(folder, '.mount.json'), 'utf8'));
  expect(together[1].digest).toBe(await digestOfFolder(join(root, control)));
  expect(await mountedIn(root)).toEqual([name, ...LINKED]);
  // The target goes before its controls, and comes after them.
  await turnTo(2, LINKED);
  const moved: (string | null)[] = [];
  const watcher = watch(root, (_, each) => void (each?.startsWith('kills') && moved.push(each)));
  await mount(target, root);
  await eventually(() => moved.length === 6 || undefined);
  expect([moved[0], moved[5]]).toEqual([target, target]);
  watcher.close();
});
