import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmod, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { delimiter, join } from 'node:path';
import { text } from 'node:stream/consumers';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { TrainyardClient } from '../../src/client/client.js';
import { digestWithLinks } from '../../src/dataset/digest.js';
import * as media from '../fixtures/media.js';
import type { Api } from '../harness/api.js';
import { whyNoBusybox } from '../harness/available.js';
import { trainyard } from '../harness/command.js';
import { digestOfFolder, mountedIn, newRoot, stateOf } from '../harness/mounting.js';
import { discardServer, startServer, type TestServer } from '../harness/server.js';

const run = promisify(execFile);
const NAMES = ['-n é rails', '-n é rails depth', 'rails mask'] as const;
const [TARGET, CONTROL, MASK] = NAMES;

let server: TestServer;
let api: Api;
let client: TrainyardClient;
let ids: readonly [target: string, control: string, mask: string];
beforeAll(async () => {
  server = await startServer({ 'caption-grace-seconds': 0 });
  api = await server.api();
  client = new TrainyardClient({ baseUrl: server.url, token: api.token });
  const idOf = async (name: string, role: string) =>
    (await api.json<{ id: string }>('POST', '', { name, role })).body.id;
  ids = [await idOf(TARGET, 'training'), await idOf(CONTROL, 'control'), await idOf(MASK, 'mask')];
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
afterAll(() => discardServer(server));

const changeControl = async (seed: number) => api.upload(ids[1], '2.PNG', await media.png({ seed }));
const record = async (root: string, name: string) =>
  JSON.parse(await readFile(join(root, name, '.mount.json'), 'utf8'));
const filesIn = async (root: string, name: string) =>
  (await readdir(join(root, name))).filter((file) => file !== '.mount.json').sort();
const environment = () => ({ TRAINYARD_URL: server.url, TRAINYARD_TOKEN: api.token });

/** All three folders, in the state that a digest names. */
async function expectMoment(root: string, digest: string): Promise<void> {
  expect(await mountedIn(root)).toEqual([...NAMES].sort());
  expect(await filesIn(root, TARGET)).toEqual(['1.jpg', '1.txt', '2.jpg', '2.txt', '3.jpg', '3.txt']);
  for (const name of [CONTROL, MASK]) expect(await filesIn(root, name)).toEqual(['1.png', '2.png', '3.png']);
  const records = await Promise.all(NAMES.map((name) => record(root, name)));
  const [own, control, mask] = records;
  expect([own.digest, mask.digest]).toEqual([digest, await digestOfFolder(join(root, MASK))]);
  const slots = [
    { slot: 'control_1', digest: control.digest },
    { slot: 'mask', digest: mask.digest },
  ] as const;
  expect(digestWithLinks(await digestOfFolder(join(root, TARGET)), slots)).toBe(digest);
  expect(own.mounted_with).toHaveLength(3);
}

test('the lines of a dataset with links unpack and verify all of its datasets, of the moment when they were made', async () => {
  const root = await newRoot();
  const ended = await trainyard(['link', ids[0], '--into', root, '--json'], { env: environment() });
  const { commands, digest, files, links } = ended.json();
  expect([files, Object.keys(links)]).toEqual([12, ['control_1', 'mask']]);
  expect((await trainyard(['link', ids[0]], { env: environment() })).stdout).toContain(
    `${TARGET} with control 1 ${CONTROL}, mask ${MASK}: 12 files`,
  );
  await changeControl(30);
  await run('bash', ['-c', `set -o pipefail; ${commands.unpack}`]);
  await expectMoment(root, digest);
  expect((await run('sh', ['-c', commands.verify])).stdout).toBe('intact\n');
  const pinned = ['mount', ids[0], '--into', root, '--digest', digest, '--json'];
  const again = (await trainyard(pinned, { env: environment() })).json().mounts[0];
  expect([again.outcome, ...again.linked.map(({ outcome }: { outcome: string }) => outcome)]).toEqual([
    'unchanged',
    'unchanged',
    'unchanged',
  ]);
  await rm(join(root, CONTROL, '2.png'));
  await expect(run('sh', ['-c', commands.verify])).rejects.toThrow();
});

test('the archive of a control has no captions; one of a target needs a token that reads all of its datasets', async () => {
  const lines = await (await fetch((await client.tarLink(ids[1])).sha256sums_url)).text();
  expect(lines.split('\n').map((line) => line.slice(66))).toEqual([
    ...['1', '2', '3'].map((stem) => `${CONTROL}/${stem}.png`),
    '',
  ]);
  const env = { TRAINYARD_DATA: server.dataFolder };
  const bound = async (...names: string[]) => {
    const made = await trainyard(['token', 'create', ...names.flatMap((name) => [`--dataset=${name}`])], { env });
    return new TrainyardClient({ baseUrl: server.url, token: made.stdout.trim() });
  };
  const some = await bound(ids[0], ids[2]);
  await expect(some.tarLink(ids[0])).rejects.toMatchObject({
    status: 404,
    message: expect.stringContaining('its control 1'),
  });
  expect((await (await bound(...ids)).tarLink(ids[0])).files).toBe(12);
  // A revision with a pin is not extended by later changes.
  const old = await client.tarLink(ids[0]);
  await client.history.pin(ids[0], old.revision, { note: 'kept' });
  await api.upload(ids[0], '1.txt', 'another caption');
  for (const wanted of [{ revision: old.revision }, { digest: old.digest }]) {
    expect(await client.tarLink(ids[0], wanted)).toMatchObject({ digest: old.digest, links: old.links });
  }
  expect((await client.tarLink(ids[0])).digest).not.toBe(old.digest);
});

const SHELLS = [['dash'], ...(whyNoBusybox() === undefined ? [['busybox', 'sh']] : [])] as [string, ...string[]][];

describe.each(SHELLS)('mount.sh with %s', (program, ...args) => {
  const mountBy = async (words: readonly string[], path = process.env.PATH ?? '') => {
    const script = await (await fetch(`${server.url}/mount.sh`)).text();
    const command = program === 'busybox' ? '/usr/bin/busybox' : program;
    const child = spawn(command, [...args, '-s', '--', ...words], { env: { PATH: path }, stdio: 'pipe' });
    child.stdin.end(script);
    const [stdout, stderr, [code]] = await Promise.all([text(child.stdout), text(child.stderr), once(child, 'close')]);
    return { code, stdout, stderr };
  };

  test('mounts all folders, leaves them unchanged, and replaces them together or not at all', async () => {
    const root = await newRoot();
    const first = await client.tarLink(ids[0]);
    const mounted = await mountBy([first.url, root]);
    expect(mounted).toMatchObject({ code: 0, stdout: expect.stringContaining(`mounted ${TARGET} in `) });
    expect(mounted.stdout.split('\n')).toHaveLength(4);
    await expectMoment(root, first.digest);
    expect((await mountBy([first.url, root])).stdout).toBe(`${root}/${TARGET} is unchanged\n`);
    await changeControl(program === 'dash' ? 31 : 32);
    const next = await client.tarLink(ids[0]);
    const before = await stateOf(root);

    // A change by a person in one of them.
    await writeFile(join(root, CONTROL, 'mine.txt'), 'mine');
    expect(await mountBy([next.url, root])).toMatchObject({ code: 73, stderr: expect.stringContaining('mine.txt') });
    await rm(join(root, CONTROL, 'mine.txt'));
    expect(await stateOf(root)).toEqual(before);

    // The last folder can't be moved into place.
    const path = await newRoot();
    await writeFile(
      join(path, 'mv'),
      `#!/bin/sh\nfor each; do case $each in */new/"${TARGET}") exit 1;; esac; done\nexec /usr/bin/mv "$@"\n`,
    );
    await chmod(join(path, 'mv'), 0o755);
    const failed = await mountBy([next.url, root], `${path}${delimiter}${process.env.PATH}`);
    expect(failed.code).toBe(73);
    expect(await stateOf(root)).toEqual(before);

    expect((await mountBy([next.url, root])).code).toBe(0);
    await expectMoment(root, next.digest);
    expect(await mountedIn(root)).toEqual([...NAMES].sort());
  });
});
