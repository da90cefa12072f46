import { execFile } from 'node:child_process';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { describe, expect, test } from 'vitest';
import { startCommand, trainyard } from '../harness/command.js';
import { folderWith } from '../harness/folder.js';
import { freePort } from '../harness/free-port.js';
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

  test.each(['null', '[]', '{}'])('%s has no service', async (saved) => {
    const home = await folderWith({ 'trainyard/config.json': saved });
    const ended = await trainyard(['ls'], { env: { ...unset, XDG_CONFIG_HOME: home } });
    expect([ended.code, ended.stderr]).toEqual([78, expect.stringContaining('no service URL is set')]);
  });

  test.each(['{', '{"url":5}', '{"url":"http://127.0.0.1:1","token":[]}'])('%s is damaged', async (saved) => {
    const home = await folderWith({ 'trainyard/config.json': saved });
    const ended = await trainyard(['ls'], { env: { ...unset, XDG_CONFIG_HOME: home } });
    expect([ended.code, ended.stderr]).toEqual([
      78,
      expect.stringMatching(/config\.json can't be read: .*log in again/),
    ]);
  });

  test('is not read from the current folder if HOME is empty', async () => {
    const cwd = await folderWith({});
    await mkdir(join(cwd, '.config', 'trainyard'), { recursive: true });
    const foreign = JSON.stringify({ url: 'http://foreign.invalid', token: 'x' });
    await writeFile(join(cwd, '.config', 'trainyard', 'config.json'), foreign);
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
    [
      'https://me:secret@data.example/',
      'has a user or a password, and a service takes neither. Write https://data.example',
    ],
    ['https://secret@data.example', 'has a user or a password'],
    ['https://me:secret@data.example:99999', 'is not the URL of a service'],
    ['https://me:secret/@1@data.example:99999', 'is not the URL of a service'],
    ['ftp://me:secret@data.example', 'is not the URL of a service'],
    ['me:secret@data.example', 'is not the URL of a service'],
  ])('%s is rejected, and its password is not printed', async (url, reason) => {
    const home = await folderWith({});
    for (const [args, env] of [
      [['ls', '--url', url], {}],
      [['ls'], { TRAINYARD_URL: url }],
      [['ls', '--json'], { TRAINYARD_URL: url }],
      [['login', url], {}],
    ] as const) {
      const { code, stdout, stderr } = await trainyard(args, {
        env: { TRAINYARD_TOKEN: 'x', XDG_CONFIG_HOME: home, ...env },
        input: 'token',
      });
      expect([code, stdout + stderr]).toEqual([78, expect.stringContaining(reason)]);
      expect(stdout + stderr).not.toContain('secret');
    }
  });
});
