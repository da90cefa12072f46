import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import type { Api } from '../../harness/api.js';
import { folderWith, pairsOf } from '../../harness/folder.js';
import { newRoot } from '../../harness/mounting.js';
import { discardServer, startServer, type TestServer } from '../../harness/server.js';
import { needTerminal, openTerminal } from '../../harness/terminal.js';

let server: TestServer;
let api: Api;
beforeAll(async () => {
  server = await startServer({ 'caption-grace-seconds': 0 });
  api = await server.api();
});
afterAll(() => discardServer(server));
beforeEach(needTerminal);

/** A folder and a dataset whose captions were all changed on both sides. */
async function inConflict(name: string, pairs: number) {
  const folder = await folderWith(await pairsOf(pairs), name);
  const terminal = await openTerminal({
    TRAINYARD_URL: server.url,
    TRAINYARD_TOKEN: api.token,
    XDG_CONFIG_HOME: await newRoot(),
  });
  await terminal.trainyard(`push '${folder}'`);
  await terminal.waitFor(/ended with 0/);
  const { id } = (await api.list()).body.datasets.find((dataset) => dataset.name === name)!;
  const captions: { filename: string; text: string }[] = [];
  for (let i = 1; i <= pairs; i++) {
    captions.push({ filename: `0${i}.txt`, text: `theirs ${i}` });
    await writeFile(join(folder, `0${i}.txt`), `ours ${i}`);
  }
  await api.json('PUT', `/${id}/captions`, { captions });
  const texts = async () => {
    const { body } = await api.json<{ captions: { text: string }[] }>('POST', `/${id}/captions`, {
      filenames: captions.map(({ filename }) => filename),
    });
    return body.captions.map(({ text }) => text);
  };
  const localTexts = () => Promise.all(captions.map(({ filename }) => readFile(join(folder, filename), 'utf8')));
  return { folder, terminal, texts, localTexts };
}

test('push asks about each conflict: ours, theirs, skip, or the difference again', async () => {
  const { folder, terminal, texts, localTexts } = await inConflict('asked by push', 3);
  await terminal.trainyard(`push '${folder}'`);
  const first = await terminal.waitFor(
    /Conflict 1 of 3\. Keep ours \(folder\) or theirs \(dataset\)\? \[ours\/theirs\/skip\/diff\] $/m,
  );
  expect(first).toContain('  - ours 1\n  + theirs 1\n');
  await terminal.answer('d');
  await terminal.waitFor(/\[ours\/theirs\/skip\/diff\] d\n.*\n {2}- ours 1\n {2}\+ theirs 1\nConflict 1 of 3.*\] $/m);
  await terminal.answer('ours');
  await terminal.waitFor(/Conflict 2 of 3.*\] $/m);
  await terminal.answer('t');
  await terminal.waitFor(/Conflict 3 of 3.*\] $/m);
  await terminal.answer('s');
  const ended = await terminal.waitFor(/ended with 73/);
  expect(ended.replace(/\s+/g, ' ')).toContain('1 file is in conflict and was left alone: 03.txt.');
  expect(await texts()).toEqual(['ours 1', 'theirs 2', 'theirs 3']);
  expect(await localTexts()).toEqual(['ours 1', 'ours 2', 'ours 3']);
});

test('pull asks too, and ctrl-C changes nothing', async () => {
  const { terminal, folder, texts, localTexts } = await inConflict('asked by pull', 2);
  await terminal.trainyard(`pull 'asked by pull' '${folder}'`);
  await terminal.waitFor(/Conflict 1 of 2.*\] $/m);
  await terminal.press('C-c');
  await terminal.waitFor(/ended with 130/);
  expect(await localTexts()).toEqual(['ours 1', 'ours 2']);
  await terminal.trainyard(`pull 'asked by pull' '${folder}'`);
  await terminal.waitFor(/Conflict 1 of 2.*\] $/m);
  await terminal.answer('theirs');
  await terminal.waitFor(/Conflict 2 of 2.*\] $/m);
  await terminal.answer('o');
  await terminal.waitFor(/ended with 0/);
  expect(await localTexts()).toEqual(['theirs 1', 'ours 2']);
  expect(await texts()).toEqual(['theirs 1', 'theirs 2']);
});
