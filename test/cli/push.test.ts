import { readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { appendFile, cp, rename, rm, writeFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { describe, expect, onTestFinished, test } from 'vitest';
import { pushExitCode } from '../../src/cli/push/push.js';
import { TrainyardError } from '../../src/client/client.js';
import * as media from '../fixtures/media.js';
import { ONLY_PROGRESS, type Running, trainyard } from '../harness/command.js';
import { folderWith, pairsOf } from '../harness/folder.js';
import { eventually } from '../harness/server.js';
import { sharedServer } from '../harness/shared-server.js';
import { commandsOn } from './commands.js';
import { sha256 } from '../harness/sha256.js';

const server = await sharedServer();
const { api, client, run, start, newName, newProxy, statusOf, namesIn, textIn } = await commandsOn(server);
const push = (args: readonly string[], url?: string) => run(['push', ...args], url);

/** What `sha256sum * | sha256sum` prints in the folder. */
function digestOf(folder: string): string {
  // As `*` leaves out hidden files, such as the lock that a running command removes.
  const names = readdirSync(folder).filter((name) => !name.startsWith('.'));
  const lines = names.map((name) => ({ name, line: `${sha256(readFileSync(join(folder, name)))}  ${name}\n` }));
  lines.sort((a, b) => Buffer.compare(Buffer.from(a.name), Buffer.from(b.name)));
  return sha256(lines.map(({ line }) => line).join(''));
}

describe('push', () => {
  test('uploads a folder as a dataset, waits for READY, and sends nothing the second time', async () => {
    const folder = await folderWith(await pairsOf(2), newName());
    const first = await push([folder]);
    expect(first).toMatchObject({ code: 0, stderr: expect.stringMatching(ONLY_PROGRESS) });
    expect(first.stdout).toContain(`Sent 2 images and 2 captions to "${basename(folder)}".`);
    expect(first.stdout).toContain(`READY  digest ${digestOf(folder)}`);
    const again = await push([folder, '--json']);
    const dataset = { name: basename(folder), status: 'READY', digest: digestOf(folder) };
    expect(again.json()).toMatchObject({ dataset, sent: [], unchanged: { length: 4 }, failed: [] });
    await writeFile(join(folder, '01.txt'), 'wagon 9');
    expect((await push([folder, '--json'])).json()).toMatchObject({ sent: ['01.txt'], unchanged: { length: 3 } });
    expect(await textIn(basename(folder), '01.txt')).toBe('wagon 9');
    const { revisions } = (await run(['log', basename(folder), '--json'])).json();
    expect(revisions.map(({ how }: { how: string }) => how)).toEqual(['push', 'push']);
  });

  test('accepts single files, and a name for the dataset', async () => {
    const folder = await folderWith(await pairsOf(2));
    const name = newName();
    const files = ['01.jpg', '01.txt'].map((file) => join(folder, file));
    expect((await push([...files, '--name', ` ${name} `])).code).toBe(0);
    expect(await namesIn(name)).toEqual(['01.jpg', '01.txt']);
  });

  test('--dry-run prints what would be done, and changes nothing', async () => {
    const folder = await folderWith(await pairsOf(2), newName());
    const fresh = await push([folder, '--dry-run']);
    expect(fresh.stdout).toMatch(/Would send 4 files, .*, to a new dataset "set/);
    expect(await statusOf(basename(folder))).toBeUndefined();
    await push([folder]);
    await rm(join(folder, '02.jpg'));
    await rm(join(folder, '02.txt'));
    await writeFile(join(folder, '01.txt'), 'changed');
    const { json } = await push([folder, '--dry-run', '--replace', '--json']);
    expect(json()).toMatchObject({ exists: true, send: ['01.txt'], send_bytes: 7, unchanged: 1 });
    expect(json().remove.sort()).toEqual(['02.jpg', '02.txt']);
    expect(await namesIn(basename(folder))).toHaveLength(4);
  });

  test('sends nothing if a file has errors, or leaves it out with --skip-bad', async () => {
    const bad = { 'bad.jpg': media.damaged.html(), 'bad.txt': 'x', 'bare.jpg': await media.jpeg(), 'a\\b.jpg': 'x' };
    const folder = await folderWith({ ...(await pairsOf(1)), ...bad }, newName());
    const stopped = await push([folder]);
    expect(stopped.code).toBe(65);
    expect(stopped.stdout).toMatch(/^✗ bad\.jpg /m);
    expect(stopped.stderr).toContain('nothing was sent: 3 errors');
    expect(stopped.stderr).toContain('--skip-bad');
    expect(await statusOf(basename(folder))).toBeUndefined();
    const skipping = await push([folder, '--skip-bad']);
    expect([skipping.code, skipping.stdout]).toEqual([0, expect.stringMatching(/^- Left out: bad\.jpg /m)]);
    expect(await namesIn(basename(folder))).toEqual(['01.jpg', '01.txt']);
  });

  test('lists images without a caption, and generates captions with --trigger and --caption-all', async () => {
    const bare = { 'a.jpg': await media.jpeg({ seed: 1 }), 'b.jpg': await media.jpeg() };
    const folder = await folderWith({ ...bare, 'b.txt': 'my own words' }, newName());
    const stopped = await push([folder]);
    expect([stopped.code, stopped.stdout]).toEqual([65, expect.stringMatching(/^✗ a\.jpg has no caption/m)]);
    expect(stopped.stderr).toContain('--trigger WORD or --caption-all TEXT');
    expect((await push([folder, '--allow-uncaptioned', '--dry-run'])).stdout).toContain('Would send 3 files');
    const pushed = await push([folder, '--trigger', 'wgn1']);
    expect([pushed.code, pushed.stdout]).toEqual([0, expect.stringContaining('1 caption generated: a.txt.')]);
    expect(await textIn(basename(folder), 'a.txt')).toBe('wgn1');
    // Captions of the dataset stay, also without those of the folder.
    await rm(join(folder, 'b.txt'));
    const both = ['--caption-all', 'a wagon', '--trigger', 'wgn1'];
    await push([folder, ...both]);
    expect(await textIn(basename(folder), 'a.txt')).toBe('wgn1');
    expect(await textIn(basename(folder), 'b.txt')).toBe('my own words');
    // The folder's own caption was removed from it, and --replace removes it from the dataset too.
    await push([folder, ...both, '--replace']);
    expect(await textIn(basename(folder), 'b.txt')).toBe('wgn1, a wagon');
  });

  test("never replaces a caption that can't be read by a generated one", async () => {
    const files = { 'a.jpg': await media.jpeg({ seed: 1 }), 'a.txt': Buffer.from('a caf\u00e9', 'latin1') };
    const capital = { 'c.jpg': await media.jpeg({ seed: 3 }), 'c.TXT': 'my own words' };
    const folder = await folderWith({ ...files, ...capital, 'b.jpg': await media.jpeg() }, newName());
    const skipping = await push([folder, '--trigger', 'wgn1', '--skip-bad']);
    expect(skipping.stdout).toMatch(
      /- Left out: a\.txt is not UTF-8[\s\S]*- Left out: a\.jpg has a caption that is left out/,
    );
    expect([skipping.code, skipping.stdout]).toEqual([0, expect.stringContaining('1 caption generated: b.txt.')]);
    expect(await namesIn(basename(folder))).toEqual(['b.jpg', 'b.txt', 'c.TXT', 'c.jpg']);
  });

  test('--replace removes what is no longer in the folder, rejected and pending uploads too, and keeps files with errors', async () => {
    const folder = await folderWith(await pairsOf(3), newName());
    await push([folder]);
    const { id } = (await statusOf(basename(folder)))!;
    await rm(join(folder, '03.jpg'));
    await rm(join(folder, '03.txt'));
    await writeFile(join(folder, '02.jpg'), media.damaged.html());
    await api.upload(id, 'page.jpg', media.damaged.html());
    expect((await push([folder])).code).toBe(65);
    const dry = await push([folder, '--replace', '--skip-bad', '--dry-run']);
    expect(dry.stdout).toContain('Would remove 3 files: 03.jpg, 03.txt, page.jpg.');
    expect(await namesIn(basename(folder))).toHaveLength(6);
    const { json } = await push([folder, '--replace', '--skip-bad', '--json']);
    expect(json()).toMatchObject({ removed: ['03.jpg', '03.txt', 'page.jpg'], dataset: { status: 'READY' } });
    expect(await namesIn(basename(folder))).toEqual(['01.jpg', '01.txt', '02.jpg', '02.txt']);
    await api.link(id, 'left open.jpg', 5);
    const waiting = expect.stringContaining('waiting for left open.jpg until ');
    expect(await run(['status', basename(folder)])).toMatchObject({ code: 0, stdout: waiting });
    const again = await push([folder, '--replace', '--skip-bad', '--json']);
    expect(again.json()).toMatchObject({ removed: ['left open.jpg'], dataset: { status: 'READY' } });
  });

  test('exits with 64 for invalid arguments, 65 for a name that no dataset can have, and 78 without a service', async () => {
    const one = await folderWith(await pairsOf(1), 'wagons (2)');
    expect(await push([one])).toMatchObject({ code: 65, stderr: expect.stringContaining('--name "wagons _2_"') });
    const two = await folderWith(await pairsOf(1));
    expect(await push([one, two])).toMatchObject({ code: 64, stderr: expect.stringContaining('--name') });
    for (const args of [
      [two, '--watch', '--dry-run'],
      [join(two, '01.jpg'), '--watch'],
      [join(two, '01.jpg'), '--replace'],
      [two, '--concurrency', '0'],
      [two, '--trigger', ' '],
      [two, '--in-place'],
    ]) {
      expect([args, (await push(args)).code]).toEqual([args, 64]);
    }
    const unset = await trainyard(['push', one], { env: { XDG_CONFIG_HOME: '/nonexistent' } });
    expect([unset.code, unset.stderr]).toEqual([78, expect.stringContaining('login')]);
  });
});

test('the most severe result decides the exit code of a push', () => {
  const codeOf = (status: string, error?: Error, { conflicts = [''], unreadable = [''] } = {}) => {
    const result = { failed: error ? [{ error }] : [] };
    return pushExitCode({ plan: { report: { unreadable } }, dataset: { status }, result, conflicts } as never);
  };
  const [grown, none] = [new Error('it has grown'), { conflicts: [], unreadable: [] }];
  const rejected = new TrainyardError(422, { error_code: 422001, error_message: '' });
  expect(codeOf('FAILED', rejected)).toBe(73);
  expect(codeOf('FAILED', rejected, { conflicts: [] })).toBe(1);
  expect([rejected, grown].map((error) => codeOf('READY', error, none))).toEqual([65, 74]);
  expect(codeOf('DRAFT', undefined, { conflicts: [] })).toBe(74);
  expect(['DRAFT', 'READY', 'UPLOADING'].map((status) => codeOf(status, undefined, none))).toEqual([65, 0, 0]);
});

describe('an interrupted push', () => {
  const commands = ['push --concurrency 1', 'push --watch --concurrency 1'];
  test.each(commands)('by ctrl-C exits with 130, and the next sends only what is missing: %s', async (command) => {
    const proxy = await newProxy();
    const folder = await folderWith(await pairsOf(4), newName());
    const isFourth = ({ method }: { method: string }) => method === 'PUT' && proxy.requests('PUT', '').length > 3;
    proxy.rule((seen) => (isFourth(seen) ? { holdAfterBytes: 1 } : undefined));
    const running = start([...command.split(' '), folder], proxy.url);
    await eventually(() => (proxy.requests('PUT', '')[3]?.bytes ?? 0) > 0 || undefined);
    running.process.kill('SIGINT');
    const { code, stderr } = await running.ended;
    expect(code).toBe(130);
    expect(stderr).toContain(`3 of 8 files are in "${basename(folder)}". Run the same command again to send the rest.`);
    proxy.rule();
    // What it has sent is in common: a later edit of the dataset is newer, and no conflict.
    const { id } = (await statusOf(basename(folder)))!;
    await api.upload(id, '01.txt', 'edited in the meantime');
    const before = proxy.requests('PUT', '').length;
    const again = await push([folder, '--json'], proxy.url);
    expect(again.json()).toMatchObject({ unchanged: { length: 2 }, kept: { changed_in_dataset: ['01.txt'] } });
    expect(await textIn(basename(folder), '01.txt')).toBe('edited in the meantime');
    expect(proxy.requests('PUT', '')).toHaveLength(before + 5);
  });

  test('by files that grow and vanish lists them and sends the others', async () => {
    const proxy = await newProxy();
    const folder = await folderWith(await pairsOf(3), newName());
    await api.upload(await api.newDataset(basename(folder)), 'old.txt', 'not in the folder');
    proxy.rule(({ method }) => (method === 'PUT' && !isReleased ? { holdAfterBytes: 1 } : undefined));
    let isReleased = false;
    const mirroring = ['push', folder, '--replace', '--ours', '--concurrency', '1'];
    const running = start(mirroring, proxy.url);
    await eventually(() => (proxy.requests('PUT', '').some(({ bytes }) => bytes > 0) ? true : undefined));
    await rm(join(folder, '03.jpg'));
    await rm(join(folder, '03.txt'));
    await appendFile(join(folder, '02.txt'), ' and more');
    isReleased = true;
    proxy.release();
    const { code, stdout } = await running.ended;
    expect(stdout).toMatch(/^✗ 03\.jpg is gone/m);
    expect(stdout).toMatch(/^✗ 03\.txt is gone/m);
    expect(stdout).toMatch(/^✗ 02\.txt changed while it was being sent: it has 16 bytes now, not 7/m);
    expect(await namesIn(basename(folder))).toEqual(['01.jpg', '01.txt', '02.jpg', 'old.txt']);
    // 1 and not 74: without the caption the dataset is FAILED.
    expect(code).toBe(1);
    expect((await run(mirroring)).stdout).toContain('READY');
    expect(await namesIn(basename(folder))).toEqual(['01.jpg', '01.txt', '02.jpg', '02.txt']);
  });
});

describe('push --watch', () => {
  const line = (running: Running, pattern: RegExp) =>
    eventually(() => (pattern.test(running.stdout()) ? true : undefined));

  test('pushes every change of the folder until ctrl-C', async () => {
    const folder = await folderWith(await pairsOf(2), newName());
    const name = basename(folder);
    const running = start(['push', folder, '--watch'], server.url);
    onTestFinished(() => void running.process.kill('SIGKILL'));
    await line(running, /READY {2}digest/);
    await eventually(() => (running.stderr().includes('Watching') ? true : undefined));
    // An image is left out until its caption arrives.
    await writeFile(join(folder, '03.jpg'), await media.jpeg({ seed: 3 }));
    await line(running, /^- Left out: 03\.jpg has no caption/m);
    expect(await namesIn(name)).toHaveLength(4);
    await writeFile(join(folder, '03.txt'), 'wagon 3');
    await eventually(async () => ((await namesIn(name))?.length === 6 ? true : undefined));
    await rm(join(folder, '01.jpg'));
    await rm(join(folder, '01.txt'));
    await writeFile(join(folder, '02.txt'), 'other words');
    await eventually(async () => ((await namesIn(name))?.length === 4 ? true : undefined));
    await eventually(async () => ((await textIn(name, '02.txt')) === 'other words' ? true : undefined));
    // As a mount replaces it. The lock of the running command may go meanwhile.
    await cp(folder, `${folder}.new`, { recursive: true, filter: (path) => !path.endsWith('.lock') });
    await rename(folder, `${folder}.old`);
    await rename(`${folder}.new`, folder);
    for (const text of ['words in the new folder', 'later words in it']) {
      await writeFile(join(folder, '02.txt'), text);
      await eventually(async () => ((await textIn(name, '02.txt')) === text ? true : undefined));
    }
    const isReady = () => (running.stdout().includes(`digest ${digestOf(folder)}`) ? true : undefined);
    await eventually(isReady);
    // What is removed on both sides stays when it is back in the dataset.
    const { id } = (await client.find(name))!;
    await api.json('DELETE', `/${id}/files`, { filenames: ['03.jpg', '03.txt'] });
    const { number } = (await client.history.revisions(id)).revisions[0]!;
    for (const gone of ['03.jpg', '03.txt']) await rm(join(folder, gone));
    await eventually(isReady);
    await client.history.undo(id, number);
    await writeFile(join(folder, '02.txt'), 'the last words');
    await eventually(async () => ((await textIn(name, '02.txt')) === 'the last words' ? true : undefined));
    expect(await namesIn(name)).toEqual(['02.jpg', '02.txt', '03.jpg', '03.txt']);
    const { digest } = (await api.status(id)).body;
    await line(running, new RegExp(`READY  digest ${digest}`));
    running.process.kill('SIGINT');
    expect((await running.ended).code).toBe(0);
  });

  test('removes nothing for a folder that is emptied, which it goes on to watch, or deleted, and exits', async () => {
    const [files, folder] = [await pairsOf(1), await folderWith(await pairsOf(1), newName())];
    const running = start(['push', folder, '--watch'], server.url);
    onTestFinished(() => void running.process.kill('SIGKILL'));
    await line(running, /^READY/m);
    for (const name of Object.keys(files)) rmSync(join(folder, name));
    await eventually(() => (running.stderr().includes('no image, video or caption found') ? true : undefined));
    for (const [name, bytes] of Object.entries(files)) writeFileSync(join(folder, name), bytes);
    writeFileSync(join(folder, '01.txt'), 'back again');
    await eventually(async () => ((await textIn(basename(folder), '01.txt')) === 'back again' ? true : undefined));
    await rm(folder, { recursive: true });
    expect((await running.ended).code).toBe(66);
    expect(await namesIn(basename(folder))).toHaveLength(2);
  });
});
