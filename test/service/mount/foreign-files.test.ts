import { execFileSync } from 'node:child_process';
import { existsSync, lstatSync } from 'node:fs';
import { cp, mkdir, readdir, readFile, readlink, rm, symlink, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { beforeEach, describe, expect, test } from 'vitest';
import { type Ended, startCommand } from '../../harness/command.js';
import { HANGS_AFTER_MS } from '../../harness/hangs-after.js';
import { leaveStaging, mountedIn, newRoot } from '../../harness/mounting.js';
import { type ScriptedService, startScriptedService } from '../../harness/scripted-service.js';

const FILES = { 'a.jpg': 'an image', 'a.txt': 'a wagon' };

let service: ScriptedService;
let root: string;
beforeEach(async () => {
  service = await startScriptedService({ id: 'd1', name: 'railway', files: FILES });
  root = await newRoot();
});

/** Runs a command, and ends it where it hangs: a process that waits for a pipe does not even end by SIGTERM. */
async function run(args: readonly string[], env: Record<string, string> = {}): Promise<Ended> {
  const running = startCommand(args, {
    env: { TRAINYARD_URL: service.url, TRAINYARD_TOKEN: 'x', HOME: '/nowhere', ...env },
  });
  const timer = setTimeout(() => running.process.kill('SIGKILL'), HANGS_AFTER_MS);
  return running.ended.finally(() => clearTimeout(timer));
}
const mount = (...flags: string[]) => run(['mount', 'railway', '--into', root, ...flags]);

const ONE_LINE = expect.stringMatching(/^trainyard: [^\n]{10,400}\n$/);

test('a pipe as the lock, the record or a file of a mount, or in the way of its folder, is said in one line and left', async () => {
  const pipe = (path: string) => execFileSync('mkfifo', [path]);
  const isPipe = (path: string) => lstatSync(path).isFIFO();
  for (const name of ['railway/.mount.json', '.railway.mounting', '.trainyard-mount.lock']) {
    await mkdir(dirname(join(root, name)), { recursive: true });
    pipe(join(root, name));
    const ended = await mount();
    expect([name, ended.code, ended.stderr]).toEqual([name, 73, ONE_LINE]);
    expect(isPipe(join(root, name))).toBe(true);
    await rm(join(root, name.split('/', 1)[0]!), { recursive: true });
  }
  expect((await mount()).code).toBe(0);
  await rm(join(root, 'railway', 'a.jpg'));
  pipe(join(root, 'railway', 'a.jpg'));
  expect([(await mount()).code, (await mount('--replace')).code]).toEqual([73, 0]);
  pipe(join(root, 'a.jpg'));
  expect((await run(['pull', 'railway', root, '--replace'])).code).toBe(73);
  expect(isPipe(join(root, 'a.jpg'))).toBe(true);
});

test('where the system makes no folders, a command ends with one line', async () => {
  const commands = [
    ['mount', 'railway', '--into', '/proc/self/x/y'],
    ['mount', 'railway', '--into', '/dev/null/x'],
    ['pull', 'railway', '/proc/self/fd/x/y'],
  ];
  const ends = await Promise.all(commands.map((args) => run(args)));
  expect(ends.map(({ code, stderr }) => [code, stderr])).toEqual(commands.map(() => [73, ONE_LINE]));
  const login = await run(['login', service.url, '--token', 'x'], { XDG_CONFIG_HOME: '/proc/x' });
  expect(login.stderr).toEqual(ONE_LINE);
});

describe('files of a person are kept', () => {
  const mine = 'a day of work';

  test('in the staging folder, which is in the way then, and outside of it, also where its record names them', async () => {
    const staging = join(root, '.railway.mounting');
    await leaveStaging(root, 'railway', { 'a.jpg': 'an' });
    await writeFile(join(staging, 'mine.md'), mine);
    const ended = await mount('--replace');
    expect([ended.code, ended.stderr]).toEqual([73, expect.stringContaining('"mine.md"')]);
    expect(await readFile(join(staging, 'mine.md'), 'utf8')).toBe(mine);
    await rm(join(staging, 'mine.md'));
    expect((await mount()).code).toBe(0);
    expect((await mountedIn(join(root, 'railway'))).sort()).toEqual(['.mount.json', 'a.jpg', 'a.txt']);
    expect(await readdir(root)).not.toContain('.railway.mounting');
    // A kill may leave it before its record is written.
    await mkdir(staging);
    expect((await mount()).code).toBe(0);
    expect(await readdir(root)).not.toContain('.railway.mounting');

    await rm(join(root, 'railway'), { recursive: true });
    await leaveStaging(root, 'railway', { 'a.jpg': 'an' });
    await mkdir(join(root, 'other'));
    await writeFile(join(root, 'other', 'a.txt'), mine);
    const around = ['../.trainyard-mount.lock', '../.railway.mounting/a.jpg', '../.railway.mounting/.mount.json'];
    const files = ['a.jpg', '../other/a.txt', ...around].map((mounted_name) => ({ mounted_name }));
    const record = { format: 1, dataset_id: 'd1', name: 'railway', digest: '', source: '', files };
    await writeFile(join(staging, '.mount.json'), JSON.stringify(record));
    expect(await mount('--replace')).toMatchObject({ code: 73, stderr: ONE_LINE });
    expect(await readFile(join(root, 'other', 'a.txt'), 'utf8')).toBe(mine);
  });

  test('behind links with the names that a mount uses, and the links of the mount too', async () => {
    const elsewhere = await newRoot();
    await writeFile(join(elsewhere, 'a.txt'), mine);
    await symlink(elsewhere, join(root, '.railway.aside'));
    expect((await mount()).code).toBe(0);
    const [kept] = (await readdir(root)).filter((name) => name.includes('.kept-'));
    expect(await readlink(join(root, kept!))).toBe(elsewhere);
    await rm(join(root, 'railway'), { recursive: true });
    await symlink(elsewhere, join(root, '.railway.mounting'));
    expect((await mount()).code).toBe(73);
    await rm(join(root, '.railway.mounting'));
    await symlink(elsewhere, join(root, 'railway'));
    expect([(await mount()).code, (await mount('--replace')).code]).toEqual([73, 0]);
    expect(await readdir(elsewhere)).toEqual(['a.txt']);
    expect(await readFile(join(elsewhere, 'a.txt'), 'utf8')).toBe(mine);
  });

  test('that were added to or changed in an old folder beside its successor', async () => {
    expect((await mount()).code).toBe(0);
    const aside = join(root, '.railway.aside');
    await cp(join(root, 'railway'), aside, { recursive: true });
    for (const name of ['a.txt', 'mine.txt']) await writeFile(join(aside, name), mine);
    const { code, json } = await mount('--json');
    expect(code).toBe(0);
    const [kept] = (await readdir(root)).filter((entry) => entry.includes('.kept-'));
    expect(json().mounts[0].warnings).toEqual([expect.stringContaining(kept ?? '?')]);
    for (const name of ['a.txt', 'mine.txt']) expect(await readFile(join(root, kept!, name), 'utf8')).toBe(mine);
    expect((await mountedIn(root)).sort()).toEqual([kept, 'railway']);
    // The old folder as a kill leaves it.
    await cp(join(root, 'railway'), aside, { recursive: true });
    await mkdir(join(aside, '_latent_cache'));
    expect((await mount('--json')).json().mounts[0].warnings).toEqual([]);
    expect((await mountedIn(root)).sort()).toEqual([kept, 'railway']);
  });

  test('in the folder of incomplete files of pull, and behind a link with the name of that folder', async () => {
    const partial = join(root, '.trainyard-pull');
    const incomplete = `${'0'.repeat(64)}.partial`;
    await mkdir(partial);
    await writeFile(join(partial, 'a.jpg'), mine);
    await writeFile(join(partial, incomplete), 'of a pull that was killed');
    expect((await run(['pull', 'railway', root])).code).toBe(0);
    expect(await readdir(partial)).toEqual(['a.jpg']);
    expect(await readFile(join(partial, 'a.jpg'), 'utf8')).toBe(mine);
    expect(await readFile(join(root, 'a.jpg'), 'utf8')).toBe('an image');

    const [elsewhere, folder] = [await newRoot(), await newRoot()];
    await writeFile(join(elsewhere, incomplete), mine);
    await symlink(elsewhere, join(folder, '.trainyard-pull'));
    const ended = await run(['pull', 'railway', folder]);
    expect([ended.code, ended.stderr]).toEqual([73, ONE_LINE]);
    expect(await readdir(elsewhere)).toEqual([incomplete]);
    expect(existsSync(join(folder, 'a.jpg'))).toBe(false);
  });
});
