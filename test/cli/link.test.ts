import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { mkdir, readdir, readFile, symlink, utimes, writeFile } from 'node:fs/promises';
import { delimiter, join } from 'node:path';
import { text } from 'node:stream/consumers';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import type { WireNewToken } from '../../src/api/account-schemas.js';
import { TrainyardClient } from '../../src/client/client.js';
import { tarCommands } from '../../src/command-line.js';
import { mountSmallDisk } from '../faults/small-disk.js';
import * as media from '../fixtures/media.js';
import type { Api } from '../harness/api.js';
import { whyNoBusybox } from '../harness/available.js';
import { trainyard } from '../harness/command.js';
import { datasetOf, mountedIn, newRoot } from '../harness/mounting.js';
import { startProxy } from '../harness/proxy.js';
import { discardServer, eventually, startServer, type TestServer } from '../harness/server.js';
import { trainerWalk } from '../harness/trainer.js';

const run = promisify(execFile);

/** Names that a shell could take for options, patterns, quotes or commands, and one that needs a long-name entry. */
const STEMS = ['-rf', '$(touch owned)', '`id`; rm', `a'b"c`, '* ?', ' & |', 'é🚂 #', 'x'.repeat(250)];
const NAME = '-n é yard';

let server: TestServer;
let api: Api;
let client: TrainyardClient;
let id: string;
let files: Record<string, Buffer | string>;
beforeAll(async () => {
  server = await startServer({ 'caption-grace-seconds': 0 });
  api = await server.api();
  client = new TrainyardClient({ baseUrl: server.url, token: api.token });
  const images = await Promise.all(STEMS.map((_, seed) => media.png({ width: 220, height: 220, seed })));
  files = Object.fromEntries(
    STEMS.flatMap((stem, i) => [
      [`${stem}.PNG`, images[i]!],
      [`${stem}.txt`, stem],
    ]),
  );
  id = await datasetOf(api, files, NAME);
});
afterAll(() => discardServer(server));

const expectMounted = async (root: string) => {
  const folder = join(root, NAME);
  const names = (await readdir(folder)).filter((name) => !name.startsWith('.'));
  expect(names.sort()).toEqual(
    Object.keys(files)
      .map((name) => name.replace('.PNG', '.png'))
      .sort(),
  );
  for (const [name, bytes] of Object.entries(files)) {
    expect((await readFile(join(folder, name.replace('.PNG', '.png')))).equals(Buffer.from(bytes)), name).toBe(true);
  }
  expect(trainerWalk(folder)).toHaveLength(STEMS.length);
};

/** The stored file with these bytes. */
async function blobOf(bytes: Buffer): Promise<string> {
  const entries = await readdir(server.dataFolder, { recursive: true, withFileTypes: true });
  for (const entry of entries.filter((found) => found.isFile())) {
    const path = join(entry.parentPath, entry.name);
    if ((await readFile(path)).equals(bytes)) return path;
  }
  throw new Error('No stored file has these bytes.');
}

describe('the lines of trainyard link', () => {
  const link = async (...args: string[]) => {
    const env = { TRAINYARD_URL: server.url, TRAINYARD_TOKEN: api.token };
    return trainyard(['link', id, ...args], { env });
  };

  test('unpack, verify and mount the dataset, and a later mount takes the folder for its own', async () => {
    const [root, other] = [join(await newRoot(), "it's new"), await newRoot()];
    const { commands, expires_at } = (await link('--into', root, '--expires', '7d', '--json')).json();
    const lifeMs = Date.parse(`${expires_at.slice(0, 23)}Z`) - Date.now();
    expect(Math.abs(lifeMs - 7 * 86_400_000)).toBeLessThan(120_000);
    await run('bash', ['-c', `set -o pipefail; ${commands.unpack}`]);
    await expectMounted(root);
    expect((await run('sh', ['-c', commands.verify])).stdout).toBe('intact\n');
    const env = { TRAINYARD_URL: server.url, TRAINYARD_TOKEN: api.token };
    const again = await trainyard(['mount', id, '--into', root, '--json'], { env });
    expect([again.code, again.json().mounts[0].outcome]).toEqual([0, 'unchanged']);
    await writeFile(join(root, NAME, 'new.txt'), 'mine');
    expect((await trainyard(['mount', id, '--into', root], { env })).code).toBe(73);
    const script = (await link('--into', other)).stdout.trim().split('\n').at(-1) ?? '';
    expect((await run('sh', ['-c', script])).stdout).toContain(`mounted ${NAME}`);
    await expectMounted(other);
  });

  test('fail if the archive breaks, also without pipefail, and leave no record of a mount', async () => {
    const proxy = await startProxy(server.url);
    onTestFinished(() => proxy.close());
    proxy.rule(({ pathname }) => (pathname.endsWith('/tar') ? 'cut-answer' : undefined));
    const root = await newRoot();
    const env = { TRAINYARD_URL: proxy.url, TRAINYARD_TOKEN: api.token };
    const { commands } = (await trainyard(['link', id, '--into', root, '--json'], { env })).json();
    await expect(run('sh', ['-c', commands.unpack])).rejects.toThrow('Unexpected EOF');
    expect(existsSync(join(root, NAME, '.mount.json'))).toBe(false);
    await expect(run('sh', ['-c', commands.verify])).rejects.toThrow();
  });

  test('fail if the service finds a file damaged, which is then incomplete', async () => {
    const root = await newRoot();
    const { url } = await client.tarLink(id);
    const bytes = Buffer.from(files['-rf.PNG'] ?? '');
    const blob = await blobOf(bytes);
    const byte = Buffer.from([bytes[5000]! ^ 1]);
    onTestFinished(() => writeFile(blob, bytes));
    await writeFile(blob, Buffer.concat([bytes.subarray(0, 5000), byte, bytes.subarray(5001)]));
    await expect(
      run('sh', ['-c', tarCommands({ url, sha256sums_url: url, script_url: url }, root).unpack]),
    ).rejects.toThrow('Unexpected EOF');
    expect((await readFile(join(root, NAME, '-rf.png'))).length).toBeLessThan(bytes.length);
  });

  test('are not made of what is not READY, with 65 and how to see why', async () => {
    await api.upload(await api.newDataset('unfit'), 'a.png', await media.png({ width: 20, height: 20 }));
    const env = { TRAINYARD_URL: server.url, TRAINYARD_TOKEN: api.token };
    const ended = await trainyard(['link', 'unfit'], { env });
    expect([ended.code, ended.stderr]).toEqual([65, expect.stringMatching(/"unfit" is FAILED.*trainyard status/)]);
    expect((await trainyard(['link', 'unfit', '--expires', '8d'], { env })).code).toBe(64);
    expect((await link('--revision', '1', '--digest', 'a'.repeat(64))).code).toBe(64);
  });
});

/** A machine: a shell, and the folders of its commands. */
interface Machine {
  readonly shell: readonly string[];
  readonly path: string;
}

const noBusybox = whyNoBusybox();

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

const MACHINES: [string, () => Promise<Machine>][] = [
  ['dash', async () => ({ shell: ['dash'], path: process.env.PATH ?? '' })],
  ...(noBusybox === undefined
    ? ([
        ['busybox and curl', async () => ({ shell: ['busybox', 'sh'], path: await busyboxPath(['curl']) })],
        ['busybox alone', async () => ({ shell: ['busybox', 'sh'], path: await busyboxPath([]) })],
      ] as [string, () => Promise<Machine>][])
    : []),
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
    await writeFile(join(root, NAME, 'mine.txt'), 'mine');
    // By a clock that is behind that of the service.
    const hourAgo = Date.now() / 1000 - 3600;
    await utimes(join(root, NAME, 'mine.txt'), hourAgo, hourAgo);
    expect(await mountBy(machine, next.url, root)).toMatchObject({
      code: 73,
      stderr: expect.stringContaining('mine.txt'),
    });
    expect((await mountBy(machine, '--replace', next.url, root)).code).toBe(0);
    await expectMounted(root);
    const foreign = await newRoot();
    await mkdir(join(foreign, NAME));
    await writeFile(join(foreign, NAME, 'photo.jpg'), 'mine');
    expect(await mountBy(machine, next.url, foreign)).toMatchObject({
      code: 73,
      stderr: expect.stringContaining('--replace'),
    });
    expect(await readdir(foreign, { recursive: true })).toEqual([NAME, join(NAME, 'photo.jpg')]);
  });

  test('ends at once with 73 each time, however soon after it took the lock', async () => {
    const machine = await machineOf();
    const { url } = await client.tarLink(id);
    for (let i = 0; i < 10; i++) {
      const roots = await Promise.all([1, 2, 3, 4].map(() => newRoot()));
      for (const root of roots) await mkdir(join(root, NAME, 'mine'), { recursive: true });
      const codes = await Promise.all(roots.map(async (root) => (await mountBy(machine, url, root)).code));
      expect(codes).toEqual([73, 73, 73, 73]);
    }
  });

  test('names what is wrong, and changes nothing', async () => {
    const machine = await machineOf();
    const proxy = await startProxy(server.url);
    onTestFinished(() => proxy.close());
    const root = await newRoot();
    const { url } = await new TrainyardClient({ baseUrl: proxy.url, token: api.token }).tarLink(id);
    expect((await mountBy(machine, url, root)).code).toBe(0);
    await api.upload(id, '-rf.txt', 'damaged');
    const next = await new TrainyardClient({ baseUrl: proxy.url, token: api.token }).tarLink(id);
    const isTar = ({ pathname }: { pathname: string }) => pathname.endsWith('/tar');
    proxy.rule((seen) => (isTar(seen) ? 'cut-answer' : undefined));
    expect(await mountBy(machine, next.url, root)).toMatchObject({
      code: 74,
      stderr: expect.stringContaining('try again'),
    });
    const damaged = (body: Buffer) => Buffer.from(body.toString('latin1').replace('damaged', 'Damaged'), 'latin1');
    proxy.rule((seen) =>
      isTar(seen) ? { alter: ({ headers, body }) => ({ headers, body: damaged(body) }) } : undefined,
    );
    expect(await mountBy(machine, next.url, root)).toMatchObject({
      code: 65,
      stderr: expect.stringContaining('-rf.txt'),
    });
    proxy.rule();
    const changed = next.url.replace(/expires=\d/, 'expires=9');
    expect((await mountBy(machine, changed, root)).code).toBe(name === 'busybox alone' ? 69 : 77);
    expect((await mountBy(machine, 'http://127.0.0.1:1/x/tar?digest=1', root)).code).toBe(69);
    expect((await mountBy(machine, url.slice(0, 30), root)).code).toBe(64);
    expect(await mountedIn(root)).toEqual([NAME]);
    expect(await readFile(join(root, NAME, '-rf.txt'), 'utf8')).toBe(files['-rf.txt']);
    await api.upload(id, '-rf.txt', files['-rf.txt'] as string);
  });

  test.each(['SIGINT', 'SIGTERM'] as const)('removes what it wrote after %s', async (signal) => {
    const proxy = await startProxy(server.url);
    onTestFinished(() => proxy.close());
    // Answers never.
    proxy.rule(({ pathname }) => (pathname.endsWith('/tar') ? new Promise(() => {}) : undefined));
    const root = await newRoot();
    const { url } = await new TrainyardClient({ baseUrl: proxy.url, token: api.token }).tarLink(id);
    const { child, ended } = await startScript(await machineOf(), [url, root]);
    await eventually(() => proxy.requests('GET', '/tar?')[0]);
    child.kill(signal);
    expect((await ended).code).toBe(signal === 'SIGINT' ? 130 : 143);
    expect(await readdir(root)).toEqual([]);
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
  const { secret } = (await api.json<WireNewToken>('POST', '/tokens', { expires_in: 5 })).body;
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
