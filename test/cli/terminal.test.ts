import { readFile, rm, writeFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { folderWith, pairsOf } from '../harness/folder.js';
import { newRoot } from '../harness/mounting.js';
import { type BreakingProxy, startProxy } from '../harness/proxy.js';
import { temporaryFolder } from '../harness/server.js';
import { sharedServer } from '../harness/shared-server.js';
import { needTerminal, openTerminal } from '../harness/terminal.js';

const server = await sharedServer();
const api = await server.api();
let home: string;
let proxy: BreakingProxy;
beforeAll(async () => {
  home = await temporaryFolder();
});
afterAll(() => rm(home, { recursive: true }));
beforeEach(async (context) => {
  needTerminal(context);
  proxy = await startProxy(server.url);
});
afterEach(() => proxy.close());

const loggedIn = () => ({ TRAINYARD_URL: proxy.url, TRAINYARD_TOKEN: api.token, XDG_CONFIG_HOME: home });

describe('in a real terminal', () => {
  test('push shows the acknowledged bytes, stops at ctrl-C, and continues to READY', async () => {
    const folder = await folderWith(await pairsOf(5), 'in a terminal');
    const terminal = await openTerminal(loggedIn());
    proxy.rule(({ method }) =>
      method === 'PUT' && proxy.requests('PUT', '').length > 4 ? { holdAfterBytes: 1 } : undefined,
    );
    await terminal.trainyard(`push '${folder}' --concurrency 2`);
    const middle = await terminal.waitFor(/4 of 10 files.*\n {2}03\.jpg .*\n {2}03\.txt /);
    expect(middle).toMatch(/^━+╌+ +\d+ % {2}[\d.]+ kB of [\d.]+ kB, 4 of 10 files/m);
    expect(middle).not.toContain('100 %');
    expect(await terminal.screen({ colours: true })).toContain('\u001b[36m━');
    await terminal.press('C-c');
    const stopped = await terminal.waitFor(/ended with 130/);
    const advice = '4 of 10 files are in "in a terminal". Run the same command again to send the rest.';
    expect(stopped.replace(/\s+/g, ' ')).toContain(advice);
    expect(stopped).not.toContain('━');
    proxy.rule();
    const before = proxy.requests('PUT', '').length;
    await terminal.trainyard(`push '${folder}'`);
    const ready = await terminal.waitFor(/ended with 0/);
    expect(ready).toMatch(/^READY {2}digest [0-9a-f]{64}$/m);
    expect(ready).toContain('4 files unchanged');
    expect(proxy.requests('PUT', '')).toHaveLength(before + 6);
    const dataset = (await api.list()).body.datasets.find(({ name }) => name === basename(folder));
    expect(dataset).toMatchObject({ status: 'READY', counts: { images: 5, captions: 5 } });
  });

  test('NO_COLOR turns off colours, and not the bar', async () => {
    const folder = await folderWith(await pairsOf(1), 'colourless');
    const terminal = await openTerminal({ ...loggedIn(), NO_COLOR: '1' });
    proxy.rule(({ method }) => (method === 'PUT' ? { holdAfterBytes: 1 } : undefined));
    await terminal.trainyard(`push '${folder}'`);
    await terminal.waitFor(/╌ +0 %/);
    expect(await terminal.screen({ colours: true })).not.toContain('\u001b[');
    await terminal.press('C-c');
    await terminal.waitFor(/ended with 130/);
  });

  test('login asks for the token and does not show it', async () => {
    const terminal = await openTerminal({ XDG_CONFIG_HOME: home });
    await terminal.trainyard(`login ${proxy.url}`);
    await terminal.waitFor(/Token for http/);
    await terminal.answer(api.token);
    const text = await terminal.waitFor(/ended with \d/);
    expect(text).toContain('You are logged in');
    expect(text).not.toContain(api.token.slice(3, 12));
    const saved = JSON.parse(await readFile(join(home, 'trainyard', 'config.json'), 'utf8'));
    expect(saved).toEqual({ url: proxy.url, token: api.token });
    await terminal.trainyard('login http://127.0.0.1:8787');
    await terminal.waitFor(/Token for http:\/\/127\.0\.0\.1:8787/);
    await terminal.press('C-c');
    await terminal.waitFor(/ended with 130/);
  });

  test('rm asks, and deletes only after a yes', async () => {
    const terminal = await openTerminal(loggedIn());
    const id = await api.newDataset('to be asked for');
    for (const [key, ending, status] of [
      ['Enter', /Nothing was deleted\.\s+ended with 0/, 200],
      ['C-c', /ended with 130/, 200],
      ['y', /Deleted "to be asked for"/, 404],
    ] as const) {
      await terminal.trainyard('rm "to be asked for"');
      await terminal.waitFor(/Delete "to be asked for".*\[y\/N\] $/m);
      await (key === 'y' ? terminal.answer(key) : terminal.press(key));
      await terminal.waitFor(ending);
      expect((await api.status(id)).status).toBe(status);
    }
  });
});

test('push asks about each conflict: ours, theirs, skip, or the difference again', async () => {
  const folder = await folderWith(await pairsOf(3), 'asked by push');
  const terminal = await openTerminal({ ...loggedIn(), XDG_CONFIG_HOME: await newRoot() });
  await terminal.trainyard(`push '${folder}'`);
  await terminal.waitFor(/ended with 0/);
  const { id } = (await api.list()).body.datasets.find(({ name }) => name === 'asked by push')!;
  const names = ['01.txt', '02.txt', '03.txt'];
  for (const [i, name] of names.entries()) {
    await api.upload(id, name, `theirs ${i + 1}`);
    await writeFile(join(folder, name), `ours ${i + 1}`);
  }
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
  expect(await Promise.all(names.map((name) => api.text(id, name)))).toEqual(['ours 1', 'theirs 2', 'theirs 3']);
  const inFolder = await Promise.all(names.map((name) => readFile(join(folder, name), 'utf8')));
  expect(inFolder).toEqual(['ours 1', 'ours 2', 'ours 3']);
});
