import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdir, readFile, symlink } from 'node:fs/promises';
import { type networkInterfaces, tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterAll, describe, expect, onTestFinished, test } from 'vitest';
import { isLoopback } from '../../src/command-line.js';
import { serviceUrls } from '../../src/server/listening-urls.js';
import { Api } from '../harness/api.js';
import { trainyard } from '../harness/command.js';
import { folderWith } from '../harness/folder.js';
import { COMMAND, serverUntil } from '../harness/server.js';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));

test('the built command is executable, also after a second build', async () => {
  const { stdout } = await promisify(execFile)(COMMAND, ['--version']);
  expect(stdout).toMatch(/^\d+\.\d+\.\d+\n$/);
});

const server = await serverUntil(afterAll);

describe('serve', () => {
  test('exits with 78 and the reason for a port in use and an impossible folder', async () => {
    const folder = await folderWith({ file: '' });
    const port = new URL(server.url).port;
    for (const [args, reason] of [
      [['--port', port], `port ${port} of 127.0.0.1 is taken by another process. Stop that one, or take another port:`],
      [['--host', '192.0.2.1', '--port', '0'], '192.0.2.1 is not an address of this'],
      [['--port', '0', '--data', join(folder, 'file', 'x')], "can't start"],
    ] as const) {
      const ended = await trainyard(['serve', '--data', folder, ...args]);
      expect([ended.code, ended.stderr]).toEqual([78, expect.stringContaining(reason)]);
    }
  });

  test.each([
    ['token', 'create'],
    ['backup', 'copy'],
    ['verify', '--store'],
    ['jobs'],
    ['mount', 'photos', '--into', 'datasets'],
  ])('only a server makes a data folder: %s %s', async (...args) => {
    const cwd = await folderWith({});
    const { code, stderr } = await trainyard([...args, '--data', 'data'], { cwd });
    expect([code, stderr]).toEqual([66, expect.stringMatching(/No trainyard data in .*Name .* with --data/)]);
    expect(await readdir(cwd)).toEqual([]);
  });

  test('with --json prints its URL and the first token, and errors at the start', async () => {
    const folder = await folderWith({});
    const child = spawn(process.execPath, [COMMAND, 'serve', '--port', '0', '--data', folder, '--json']);
    const ended = once(child, 'exit');
    try {
      const lines = createInterface({ input: child.stdout });
      const [line] = await once(lines, 'line');
      const { url, token, ...rest } = JSON.parse(line);
      expect(rest).toEqual({ data_folder: folder, account: 'default' });
      const answer = await fetch(`${url}/prod/v1/trainers/datasets`, { headers: { authorization: `Bearer ${token}` } });
      expect(answer.status).toBe(200);
      const others: string[] = [];
      lines.on('line', (other) => others.push(other));
      const second = await trainyard(['serve', '--port', '0', '--data', folder, '--json']);
      expect([second.code, JSON.parse(second.stdout).error.code]).toEqual([75, 'TEMPORARY_FAILURE']);
      child.kill();
      expect([...(await ended), others]).toEqual([0, null, []]);
    } finally {
      child.kill();
      await ended;
    }
    const wrong = await trainyard(['serve', '--port', 'many', '--public-url', 'x', '--json']);
    const message = expect.stringMatching(/--port must be[\s\S]*--public-url must be/);
    expect(wrong).toMatchObject({ code: 78, stderr: '' });
    expect(wrong.json().error).toMatchObject({ code: 'CONFIG_ERROR', message });
  });
});

describe('the block that the first start prints', () => {
  const pushed = async (options: { cwd: string; env: Record<string, string> }) => {
    const server = await serverUntil(onTestFinished, {}, options);
    const block = /into another terminal:\n\n((?:.+\n)+)/.exec(server.output())?.[1] ?? 'exit 1';
    const { stdout } = await promisify(execFile)('sh', ['-ec', block], {
      cwd: tmpdir(),
      env: { PATH: process.env.PATH, ...options.env },
    });
    expect(stdout).toMatch(/^READY /m);
    return block;
  };

  test('is one line in a clone, signed in, which makes a READY dataset', async () => {
    const settings = await folderWith({});
    const env = { XDG_CONFIG_HOME: settings, npm_lifecycle_event: 'start' };
    expect(await pushed({ cwd: ROOT, env })).toBe(`cd ${resolve(ROOT)} && npx trainyard push examples/railway\n`);
    const saved = () => readFile(join(settings, 'trainyard/config.json'), 'utf8');
    const first = await saved();
    // That login is kept: another service has another address.
    expect(await pushed({ cwd: ROOT, env })).toMatch(/^export TRAINYARD_URL=.*\nexport TRAINYARD_TOKEN=ty_.*\ncd /);
    expect(await saved()).toBe(first);
  });

  test('has the token where no login can be saved, and works in any folder', async () => {
    const bin = await folderWith({});
    await symlink(COMMAND, join(bin, 'trainyard'));
    const env = { PATH: `${bin}:${process.env.PATH}` };
    await pushed({ cwd: tmpdir(), env });
  });
});

describe('token', () => {
  const statusWith = async (token: string) => (await new Api(server.url, token).list()).status;
  const token = (...args: string[]) => trainyard(['token', ...args, '--data', server.dataFolder]);

  test('create prints a token that is valid at once, list shows it without its secret, revoke ends it', async () => {
    const created = await token('create', '--account', 'studio');
    const secret = created.stdout.trim();
    expect(secret).toMatch(/^ty_[\w-]{43}$/);
    expect(await statusWith(secret)).toBe(200);
    const listed = await token('list', '--account', 'studio');
    const [id = ''] = /^[0-9a-f]{8}/m.exec(listed.stdout) ?? [];
    expect(listed.stdout).toContain(secret.slice(0, 7));
    expect(listed.stdout).toContain('active');
    expect(listed.stdout).not.toContain(secret.slice(0, 12));
    expect(created.stderr).toContain(id);
    const made = (await new Api(server.url, secret).json<{ secret: string }>('POST', '/tokens', {})).body.secret;
    const ending = `Revoked token ${id}. 1 token, session or share of it ended too.\n`;
    expect((await token('revoke', id, '--with-made')).stdout).toBe(ending);
    expect([await statusWith(secret), await statusWith(made)]).toEqual([401, 401]);
    expect((await token('list', '--account', 'studio')).stdout).toContain('revoked');
  });

  test.each([
    [['revoke', 'ffffffff'], 'There is no token ffffffff'],
    [['list', '--account', 'missing'], 'There is no account named "missing"'],
    [['create', '--account', '../x'], 'account name'],
  ])('%j exits with 65 and the reason', async (args, reason) => {
    const { code, stderr } = await token(...args);
    expect([code, stderr]).toEqual([65, expect.stringContaining(reason)]);
  });
});

test.each([
  ['127.0.0.1', ['http://127.0.0.1:87']],
  ['::1', ['http://[::1]:87']],
  ['0.0.0.0', ['http://127.0.0.1:87', 'http://192.168.1.5:87']],
  ['::', ['http://[::1]:87', 'http://192.168.1.5:87', 'http://[fd00::5]:87']],
])('a service on %s can be opened at %j', (host, urls) => {
  const at = (address: string, family: string) => ({ address, family, internal: address.endsWith('1') });
  const lo = [at('127.0.0.1', 'IPv4'), at('::1', 'IPv6')];
  const eth0 = [at('192.168.1.5', 'IPv4'), at('fe80::12', 'IPv6'), at('fd00::5', 'IPv6')];
  expect(serviceUrls({ host, port: 87 }, { lo, eth0 } as unknown as ReturnType<typeof networkInterfaces>)).toEqual(
    urls,
  );
});

test('loopback addresses lead to the machine on which they are opened', () => {
  const hosts = ['127.0.0.1', '127.9.9.9', '[::1]', 'localhost', '192.168.1.5', 'data.example', '127.example'];
  expect(hosts.filter((host) => isLoopback(`http://${host}:87`))).toEqual(hosts.slice(0, 4));
});

test('a service on all addresses prints URLs that can be opened, and a command that can be run', async () => {
  const open = await serverUntil(onTestFinished, { host: '0.0.0.0' });
  expect(open.output()).not.toContain('http://0.0.0.0');
  expect((await fetch(open.url)).status).toBe(200);
  const [, install] = /npm i -g (\S+)/.exec(open.output()) ?? [];
  expect((await fetch(install ?? '')).status).toBe(200);
  expect(open.output()).toMatch(/run: trainyard token create --data \//);
});
