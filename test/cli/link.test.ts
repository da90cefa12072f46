import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { chmod, mkdir, readdir, readFile, rm, symlink, utimes, writeFile } from 'node:fs/promises';
import { delimiter, join } from 'node:path';
import { text } from 'node:stream/consumers';
import { promisify } from 'node:util';
import { beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import type { WireNewToken } from '../../src/api/account-schemas.js';
import { TrainyardClient } from '../../src/client/client.js';
import { digestWithLinks } from '../../src/dataset/digest.js';
import { mountSmallDisk } from '../faults/small-disk.js';
import * as media from '../fixtures/media.js';
import { IS_ALL, whyNoBusybox } from '../harness/available.js';
import { datasetOf, digestOfFolder, mountedIn, newRoot, recordIn, stateOf } from '../harness/mounting.js';
import type { BreakingProxy, Fault } from '../harness/proxy.js';
import { eventually } from '../harness/server.js';
import { sharedServer } from '../harness/shared-server.js';
import { trainerWalk } from '../harness/trainer.js';
import { commandsOn } from './commands.js';

const run = promisify(execFile);

/** Names that a shell could take for options, patterns, quotes or commands, and one that needs a long-name entry. */
const STEMS = ['-rf', '$(touch owned)', '`id`; rm', `a'b"c`, '* ?', ' & |', 'é🚂 #', 'x'.repeat(250)];
const NAME = '-n é yard';

const server = await sharedServer();
const { api, client, run: trainyard, newProxy } = await commandsOn(server);
const pairs = STEMS.map(async (stem, seed) => [
  [`${stem}.PNG`, await media.png({ width: 220, height: 220, seed })] as const,
  [`${stem}.txt`, stem] as const,
]);
const files: Record<string, Buffer | string> = Object.fromEntries((await Promise.all(pairs)).flat());
const id = await datasetOf(api, files, NAME);

/** A new link that goes through a proxy. */
const linkOf = (proxy: BreakingProxy) => new TrainyardClient({ baseUrl: proxy.url, token: api.token }).tarLink(id);

const expectMounted = async (root: string) => {
  const folder = join(root, NAME);
  const names = (await readdir(folder)).filter((name) => !name.startsWith('.'));
  const expected = Object.entries(files).map(([name, bytes]) => [name.replace('.PNG', '.png'), bytes] as const);
  expect(names.sort()).toEqual(expected.map(([name]) => name).sort());
  for (const [name, bytes] of expected)
    expect([name, (await readFile(join(folder, name))).equals(Buffer.from(bytes))]).toEqual([name, true]);
  expect(trainerWalk(folder)).toHaveLength(STEMS.length);
};

describe('the lines of trainyard link', () => {
  const link = (args: readonly string[], url?: string) => trainyard(['link', id, ...args], url);

  test('unpack, verify and mount the dataset, and a later mount takes the folder for its own', async () => {
    const [root, other] = [join(await newRoot(), "it's new"), await newRoot()];
    const { commands, expires_at } = (await link(['--into', root, '--expires', '7d', '--json'])).json();
    const lifeMs = Date.parse(`${expires_at.slice(0, 23)}Z`) - Date.now();
    expect(Math.abs(lifeMs - 7 * 86_400_000)).toBeLessThan(120_000);
    await run('bash', ['-c', `set -o pipefail; ${commands.unpack}`]);
    await expectMounted(root);
    expect((await run('sh', ['-c', commands.verify])).stdout).toBe('intact\n');
    const again = await trainyard(['mount', id, '--into', root, '--json']);
    expect([again.code, again.json().mounts[0].outcome]).toEqual([0, 'unchanged']);
    await writeFile(join(root, NAME, 'new.txt'), 'mine');
    expect((await trainyard(['mount', id, '--into', root])).code).toBe(73);
    const { stdout } = await link(['--into', other]);
    expect(stdout).toMatch(/^Only this machine can open http:\/\/127\.0\.0\.1:\d+\. .*--host 0\.0\.0\.0/m);
    const script = stdout.trim().split('\n').at(-1) ?? '';
    expect((await run('sh', ['-c', script])).stdout).toContain(`mounted ${NAME}`);
    await expectMounted(other);
  });

  test('fail if the archive breaks, also without pipefail, and leave no record of a mount', async () => {
    const proxy = await newProxy();
    proxy.rule(({ pathname }) => (pathname.endsWith('/tar') ? 'cut-answer' : undefined));
    const root = await newRoot();
    const { commands } = (await link(['--into', root, '--json'], proxy.url)).json();
    await expect(run('sh', ['-c', commands.unpack])).rejects.toThrow('Unexpected EOF');
    expect(existsSync(join(root, NAME, '.mount.json'))).toBe(false);
    await expect(run('sh', ['-c', commands.verify])).rejects.toThrow();
  });

  test('are not made of what is not READY, with 65 and how to see why', async () => {
    await api.upload(await api.newDataset('unfit'), 'a.png', await media.png({ width: 20, height: 20 }));
    const ended = await trainyard(['link', 'unfit']);
    expect([ended.code, ended.stderr]).toEqual([65, expect.stringMatching(/"unfit" is FAILED.*trainyard status/)]);
    const other = ['--digest', 'a'.repeat(64)];
    for (const [args, code] of [
      [['--expires', '8d'], 64],
      [['--revision', '1', ...other], 64],
      [['--revision', '99'], 66],
      [other, 66],
    ] as const) {
      expect([args, (await link(args)).code]).toEqual([args, code]);
    }
  });
});

/** A machine: a shell, and the folders of its commands. */
interface Machine {
  readonly shell: readonly string[];
  readonly path: string;
}

/** A folder of busybox's commands and no others, with curl or without. */
async function busyboxPath(extra: readonly string[]): Promise<string> {
  const folder = await newRoot();
  await run('busybox', ['--install', '-s', folder]);
  for (const command of extra) {
    const { stdout } = await run('sh', ['-c', `command -v ${command}`]);
    await symlink(stdout.trim(), join(folder, command));
  }
  return folder;
}

const BUSYBOX: [string, () => Promise<Machine>][] = [
  ['busybox alone', async () => ({ shell: ['busybox', 'sh'], path: await busyboxPath([]) })],
  ['busybox and curl', async () => ({ shell: ['busybox', 'sh'], path: await busyboxPath(['curl']) })],
];
const MACHINES: [string, () => Promise<Machine>][] = [
  ['dash', async () => ({ shell: ['dash'], path: process.env.PATH ?? '' })],
  ...(whyNoBusybox() === undefined ? BUSYBOX.slice(0, IS_ALL ? 2 : 1) : []),
];

/** Starts the script as it is served, as the printed line does. */
async function startScript({ shell: [program = '', ...args], path }: Machine, words: readonly string[]) {
  const script = await (await fetch(`${server.url}/mount.sh`)).text();
  const command = program === 'busybox' ? '/usr/bin/busybox' : program;
  const child = spawn(command, [...args, '-s', '--', ...words], { env: { PATH: path }, stdio: 'pipe' });
  child.stdin.end(script);
  const ended = Promise.all([text(child.stdout), text(child.stderr), once(child, 'close')]);
  return { child, ended: ended.then(([stdout, stderr, [code]]) => ({ code: code as number | null, stdout, stderr })) };
}

const mountBy = async (machine: Machine, ...words: string[]) => (await startScript(machine, words)).ended;

describe.each(MACHINES)('mount.sh with %s', (name, machineOf) => {
  test('mounts, leaves an unchanged folder, replaces a mounted one, and no other', async () => {
    const machine = await machineOf();
    const root = join(await newRoot(), 'new');
    const { url } = await client.tarLink(id);
    expect(await mountBy(machine, url, root)).toMatchObject({ code: 0, stdout: expect.stringContaining('16 files') });
    await expectMounted(root);
    expect(await mountedIn(root)).toEqual([NAME]);
    expect((await mountBy(machine, url, root)).stdout).toContain('is unchanged');
    // A trainer's caches don't keep it from being replaced; an added file does.
    await mkdir(join(root, NAME, '_latent_cache'));
    await writeFile(join(root, NAME, '_latent_cache', 'x'), '');
    await api.upload(id, '-rf.txt', name);
    files['-rf.txt'] = name;
    const next = await client.tarLink(id);
    expect((await mountBy(machine, next.url, root)).code).toBe(0);
    await expectMounted(root);
    expect(existsSync(join(root, NAME, '_latent_cache'))).toBe(false);
    for (const own of ['-rf.txt', 'mine.txt']) {
      await writeFile(join(root, NAME, own), 'mine');
      // As `mv` and `cp -p` leave it.
      await utimes(join(root, NAME, own), 0, 0);
    }
    const changed = await mountBy(machine, next.url, root);
    expect([changed.code, changed.stderr]).toEqual([73, expect.stringContaining('-rf.txt mine.txt')]);
    expect((await mountBy(machine, '--replace', next.url, root)).code).toBe(0);
    await expectMounted(root);
    const foreign = await newRoot();
    await mkdir(join(foreign, NAME));
    await writeFile(join(foreign, NAME, 'photo.jpg'), 'mine');
    const rejected = await mountBy(machine, next.url, foreign);
    expect([rejected.code, rejected.stderr]).toEqual([73, expect.stringContaining('--replace')]);
    expect(await readdir(foreign, { recursive: true })).toEqual([NAME, join(NAME, 'photo.jpg')]);
  });

  test('names what is wrong, and changes nothing', async () => {
    const machine = await machineOf();
    const proxy = await newProxy();
    const root = await newRoot();
    const { url } = await linkOf(proxy);
    expect((await mountBy(machine, url, root)).code).toBe(0);
    await api.upload(id, '-rf.txt', 'damaged');
    const next = await linkOf(proxy);
    const isTar = ({ pathname }: { pathname: string }) => pathname.endsWith('/tar');
    const damaged = (body: Buffer) => Buffer.from(body.toString('latin1').replace('damaged', 'Damaged'), 'latin1');
    const alter: Fault = { alter: ({ headers, body }) => ({ headers, body: damaged(body) }) };
    for (const [rule, code, words] of [
      ['cut-answer', 74, 'try again'],
      [alter, 65, '-rf.txt'],
    ] as const) {
      proxy.rule((seen) => (isTar(seen) ? rule : undefined));
      expect(await mountBy(machine, next.url, root)).toMatchObject({ code, stderr: expect.stringContaining(words) });
    }
    proxy.rule();
    const changed = next.url.replace(/expires=\d/, 'expires=9');
    expect((await mountBy(machine, changed, root)).code).toBe(name === 'busybox alone' ? 69 : 77);
    expect((await mountBy(machine, 'http://127.0.0.1:1/x/tar?digest=1', root)).code).toBe(69);
    expect((await mountBy(machine, url.slice(0, 30), root)).code).toBe(64);
    expect(await mountedIn(root)).toEqual([NAME]);
    expect(await readFile(join(root, NAME, '-rf.txt'), 'utf8')).toBe(files['-rf.txt']);
    await api.upload(id, '-rf.txt', files['-rf.txt'] as string);
  });

  test('removes what it wrote after SIGINT and SIGTERM', async () => {
    const proxy = await newProxy();
    // Answers never.
    proxy.rule(({ pathname }) => (pathname.endsWith('/tar') ? new Promise(() => {}) : undefined));
    const root = await newRoot();
    const { url } = await linkOf(proxy);
    for (const [i, signal] of (['SIGINT', 'SIGTERM'] as const).entries()) {
      const { child, ended } = await startScript(await machineOf(), [url, root]);
      await eventually(() => proxy.requests('GET', '/tar?')[i]);
      child.kill(signal);
      expect((await ended).code).toBe([130, 143][i]);
      expect(await readdir(root)).toEqual([]);
    }
  });
});

test('mount.sh names a missing command, a full disk, and an expired link', async () => {
  const dash = { shell: ['/usr/bin/dash'], path: process.env.PATH ?? '' };
  const { url } = await client.tarLink(id);
  const root = await newRoot();
  const bare = await newRoot();
  for (const command of ['curl', 'tar', 'sh']) {
    const found = (process.env.PATH ?? '').split(delimiter).map((folder) => join(folder, command));
    await symlink(found.find((path) => existsSync(path)) ?? '', join(bare, command));
  }
  const withoutSums = await mountBy({ ...dash, path: bare }, url, root);
  expect(withoutSums).toMatchObject({ code: 69, stderr: 'mount.sh: there is no sha256sum. Install it first.\n' });
  // Not made by a command, whose end may take as long on a busy machine.
  const { secret } = (await api.json<WireNewToken>('POST', '/tokens', { expires_in: 2 })).body;
  const short = await new TrainyardClient({ baseUrl: server.url, token: secret }).tarLink(id);
  await eventually(async () => ((await fetch(short.sha256sums_url)).status === 403 ? true : undefined));
  const expired = await mountBy(dash, short.url, await newRoot());
  expect([expired.code, expired.stderr]).toEqual([77, expect.stringContaining('This link has expired.')]);
  const disk = await mountSmallDisk(1);
  if ('refusal' in disk) return;
  onTestFinished(disk.unmount);
  const full = await mountBy(dash, url, disk.folder);
  expect([full.code, full.stderr]).toEqual([74, expect.stringContaining(`the disk of ${disk.folder} is full.`)]);
  expect(await readdir(disk.folder)).toEqual([]);
});

describe('a dataset with links', () => {
  const NAMES = ['-n é rails', '-n é rails depth', 'rails mask'] as const;
  const [TARGET, CONTROL, MASK] = NAMES;
  let ids: readonly [target: string, control: string, mask: string];
  beforeAll(async () => {
    ids = [await api.newDataset(TARGET), await api.newDataset(CONTROL, 'control'), await api.newDataset(MASK, 'mask')];
    for (const seed of [1, 2, 3]) {
      await api.upload(ids[0], `${seed}.jpg`, await media.jpeg({ seed }));
      await api.upload(ids[0], `${seed}.txt`, `edit ${seed}`);
      await api.upload(ids[1], `${seed}.PNG`, await media.png({ seed: 10 + seed }));
      await api.upload(ids[2], `${seed}.png`, await media.png({ seed: 20 + seed }));
    }
    // diffusion-pipe would take it for the control.
    await api.upload(ids[1], '1.txt', 'an unused caption');
    await api.json('PUT', `/${ids[0]}/links`, { control_1: ids[1], mask: ids[2] });
  });

  const changeControl = async (seed: number) => api.upload(ids[1], '2.PNG', await media.png({ seed }));
  const filesIn = async (root: string, name: string) =>
    (await readdir(join(root, name))).filter((file) => file !== '.mount.json').sort();

  /** All three folders, in the state that a digest names. */
  async function expectMoment(root: string, digest: string): Promise<void> {
    expect(await mountedIn(root)).toEqual([...NAMES].sort());
    expect(await filesIn(root, TARGET)).toEqual(['1.jpg', '1.txt', '2.jpg', '2.txt', '3.jpg', '3.txt']);
    for (const name of [CONTROL, MASK]) expect(await filesIn(root, name)).toEqual(['1.png', '2.png', '3.png']);
    // Of the control before its files were renamed, and its caption was left out.
    const { digest: control } = await recordIn(root, CONTROL);
    const mask = await digestOfFolder(join(root, MASK));
    const slots = [
      { slot: 'control_1', digest: control },
      { slot: 'mask', digest: mask },
    ] as const;
    expect(digestWithLinks(await digestOfFolder(join(root, TARGET)), slots)).toBe(digest);
    expect(await recordIn(root, TARGET)).toMatchObject({ digest, mounted_with: { length: 3 } });
  }

  test('the lines of a dataset with links unpack and verify all of its datasets, of the moment when they were made', async () => {
    const root = await newRoot();
    const ended = await trainyard(['link', ids[0], '--into', root, '--json']);
    const { commands, digest, files, links } = ended.json();
    // Without the caption that the control has.
    expect([files, Object.keys(links)]).toEqual([12, ['control_1', 'mask']]);
    const { stdout } = await trainyard(['link', ids[0]]);
    expect(stdout).toContain(`${TARGET} with control 1 ${CONTROL}, mask ${MASK}: 12 files`);
    await changeControl(30);
    await run('bash', ['-c', `set -o pipefail; ${commands.unpack}`]);
    await expectMoment(root, digest);
    expect((await run('sh', ['-c', commands.verify])).stdout).toBe('intact\n');
    await rm(join(root, CONTROL, '2.png'));
    await expect(run('sh', ['-c', commands.verify])).rejects.toThrow();
  });

  test('mount.sh mounts all folders, leaves them unchanged, and replaces them together or not at all', async () => {
    const machine = await MACHINES[0]![1]();
    const root = await newRoot();
    const first = await client.tarLink(ids[0]);
    const mounted = await mountBy(machine, first.url, root);
    expect(mounted).toMatchObject({ code: 0, stdout: expect.stringContaining(`mounted ${TARGET} in `) });
    expect(mounted.stdout.split('\n')).toHaveLength(4);
    await expectMoment(root, first.digest);
    expect((await mountBy(machine, first.url, root)).stdout).toBe(`${root}/${TARGET} is unchanged\n`);
    await changeControl(31);
    const next = await client.tarLink(ids[0]);
    const before = await stateOf(root);

    // A change by a person in one of them.
    await writeFile(join(root, CONTROL, 'mine.txt'), 'mine');
    const rejected = await mountBy(machine, next.url, root);
    expect([rejected.code, rejected.stderr]).toEqual([73, expect.stringContaining('mine.txt')]);
    await rm(join(root, CONTROL, 'mine.txt'));
    expect(await stateOf(root)).toEqual(before);

    // The last folder can't be moved into place.
    const path = await newRoot();
    const failing = `for each; do case $each in */new/"${TARGET}") exit 1;; esac; done`;
    await writeFile(join(path, 'mv'), `#!/bin/sh\n${failing}\nexec /usr/bin/mv "$@"\n`);
    await chmod(join(path, 'mv'), 0o755);
    const failed = await mountBy({ ...machine, path: `${path}${delimiter}${machine.path}` }, next.url, root);
    expect(failed.code).toBe(73);
    expect(await stateOf(root)).toEqual(before);

    expect((await mountBy(machine, next.url, root)).code).toBe(0);
    await expectMoment(root, next.digest);
  });
});
