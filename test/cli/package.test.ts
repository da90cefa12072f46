import { execFile } from 'node:child_process';
import { mkdir, mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { commandLine, installLine, withCommand } from '../../src/command-line.js';
import { ownCommandOf, withOwnCommand } from '../../src/cli/terminal/print.js';
import { packageVersion } from '../../src/version.js';
import { bmp, webp } from '../fixtures/media.js';
import { trainyard } from '../harness/command.js';
import { folderWith } from '../harness/folder.js';
import { type Receiver, startReceiver } from '../harness/receiver.js';
import { startScriptedService } from '../harness/scripted-service.js';
import { temporaryFolder } from '../harness/server.js';
import { sharedServer } from '../harness/shared-server.js';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const PACKAGE = join(ROOT, 'dist/package/cli.tgz');
const run = promisify(execFile);
const server = await sharedServer();
const api = await server.api();

describe('the package that the service serves', () => {
  let folder: string;
  /** Stands for the registry, and has no package. */
  let registry: Receiver;

  beforeAll(async () => {
    folder = await temporaryFolder();
    registry = await startReceiver();
    registry.answer = (response) => response.writeHead(404).end('{}');
    await mkdir(join(folder, 'photos'));
    await writeFile(join(folder, 'photos/a.webp'), await webp());
    await writeFile(join(folder, 'photos/a.txt'), 'a wagon');
  });
  afterAll(async () => {
    await registry.close();
    await rm(folder, { recursive: true });
  });

  /** Runs a printed line as a person would, on a machine with nothing but Node: no settings, and nothing in a cache of npm. */
  async function sh(line: string, home: string) {
    const npm = `http://127.0.0.1:${registry.port}/`;
    const env = {
      PATH: `${join(home, 'bin')}:${process.env.PATH}`,
      HOME: home,
      npm_config_registry: npm,
      npm_config_prefix: home,
      TRAINYARD_URL: server.url,
      TRAINYARD_TOKEN: api.token,
    };
    return run('sh', ['-c', line], { cwd: folder, env }).then(
      (ended) => ({ ...ended, code: 0 }),
      (error: { stdout: string; stderr: string; code: number }) => error,
    );
  }

  const newHome = () => mkdtemp(join(folder, 'home-'));

  test('runs with npx from an empty folder, and asks no registry for a package', async () => {
    const home = await newHome();
    const pushed = await sh(commandLine(server.url, ['push', 'photos']), home);
    expect([pushed.code, pushed.stderr]).toEqual([0, expect.not.stringContaining('trainyard:')]);
    expect(pushed.stdout).toMatch(/READY/);
    // What this check leaves to the service was checked there when it is READY.
    expect(pushed.stdout).not.toContain('a.webp');
    const missing = await sh(commandLine(server.url, ['status', 'nothing']), home);
    const advice = `To list your datasets, run: ${commandLine(server.url, ['ls'])}\n`;
    expect([missing.code, missing.stderr]).toEqual([66, `trainyard: there is no dataset "nothing". ${advice}`]);
    // npm looks for a newer npm, and for security advisories.
    const asked = registry.received.map(({ method, path }) => `${method} ${path}`);
    expect(asked.filter((each) => !/^GET \/npm$|advisories/.test(each))).toEqual([]);
  });

  test('is installed with npm, and says what it leaves to the service and to the whole package', async () => {
    const home = await newHome();
    expect(await sh(installLine(server.url), home)).toMatchObject({ code: 0 });
    expect((await sh('trainyard --version', home)).stdout).toBe(`${packageVersion()}\n`);
    const mounted = await sh('trainyard mount photos --into root', home);
    expect([mounted.code, mounted.stderr]).toEqual([0, expect.not.stringContaining('trainyard:')]);
    expect(await readFile(join(folder, 'root/photos/a.txt'), 'utf8')).toBe('a wagon');

    const intact = await sh('trainyard check photos', home);
    expect(intact.stdout).toContain('a.webp: its structure is complete, but its pixels are decoded by the service');
    await mkdir(join(folder, 'mixed'));
    await writeFile(join(folder, 'mixed/b.bmp'), bmp());
    await writeFile(join(folder, 'mixed/b.txt'), 'a wagon');
    await writeFile(join(folder, 'mixed/c.webp'), (await webp()).subarray(0, 60));
    const checked = await sh('trainyard check mixed', home);
    expect([checked.code, checked.stdout]).toEqual([1, expect.stringMatching(/c\.webp is truncated/)]);
    const fixed = await sh('trainyard check mixed --fix', home);
    expect(fixed.stdout).toContain("b.bmp is a BMP image, which this command can't convert, since it has no decoder.");
    for (const command of ['serve', 'jobs', 'mount --data ./data photos --into root']) {
      const stderr = expect.stringMatching(/Run it on the machine that holds the data\. .* npx trainyard \w/);
      expect(await sh(`trainyard ${command}`, home)).toMatchObject({ code: 64, stderr });
    }
    expect((await sh('trainyard mount --help', home)).stdout).not.toContain('--data');
  });

  test('is served without a token, with its ETag and in ranges, and for good under the name of its version', async () => {
    const url = `${server.url}/cli.tgz`;
    const bytes = Buffer.from(await (await fetch(url)).arrayBuffer());
    expect(bytes.equals(await readFile(PACKAGE))).toBe(true);
    const head = await fetch(url, { method: 'HEAD' });
    const etag = head.headers.get('etag') ?? '';
    const length = String(bytes.length);
    expect(Object.fromEntries(head.headers)).toMatchObject({ 'cache-control': 'no-cache', 'content-length': length });
    expect(head.headers.get('trainyard-version')).toBe(packageVersion());
    // `fetch` would ask for all bytes by a header of its own.
    const unchanged = await run('curl', ['-sI', '-H', `If-None-Match: ${etag}`, url]);
    expect(unchanged.stdout).toMatch(/^HTTP\/1\.1 304/);
    const part = await fetch(url, { headers: { range: 'bytes=10-19' } });
    expect(Buffer.from(await part.arrayBuffer())).toEqual(bytes.subarray(10, 20));
    const versioned = await fetch(`${server.url}/cli-${packageVersion()}.tgz`);
    expect(versioned.headers.get('cache-control')).toContain('immutable');
    expect(Buffer.from(await versioned.arrayBuffer()).equals(bytes)).toBe(true);
    expect((await fetch(`${server.url}/cli-0.0.1.tgz`)).status).toBe(404);
  });
});

test('the package has no dependencies, is small, and is the same each time that it is built', async () => {
  const folder = await folderWith({});
  await run(process.execPath, ['scripts/build-cli-package.js', folder], { cwd: ROOT });
  expect((await readFile(join(folder, 'cli.tgz'))).equals(await readFile(PACKAGE))).toBe(true);
  expect((await stat(PACKAGE)).size).toBeLessThan(2_000_000);
  const { stdout } = await run('tar', ['-xzOf', PACKAGE, 'package/package.json']);
  const manifest = JSON.parse(stdout);
  expect(manifest).toMatchObject({ name: 'trainyard', version: packageVersion() });
  expect(manifest).not.toHaveProperty('dependencies');
});

test('a command names other commands as they are called where it was started', async () => {
  const folder = await folderWith({});
  const started = async (name: string, packages: readonly string[]) => {
    await mkdir(join(folder, name));
    await writeFile(join(folder, name, 'package.json'), JSON.stringify({ _npx: { packages } }));
    return ownCommandOf(join(folder, name, 'node_modules/.bin/trainyard'), {}).command;
  };
  expect(await started('url', ['http://host:8787/cli.tgz'])).toBe('npx --yes http://host:8787/cli.tgz');
  expect(await started('password', ['https://me:secret@host/cli.tgz'])).toBe('npx --yes https://host/cli.tgz');
  expect(await started('clone', ['/home/me/trainyard'])).toBe('npx trainyard');
  expect(ownCommandOf(join(folder, 'project/node_modules/.bin/trainyard'), {}).command).toBe('npx trainyard');
  expect(ownCommandOf('/usr/local/bin/trainyard', {}).command).toBe('trainyard');
  expect(ownCommandOf('/srv/clone/dist/cli/main.js', { npm_lifecycle_event: 'start' }).command).toBe('npx trainyard');
  expect(withOwnCommand('run: trainyard ls')).toBe('run: trainyard ls');
  const inClone = { command: 'npx trainyard', isRemote: false };
  const line = '$ BLOBS_URL=s3://lora trainyard token create | trainyard login URL';
  expect(withCommand(line, inClone)).toBe(line.replaceAll('trainyard ', 'npx trainyard '));
});

test('a command warns once of a service of another version, and prints the line that gets that version', async () => {
  const dataset = { id: '0198a2d6-8a3c-7f00-8000-000000000001', name: 'wagons', files: { 'a.txt': 'a wagon' } };
  const service = await startScriptedService(dataset, (_request, response) => {
    response.setHeader('trainyard-version', '9.8.7');
    return false;
  });
  const ended = await trainyard(['show', 'wagons', '--url', service.url, '--token', 'ty_x', '--json']);
  const versions = `this command is version ${packageVersion()}, and ${service.url} is 9.8.7.`;
  const advice = `To get that one, run: npm i -g ${service.url}/cli.tgz`;
  expect([ended.code, ended.stderr]).toEqual([0, `trainyard: ${versions} ${advice}\n`]);
  expect(ended.json()).toMatchObject({ name: 'wagons' });
});
