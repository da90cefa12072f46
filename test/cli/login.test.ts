import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { trainyard } from '../harness/command.js';
import { folderWith } from '../harness/folder.js';
import { startScriptedService } from '../harness/scripted-service.js';
import { COMMAND } from '../harness/server.js';

const DATASET = { id: 'd1', name: 'railway', files: {} };
const TOKENS = ['ty_secret\nsecond', 'ty_secret\r\nsecond', 'ty_secret second', 'ty_secret\u6f22', 'ty_secret\u00e9'];

const oneLine = (origin: string) => {
  const fault = 'is empty, or has a space, a line end or a character that is not ASCII. It was not sent.\n';
  return `trainyard: ${origin} ${fault}`;
};

test.each(TOKENS)('a token that no header can carry is neither sent nor printed: %j', async (token) => {
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
  const saved = join(await folderWith({}), 'trainyard', 'config.json');
  await mkdir(dirname(saved));
  await writeFile(saved, JSON.stringify({ url: service.url, token }));
  const read = await trainyard(['ls'], { env: { XDG_CONFIG_HOME: dirname(dirname(saved)) } });
  expect(read).toMatchObject({ code: 78, stdout: '', stderr: oneLine('the saved token') });
  expect(service.seen).toEqual([]);
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
