import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { beforeAll, expect, test } from 'vitest';
import { TrainyardClient } from '../../src/client/client.js';
import * as media from '../fixtures/media.js';
import { newRoot } from '../harness/mounting.js';
import { sharedServer } from '../harness/shared-server.js';
import { needTerminal, openTerminal } from '../harness/terminal.js';
import { commandsOn } from './commands.js';

const server = await sharedServer();
const { api, envFor, run: trainyard } = await commandsOn(server);
let id: string;
beforeAll(async () => {
  id = await api.newDataset('wagons');
  await change('one').upload(id, 'red.jpg', new Blob([(await media.jpeg({ seed: 3 })) as Uint8Array<ArrayBuffer>]));
  await save('one', { 'red.txt': 'a red wagon, at dusk' });
  await save('two', { 'red.txt': 'a rusty wagon, at dusk\u001b[2J', 'blue.txt': 'a blue wagon' });
});

const change = (changeId: string) =>
  new TrainyardClient({ baseUrl: server.url, token: api.token, change: { how: 'push', id: changeId } });
const save = (changeId: string, captions: Record<string, string>) =>
  change(changeId).bulk.saveCaptions(
    id,
    Object.entries(captions).map(([filename, text]) => ({ filename, text })),
  );
const run = (...args: string[]) => trainyard(args);
const textOf = (filename: string) => api.text(id, filename);

test('log lists revisions, newest first', async () => {
  const { code, stdout } = await run('log', 'wagons');
  expect(code).toBe(0);
  expect(stdout).toMatch(/^REVISION .*\n2 .* push .*\+1 ~1 .*\n1 .* push .*\+2 .*\n$/);
  expect((await run('log', 'wagons', '--limit', '1', '--json')).json().revisions).toMatchObject([{ number: 2 }]);
  expect((await run('log', 'ships')).code).toBe(66);
});

test('diff shows names, and the words of captions without control characters', async () => {
  const { code, stdout } = await run('diff', 'wagons');
  expect([code, stdout.split('\n')]).toEqual([
    0,
    [
      'wagons, revision 1 to 2: 1 file added, 1 changed',
      '+ blue.txt  12 bytes',
      '~ red.txt  20 bytes to 26 bytes',
      '    a [-red-]{+rusty+} wagon, at dusk{+\\u001b[2J+}',
      '',
    ],
  ]);
  expect((await run('diff', 'wagons', '1', '2', '--json')).json()).toMatchObject({
    added: [{ filename: 'blue.txt', text: 'a blue wagon' }],
    changed: [{ filename: 'red.txt', from_text: 'a red wagon, at dusk' }],
  });
  const missing = await run('diff', 'wagons', '7', '8');
  expect([missing.code, missing.stderr]).toEqual([66, expect.stringContaining('Kept are 1 to 2')]);
  expect((await run('diff', 'wagons', 'x')).code).toBe(64);
});

test('mount takes an earlier revision or digest, from the service and from the data folder, and pins it', async () => {
  const { revisions } = (await run('log', 'wagons', '--json')).json();
  const digest: string = revisions[1].digest;
  for (const args of [
    ['--digest', digest, '--data', server.dataFolder],
    ['--revision', '1', '--pin'],
  ]) {
    const root = await newRoot();
    const { mounts } = (await run('mount', id, '--into', root, ...args, '--json')).json();
    expect(mounts).toMatchObject([{ outcome: 'mounted', digest, revision: 1, files: 2 }]);
    expect(await readFile(join(root, 'wagons', 'red.txt'), 'utf8')).toBe('a red wagon, at dusk');
  }
  expect((await run('log', 'wagons')).stdout).toContain('pinned: mounted in');
  expect((await run('unpin', 'wagons', '1')).code).toBe(0);
  expect((await run('mount', 'wagons', '--into', await newRoot(), '--revision', '9')).code).toBe(66);
});

test('pin keeps the latest, or a revision with a note', async () => {
  expect((await run('pin', 'wagons')).stdout).toContain('Pinned revision 2');
  const noted = await run('pin', 'wagons', '1', '--note', 'v3', '--json');
  expect(noted.json()).toMatchObject({ pinned: { note: 'v3' } });
  expect((await run('unpin', 'wagons', '2')).stdout).toContain('no longer pinned');
});

test('rollback asks in a terminal, and needs --yes elsewhere', async (context) => {
  const refused = await run('rollback', 'wagons', '1');
  expect([refused.code, refused.stderr]).toEqual([64, expect.stringContaining('--yes')]);
  expect(await textOf('blue.txt')).toBe('a blue wagon');
  needTerminal(context);
  const terminal = await openTerminal(envFor());
  await terminal.trainyard('rollback wagons 1');
  expect(await terminal.waitFor(/\[y\/N\]/)).toMatch(/- blue\.txt[\s\S]*1 file removed, 1 changed\?/);
  await terminal.answer('n');
  await terminal.waitFor(/Nothing was changed[\s\S]*ended with 0/);
  await terminal.trainyard('rollback wagons 1');
  await terminal.waitFor(/\[y\/N\]/);
  await terminal.answer('y');
  await terminal.waitFor(/Restored revision 1 of "wagons" as revision 3[\s\S]*ended with 0/);
  expect(await textOf('red.txt')).toBe('a red wagon, at dusk');
  expect((await run('rollback', 'wagons', '1')).stdout).toContain('already');
});

test('undo reverses a revision, and ends with 73 if a file was changed since', async () => {
  await save('three', { 'red.txt': 'three', 'green.txt': 'green' });
  await save('four', { 'red.txt': 'four' });
  const { revisions } = (await run('log', 'wagons', '--json')).json();
  const undone = await run('undo', 'wagons', String(revisions[1].number));
  expect(undone.code).toBe(73);
  const unnamed = await run('undo', 'wagons');
  expect([unnamed.code, unnamed.stderr]).toEqual([64, expect.stringMatching(/run: trainyard undo wagons \d+\n/)]);
  expect(undone.stdout).toContain('1 file removed');
  expect(undone.stderr).toContain('red.txt was changed again since');
  expect(await textOf('red.txt')).toBe('four');
  const again = await run('undo', 'wagons', String(revisions[0].number), '--json');
  expect([again.code, again.json()]).toMatchObject([0, { undone: ['red.txt'], kept: [] }]);
  expect(await textOf('red.txt')).toBe('three');
});
