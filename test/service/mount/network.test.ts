import { existsSync } from 'node:fs';
import { link, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { beforeAll, expect, test } from 'vitest';
import * as media from '../../fixtures/media.js';
import { ONLY_PROGRESS } from '../../harness/command.js';
import { pairsOf } from '../../harness/folder.js';
import { datasetOf, leaveStaging, mountedIn, newRoot } from '../../harness/mounting.js';
import type { Rule } from '../../harness/proxy.js';
import { eventually } from '../../harness/server.js';
import { sharedServer } from '../../harness/shared-server.js';
import { trainerWalk } from '../../harness/trainer.js';
import { commandsOn } from '../../cli/commands.js';

const { api, newProxy, run, start } = await commandsOn(await sharedServer());

/** A proxy with a rule before the service, and a mount through it. */
async function mountThrough(rule?: Rule) {
  const proxy = await newProxy();
  proxy.rule(rule);
  const root = await newRoot();
  const args = ['mount', 'far', '--into', root];
  const mount = (...more: string[]) => run([...args, ...more], proxy.url);
  return { proxy, root, args, mount };
}

/** The answer of a service without archives: the client then requests each file by itself. */
const NO_ARCHIVE = { status: 404, body: '{"error_code":404000,"error_message":"There is no such route."}' };
const isArchive = ({ pathname }: { pathname: string }) => pathname.endsWith('/archive');

let id: string;
let big: Buffer;
beforeAll(async () => {
  big = await media.png({ width: 700, height: 700, seed: 3 });
  id = await datasetOf(api, { ...(await pairsOf(4)), 'big.png': big, 'big.txt': 'big' }, 'far');
});

test('after an answer with many files is cut, the missing files are downloaded one by one', async () => {
  const { proxy, root, mount } = await mountThrough((seen) => (isArchive(seen) ? 'cut-answer' : undefined));
  const ended = await mount();
  expect([ended.code, ended.stderr]).toEqual([0, expect.stringMatching(ONLY_PROGRESS)]);
  // The archive is mostly big.png, so it was cut within that file, after the small ones.
  const fetched = proxy
    .requests('GET', '/files/')
    .map(({ pathname, status }) => `${pathname.split('/').at(-1)} ${status}`);
  expect(fetched).toEqual(['big.png 200', 'big.txt 200']);
  expect((await readFile(join(root, 'far', 'big.png'))).equals(big)).toBe(true);
  expect(trainerWalk(join(root, 'far'))).toHaveLength(5);
});

test('a mount resumes within a file after the connection broke', async () => {
  const { proxy, root, mount } = await mountThrough((seen) => {
    if (isArchive(seen)) return NO_ARCHIVE;
    return seen.pathname.endsWith('/files/big.png') && seen.time < 3 ? 'cut-answer' : undefined;
  });
  const ended = await mount();
  expect([ended.code, ended.stderr]).toEqual([0, expect.stringMatching(ONLY_PROGRESS)]);
  expect((await readFile(join(root, 'far', 'big.png'))).equals(big)).toBe(true);
  // The first answer, 200, had half of the file; the others had the rest.
  expect(proxy.requests('GET', '/files/big.png').map(({ status }) => status)).toEqual([200, 206, 206]);
});

test('a mount that is interrupted and run again downloads only missing files', async () => {
  let isWaiting = false;
  // The last file never arrives; all others have arrived.
  const { proxy, root, args, mount } = await mountThrough((seen) => {
    if (isArchive(seen)) return NO_ARCHIVE;
    if (!seen.pathname.endsWith('/files/big.txt')) return undefined;
    isWaiting = true;
    return new Promise(() => {});
  });
  const first = start([...args, '--concurrency', '1'], proxy.url);
  await eventually(() => isWaiting || undefined);
  first.process.kill('SIGINT');
  expect((await first.ended).code).toBe(130);
  expect(existsSync(join(root, 'far'))).toBe(false);
  const before = proxy.requests('GET', '/files/').length;
  proxy.rule((seen) => (isArchive(seen) ? NO_ARCHIVE : undefined));
  expect((await mount()).code).toBe(0);
  expect(before).toBeGreaterThan(1);
  expect(proxy.requests('GET', '/files/')).toHaveLength(11);
  expect(trainerWalk(join(root, 'far'))).toHaveLength(5);
  expect(await mountedIn(root)).toEqual(['far']);
});

test('files of an earlier attempt are checked before they are kept', async () => {
  const { proxy, root, mount } = await mountThrough();
  await leaveStaging(root, 'far', {
    '01.jpg': Buffer.alloc((await media.jpeg({ seed: 1 })).length),
    '02.jpg': 'another file of that name',
    'unexpected.jpg': 'not of this dataset',
    'big.png': big.subarray(0, 1000),
    '02.txt': 'wag',
  });
  await link(join(root, '.far.mounting', '02.txt'), join(root, 'mine'));
  expect((await mount()).code).toBe(0);
  expect(await readFile(join(root, 'mine'), 'utf8')).toBe('wag');
  expect(proxy.requests('GET', '/files/big.png').map(({ status }) => status)).toEqual([206]);
  expect((await readFile(join(root, 'far', 'big.png'))).equals(big)).toBe(true);
  expect((await readFile(join(root, 'far', '01.jpg'))).equals(await media.jpeg({ seed: 1 }))).toBe(true);
  expect(trainerWalk(join(root, 'far'))).toHaveLength(5);
});

test('a dataset that changes during the mount is mounted as it was, never as a mix', async () => {
  // Captions of the same length: only the bytes differ.
  const change = async () => {
    for (const n of [1, 2, 3, 4]) await api.upload(id, `0${n}.txt`, `WAGON ${n}`);
  };
  let changed: Promise<void> | undefined;
  const { proxy, root, mount } = await mountThrough(async (seen) => {
    if (!isArchive(seen)) return undefined;
    changed ??= change();
    await changed;
    return undefined;
  });
  const { digest } = (await api.manifest(id)).body;
  const ended = await mount('--json');
  expect(ended.json().mounts).toMatchObject([{ outcome: 'mounted', digest }]);
  expect((await api.manifest(id)).body.digest).not.toBe(digest);
  const captions = trainerWalk(join(root, 'far')).map(({ caption }) => caption);
  // Small files come together, in one answer.
  expect(proxy.requests('POST', '/archive').map(({ status }) => status)).toEqual([200]);
  expect(proxy.requests('GET', '/files/')).toEqual([]);
  expect(captions).toEqual(['wagon 1', 'wagon 2', 'wagon 3', 'wagon 4', 'big']);
});

test('bytes with another SHA-256 than in the manifest are rejected, and nothing is left', async () => {
  const { root, mount } = await mountThrough((seen) => {
    if (isArchive(seen)) return NO_ARCHIVE;
    return seen.pathname.endsWith('/files/01.txt') ? { status: 200, body: 'WAGON X' } : undefined;
  });
  const ended = await mount();
  expect([ended.code, ended.stderr]).toEqual([65, expect.stringContaining('01.txt')]);
  expect(await mountedIn(root)).toEqual([]);
});
