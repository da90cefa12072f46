import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { text } from 'node:stream/consumers';
import { promisify } from 'node:util';
import { afterEach, describe, expect, onTestFinished, test, vi } from 'vitest';
import { type RemoteOptions, remoteFrom, serviceUrl } from '../../src/cli/remote.js';
import { startCommand, trainyard } from '../harness/command.js';
import { folderWith } from '../harness/folder.js';
import { freePort } from '../harness/free-port.js';
import { startScriptedService } from '../harness/scripted-service.js';
import { COMMAND } from '../harness/server.js';

describe('an output that can not be written', () => {
  test('ends the command as SIGPIPE would, when the reader of the pipe has ended', async () => {
    const running = startCommand(['check', await folderWith({ 'a.txt': 'a wagon' })]);
    running.process.stdout!.destroy();
    expect(await running.ended).toMatchObject({ code: 141, stderr: '' });
  });

  test('is named on standard error, and is no success', async () => {
    const folder = await folderWith({ 'a.txt': 'a wagon' });
    const command = `'${process.execPath}' '${COMMAND}' check '${folder}' > /dev/full`;
    const ended = await promisify(execFile)('sh', ['-c', command]).catch((error) => error);
    expect(ended).toMatchObject({ code: 74 });
    expect(ended.stderr).toMatch(/^trainyard: the output can't be written: ENOSPC[^\n]*\n$/);
  });
});

describe('the service and the token of a command', () => {
  afterEach(() => vi.unstubAllEnvs());

  interface Sources {
    /** The file that login has written. */
    readonly saved?: string;
    readonly url?: string;
    readonly token?: string;
    readonly options?: RemoteOptions;
  }

  async function remoteOf({ saved, url = '', token = '', options = {} }: Sources) {
    const files: Record<string, string> = saved === undefined ? {} : { 'trainyard/config.json': saved };
    vi.stubEnv('XDG_CONFIG_HOME', await folderWith(files));
    vi.stubEnv('TRAINYARD_URL', url);
    vi.stubEnv('TRAINYARD_TOKEN', token);
    return remoteFrom(options);
  }

  const [ONE, TWO] = ['http://one.example', 'http://two.example'];
  const saved = JSON.stringify({ url: ONE, token: 'saved' });

  test.each<[Sources, string, string]>([
    [{ saved }, ONE, 'saved'],
    [{ saved, token: 'variable' }, ONE, 'variable'],
    [{ saved, token: 'variable', options: { token: 'flag' } }, ONE, 'flag'],
    [{ saved, url: TWO, token: 'variable' }, TWO, 'variable'],
    [{ saved, url: TWO, options: { url: ONE } }, ONE, 'saved'],
    [{ saved, url: TWO, token: 'variable', options: { url: `${TWO}/` } }, TWO, 'variable'],
    [{ url: ONE, token: 'white space at the end\r\n'.replaceAll(' ', '_') }, ONE, 'white_space_at_the_end'],
  ])('of %j', async (sources, url, token) => {
    const remote = await remoteOf(sources);
    expect([remote.url, remote.token.trim()]).toEqual([url, token]);
  });

  test.each<[string, Sources, RegExp]>([
    ['nothing', {}, /no service URL is set.*trainyard login/],
    ['null', { saved: 'null' }, /no service URL is set/],
    ['damaged JSON', { saved: '{' }, /config\.json can't be read: .*log in again/],
    ['a token that is no text', { saved: `{"url":"${ONE}","token":[]}` }, /config\.json can't be read/],
    ['the saved token of another service', { saved, url: TWO }, /no token for http:\/\/two\.example is set/],
    [
      'a variable for another service',
      { url: ONE, token: 'x', options: { url: TWO } },
      /To use another one, add --token/,
    ],
    ['a URL with a password', { url: 'https://me:secret@data.example', token: 'x' }, /^(?!.*secret).*has a user or a/],
  ])('are not taken from %s', async (_, sources, message) => {
    const rejected = expect.objectContaining({ exitCode: 78, message: expect.stringMatching(message) });
    await expect(remoteOf(sources)).rejects.toEqual(rejected);
  });

  test('are not read from the current folder if HOME is empty', async () => {
    const foreign = JSON.stringify({ url: 'http://foreign.invalid', token: 'x' });
    const cwd = await folderWith({ '.config/trainyard/config.json': foreign });
    const { stderr } = await trainyard(['ls'], { cwd, env: { XDG_CONFIG_HOME: '', HOME: '' } });
    expect(stderr).not.toContain('foreign.invalid');
  });

  test.skipIf(process.getuid?.() !== 0)('can be named by a user without a home folder', async () => {
    const url = `http://127.0.0.1:${await freePort()}`;
    const env = { TRAINYARD_URL: url, TRAINYARD_TOKEN: 'x', XDG_CONFIG_HOME: '' };
    expect((await trainyard(['ls'], { uid: 54_321, env })).code).toBe(69);
  });
});

describe('a URL', () => {
  const addresses = [
    '/datasets/abc/captions?filter=blank',
    '/shared/datasets/abc#share=ty_x',
    '/docs?',
    '/#token=ty_x',
  ];
  test.each(addresses)('is the service whose page has the address %s', (address) => {
    expect(serviceUrl(`https://data.example/yard${address}`)).toBe('https://data.example/yard');
  });

  const TWICE = 'has a user or a password, and a service takes neither. Write https://data.example';
  test.each([
    ['https://me:secret@data.example/', TWICE],
    ['https://me:secret/@1@data.example:99999', 'is not the URL of a service'],
    ['ftp://me:secret@data.example', 'is not the URL of a service'],
    ['me:secret@data.example', 'is not the URL of a service'],
  ])('%s is rejected, and its password is not printed', (url, reason) => {
    const message = expect.stringMatching(new RegExp(`^(?!.*secret).*${reason}`));
    expect(() => serviceUrl(url)).toThrow(expect.objectContaining({ exitCode: 78, message }));
  });
});

test('a token that no header can carry is neither sent nor printed, wherever it is from', async () => {
  const token = 'ty_secret\nsecond';
  const service = await startScriptedService({ id: 'd1', name: 'railway', files: {} });
  const saved = await folderWith({ 'trainyard/config.json': JSON.stringify({ url: service.url, token }) });
  const here = { TRAINYARD_URL: service.url, HOME: '/nowhere' };
  for (const [args, env, code, origin] of [
    [['login', service.url], here, 64, 'the token'],
    [['ls', '--token', token], here, 64, 'the token of --token'],
    [['ls'], { ...here, TRAINYARD_TOKEN: token }, 78, 'the token of TRAINYARD_TOKEN'],
    [['ls'], { XDG_CONFIG_HOME: saved }, 78, 'the saved token'],
  ] as const) {
    const stderr = `trainyard: ${origin} is empty, or has a space, a line end or a character that is not ASCII. It was not sent.\n`;
    expect(await trainyard(args, { env, input: `${token}\n` })).toMatchObject({ code, stdout: '', stderr });
  }
  expect(service.seen).toEqual([]);
});

test.each(['SIGINT', 'SIGTERM'] as const)(
  'the first %s ends a login that reads its token from a pipe',
  async (signal) => {
    const child = spawn(process.execPath, [COMMAND, 'login', 'http://127.0.0.1:1'], {
      env: { PATH: process.env.PATH },
      stdio: ['pipe', 'ignore', 'pipe'],
    });
    onTestFinished(() => void child.kill('SIGKILL'));
    const ended = Promise.all([once(child, 'close'), text(child.stderr)]);
    child.stdin.on('error', () => {});
    // More than a pipe holds: once all of it is written, the command reads.
    await new Promise((resolve) => child.stdin.write('x'.repeat(4_000_000), resolve));
    child.kill(signal);
    const [[code], stderr] = await ended;
    expect([code, stderr]).toEqual([130, 'trainyard: interrupted\n']);
  },
);
