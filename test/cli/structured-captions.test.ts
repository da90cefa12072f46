import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import * as media from '../fixtures/media.js';
import { trainyard } from '../harness/command.js';
import { folderWith } from '../harness/folder.js';
import { newRoot } from '../harness/mounting.js';
import { sharedServer } from '../harness/shared-server.js';
import { commandsOn } from './commands.js';

const { run } = await commandsOn(await sharedServer());

test('structured captions are pushed and pulled; files of a whole dataset are left out with the reason', async () => {
  const structured = '{"high_level_description": "a red wagon"}';
  const files = { 'a.jpg': await media.jpeg(), 'a.txt': 'a red wagon', 'a.json': structured };
  const folder = await folderWith({ ...files, 'metadata.json': '{}', 'captions.json': '[' });
  const pushed = await run(['push', folder, '--name', 'wagons', '--json']);
  expect([pushed.code, pushed.json()]).toEqual([0, expect.objectContaining({ sent: ['a.jpg', 'a.json', 'a.txt'] })]);
  const listed = await run(['show', 'wagons']);
  expect(listed.stdout).toMatch(/a\.jpg .* a red wagon\na\.json .* structured caption\n/);
  const pulled = join(await newRoot(), 'pulled');
  expect((await run(['pull', 'wagons', pulled])).code).toBe(0);
  expect((await readdir(pulled)).sort()).toEqual(Object.keys(files).sort());
  expect(await readFile(join(pulled, 'a.json'), 'utf8')).toBe(structured);
  const { stdout } = await run(['train-config', 'wagons']);
  expect(stdout).toContain('1 structured caption (.json) is there');
});

test('structured captions are checked; a caption to generate is not taken for there because of one', async () => {
  const folder = await folderWith({ 'a.jpg': await media.jpeg(), 'a.json': '{"a": 1,}', 'metadata.json': '{}' });
  const checked = await trainyard(['check', folder]);
  expect(checked.code).toBe(1);
  expect(checked.stdout).toContain('a.json is not valid JSON: line 1, column 9:');
  expect(checked.stdout).toContain('metadata.json describes a whole dataset');
  const other = await folderWith({ 'a.jpg': await media.jpeg(), 'a.json': '{"a": 1}' });
  const pushed = await run(['push', other, '--name', 'generated', '--caption-all', 'sks', '--json']);
  expect([pushed.code, pushed.json().made_up]).toEqual([0, ['a.txt']]);
});

test('check says of captions what the page says', async () => {
  const texts = ['a wagon', 'two rails', 'an engine', 'the yard', 'fog'];
  const captions = texts.map((text, i) => [`${i}.txt`, `sks, ${text}, masterpiece`] as const);
  const images = texts.map(async (_, i) => [`${i}.jpg`, await media.jpeg({ seed: i })] as const);
  const folder = await folderWith(Object.fromEntries([...captions, ...(await Promise.all(images))]));
  const document = (await trainyard(['check', folder, '--json'])).json();
  expect(document.captions).toEqual([expect.objectContaining({ code: 'REPEATED_TAG', what: 'masterpiece' })]);
});
