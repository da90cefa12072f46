import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { promisify } from 'node:util';
import { describe, expect, onTestFinished, test } from 'vitest';
import { requireSendableToken, serviceUrl } from '../../src/cli/remote.js';
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

describe('what login has saved', () => {
  const unset = { TRAINYARD_URL: '', TRAINYARD_TOKEN: '' };

  test.each(['null', '{}'])('%s has no service', async (saved) => {
    const home = await folderWith({ 'trainyard/config.json': saved });
    const ended = await trainyard(['ls'], { env: { ...unset, XDG_CONFIG_HOME: home } });
    expect([ended.code, ended.stderr]).toEqual([78, expect.stringContaining('no service URL is set')]);
  });

  test.each(['{', '{"url":"http://127.0.0.1:1","token":[]}'])('%s is damaged', async (saved) => {
    const home = await folderWith({ 'trainyard/config.json': saved });
    const ended = await trainyard(['ls'], { env: { ...unset, XDG_CONFIG_HOME: home } });
    expect([ended.code, ended.stderr]).toEqual([
      78,
      expect.stringMatching(/config\.json can't be read: .*log in again/),
    ]);
  });

  test('is not read from the current folder if HOME is empty', async () => {
    const foreign = JSON.stringify({ url: 'http://foreign.invalid', token: 'x' });
    const cwd = await folderWith({ '.config/trainyard/config.json': foreign });
    const { stderr } = await trainyard(['ls'], { cwd, env: { ...unset, XDG_CONFIG_HOME: '', HOME: '' } });
    expect(stderr).not.toContain('foreign.invalid');
  });

  test.skipIf(process.getuid?.() !== 0)(
    'is not needed: a user without a home folder can name the service',
    async () => {
      const url = `http://127.0.0.1:${await freePort()}`;
      const env = { TRAINYARD_URL: url, TRAINYARD_TOKEN: 'x', XDG_CONFIG_HOME: '' };
      const ended = await trainyard(['ls'], { uid: 54_321, env });
      expect(ended.code).toBe(69);
    },
  );
});

describe('a URL', () => {
  test.each([
    '/datasets/abc/captions?filter=blank',
    '/shared/datasets/abc#share=ty_x',
    '/account',
    '/docs?',
    '/#token=ty_x',
  ])('is the service whose page has the address %s', (address) => {
    expect(serviceUrl(`https://data.example/yard${address}`)).toBe('https://data.example/yard');
  });

  const TWICE = 'has a user or a password, and a service takes neither. Write https://data.example';
  test.each([
    ['https://me:secret@data.example/', TWICE],
    ['https://secret@data.example', 'has a user or a password'],
    ['https://me:secret@data.example:99999', 'is not the URL of a service'],
    ['https://me:secret/@1@data.example:99999', 'is not the URL of a service'],
    ['ftp://me:secret@data.example', 'is not the URL of a service'],
    ['me:secret@data.example', 'is not the URL of a service'],
  ])('%s is rejected, and its password is not printed', (url, reason) => {
    const message = expect.stringMatching(new RegExp(`^(?!.*secret).*${reason}`));
    expect(() => serviceUrl(url)).toThrow(expect.objectContaining({ exitCode: 78, message }));
  });

  test('of a flag, of the environment and of login is checked', async () => {
    const url = 'https://me:secret@data.example';
    for (const [args, env] of [
      [['ls', '--url', url], {}],
      [['ls', '--json'], { TRAINYARD_URL: url }],
      [['login', url], {}],
    ] as const) {
      const { code, stdout, stderr } = await trainyard(args, { env: { TRAINYARD_TOKEN: 'x', ...env }, input: 'token' });
      expect([code, stdout + stderr]).toEqual([78, expect.stringContaining('has a user or a password')]);
      expect(stdout + stderr).not.toContain('secret');
    }
  });
});

const DATASET = { id: 'd1', name: 'railway', files: {} };
const TOKENS = ['ty_secret\nsecond', 'ty_secret\r\nsecond', 'ty_secret second', 'ty_secret\u6f22', 'ty_secret\u00e9'];
const [LINES] = TOKENS as [string];

const oneLine = (origin: string) => {
  const fault = 'is empty, or has a space, a line end or a character that is not ASCII. It was not sent.\n';
  return `trainyard: ${origin} ${fault}`;
};

test.each(TOKENS)('a token that no header can carry is rejected: %j', (token) => {
  const ending = expect.objectContaining({
    message: expect.stringMatching(/^x is empty, or has a space.*not sent\.$/),
  });
  expect(() => requireSendableToken(token, { exitCode: 64, origin: 'x' })).toThrow(ending);
});

test('a token that no header can carry is neither sent nor printed, wherever it is from', async () => {
  const token = LINES;
  const service = await startScriptedService(DATASET);
  const environment = { TRAINYARD_URL: service.url, HOME: '/nowhere' };
  const typed = await trainyard(['login', service.url], { env: environment, input: `${token}\n` });
  expect(typed).toMatchObject({ code: 64, stdout: '', stderr: oneLine('the token') });
  const flag = await trainyard(['ls', '--token', token], { env: environment });
  expect(flag).toMatchObject({ code: 64, stdout: '', stderr: oneLine('the token of --token') });
  const variable = await trainyard(['ls'], { env: { ...environment, TRAINYARD_TOKEN: token } });
  expect(variable).toMatchObject({ code: 78, stdout: '', stderr: oneLine('the token of TRAINYARD_TOKEN') });
  const asJson = await trainyard(['ls', '--json'], { env: { ...environment, TRAINYARD_TOKEN: token } });
  expect(asJson.json().error).toMatchObject({ exit_code: 78, code: 'CONFIG_ERROR' });
  expect(asJson.stdout).not.toContain('secret');
  const saved = await folderWith({ 'trainyard/config.json': JSON.stringify({ url: service.url, token }) });
  const read = await trainyard(['ls'], { env: { XDG_CONFIG_HOME: saved } });
  expect(read).toMatchObject({ code: 78, stdout: '', stderr: oneLine('the saved token') });
  expect(service.seen).toEqual([]);
});

test('a saved token goes only to the service that it was saved for', async () => {
  const service = await startScriptedService(DATASET);
  const saved = JSON.stringify({ url: 'http://127.0.0.1:1', token: 'ty_secret' });
  const env = { TRAINYARD_URL: service.url, XDG_CONFIG_HOME: await folderWith({ 'trainyard/config.json': saved }) };
  const { code, stderr } = await trainyard(['ls'], { env });
  expect([code, stderr, service.seen]).toEqual([78, expect.stringContaining('no token'), []]);
});

test('white space at the end of a token is not sent', async () => {
  const service = await startScriptedService(DATASET);
  const env = { TRAINYARD_URL: service.url, TRAINYARD_TOKEN: 'ty_secret\r\n' };
  expect((await trainyard(['ls'], { env })).code).toBe(0);
  expect(service.seen).toEqual([expect.stringMatching(/ Bearer ty_secret$/)]);
});

test.each(['SIGINT', 'SIGTERM'] as const)(
  'the first %s ends a login that reads its token from a pipe',
  async (signal) => {
    const child = spawn(process.execPath, [COMMAND, 'login', 'http://127.0.0.1:1'], {
      env: { PATH: process.env.PATH },
      stdio: ['pipe', 'ignore', 'pipe'],
    });
    onTestFinished(() => void child.kill('SIGKILL'));
    let stderr = '';
    child.stderr.setEncoding('utf8').on('data', (chunk) => {
      stderr += chunk;
    });
    child.stdin.on('error', () => {});
    // More than a pipe holds: once all of it is written, the command reads.
    await new Promise((resolve) => child.stdin.write('x'.repeat(4_000_000), resolve));
    child.kill(signal);
    const [code] = await once(child, 'close');
    expect([code, stderr]).toEqual([130, 'trainyard: interrupted\n']);
  },
);
