import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, readdir, readFile, symlink, utimes, writeFile } from 'node:fs/promises';
import { createServer, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { text } from 'node:stream/consumers';
import { pipeline } from 'node:stream/promises';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { Header } from 'tar';
import { expect, onTestFinished, test } from 'vitest';
import { acquireLock } from '../../src/storage/lock-file.js';
import { whyNoBusybox } from '../harness/available.js';
import { newRoot } from '../harness/mounting.js';
import { eventually } from '../harness/server.js';
import { sha256 } from '../harness/sha256.js';

const run = promisify(execFile);
const SCRIPT = fileURLToPath(new URL('../../web/public/mount.sh', import.meta.url));
const SHELLS = [['dash'], ...(whyNoBusybox() === undefined ? [['busybox', 'sh']] : [])];

const lineOf = (path: string) => `${sha256('a wagon')}  ${path}\n`;

interface Service {
  /** Adds to the folder that the archive has. */
  readonly add?: (folder: string) => unknown;
  readonly sums?: string;
  readonly error?: string;
  /** Answers with another archive. */
  readonly archive?: (response: ServerResponse, archive: Buffer) => unknown;
}

/** Serves an archive of `yard` with a caption, the record of a mount, and what `add` makes of it. */
async function serve({ add, sums, error, archive: answer = (response, bytes) => response.end(bytes) }: Service) {
  const source = await newRoot();
  const folder = join(source, 'yard');
  await mkdir(folder);
  await writeFile(join(folder, 'a.txt'), 'a wagon');
  const [sha256] = lineOf('a.txt').split(' ');
  await writeFile(join(folder, '.mount.json'), JSON.stringify({ files: [{ mounted_name: 'a.txt', sha256 }] }, null, 1));
  await add?.(folder);
  await run('tar', ['-c', '-S', '-f', join(source, 'yard.tar'), '-C', source, ...(await readdir(source))]);
  const archive = await readFile(join(source, 'yard.tar'));
  const server = createServer(({ url = '' }, response) => {
    if (error !== undefined) response.writeHead(403).end(`{"error_message":"${error}"}`);
    else if (url.startsWith('/d/tar?')) answer(response, archive);
    else response.end(sums ?? lineOf('yard/a.txt'));
  });
  onTestFinished(() => void server.close());
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}/d/tar?digest=1`;
}

function startMount([program = '', ...args]: readonly string[], link: string, root: string) {
  const child = spawn(program, [...args, SCRIPT, link, root], { stdio: ['ignore', 'pipe', 'pipe'] });
  const ended = Promise.all([once(child, 'close'), text(child.stderr)]);
  return {
    saysSomething: once(child.stderr, 'data'),
    ended: ended.then(([[code], stderr]) => ({ code: code as number, stderr })),
  };
}

const mountBy = (shell: readonly string[], link: string, root: string) => startMount(shell, link, root).ended;

/** The entry of an empty file in a tar archive. */
function entryOf(path: string): Buffer {
  const entry = Buffer.alloc(512);
  new Header({ path, size: 0, type: 'File', mode: 0o644 }).encode(entry);
  return entry;
}

/** A hundred empty files at a time, for ever. */
function* endlessArchive(): Generator<Buffer> {
  for (let from = 0; ; from += 100) {
    yield Buffer.concat(Array.from({ length: 100 }, (_, i) => entryOf(`yard/${from + i}`)));
  }
}

const HOSTILE: [string, Service][] = [
  ['a link in the archive', { add: (folder) => symlink('/', join(folder, 'b.txt')) }],
  ['a pipe in the archive', { add: (folder) => run('mkfifo', [join(folder, 'b.txt')]) }],
  ['a file without a checksum', { add: (folder) => writeFile(join(folder, '.bashrc'), '') }],
  ['a checksum of a file outside', { sums: lineOf('yard/a.txt') + lineOf('yard/../../../../dev/zero') }],
  ['a folder in the folder', { add: (folder) => mkdir(join(folder, 'b')) }],
  ['a name that a terminal obeys', { sums: lineOf('ya\u001b[2Jrd/a.txt') }],
];

test.each(HOSTILE)('mount.sh mounts nothing because of %s', async (_, hostile) => {
  const link = await serve(hostile);
  for (const shell of SHELLS) {
    const root = await newRoot();
    expect(await mountBy(shell, link, root)).toMatchObject({ code: 76, stderr: expect.not.stringContaining('\u001b') });
    expect(await readdir(root)).toEqual([]);
  }
});

test('mount.sh mounts the same without it, and prints no message that a terminal obeys', async () => {
  const root = await newRoot();
  expect((await mountBy(SHELLS[0]!, await serve({}), root)).code).toBe(0);
  expect(await readFile(join(root, 'yard', 'a.txt'), 'utf8')).toBe('a wagon');
  const rejected = await mountBy(SHELLS[0]!, await serve({ error: 'a\u001b[2Jb' }), root);
  expect(rejected).toEqual({ code: 77, stderr: expect.stringContaining('a[2Jb\n') });
});

test('mount.sh replaces no folder in which a caption is edited while the archive arrives', async () => {
  for (const shell of SHELLS) {
    const root = await newRoot();
    const edit = () => writeFile(join(root, 'yard', 'a.txt'), 'by a person');
    expect((await mountBy(shell, await serve({}), root)).code).toBe(0);
    const link = await serve({ archive: (response, bytes) => edit().then(() => response.end(bytes)) });
    expect((await mountBy(shell, `${link}2`, root)).code).toBe(73);
    expect(await readFile(join(root, 'yard', 'a.txt'), 'utf8')).toBe('by a person');
  }
});

test.each([
  ['a caption is saved', 0, 'printf edited >yard/a.txt; exec mv "$@"', 'edited'],
  ['another folder takes its place', 73, 'mv "$@" && mkdir -p yard/b', 'a wagon'],
])('mount.sh keeps an old folder if %s after it was compared', async (_, code, mv, caption) => {
  const root = await newRoot();
  expect((await mountBy(SHELLS[0]!, await serve({}), root)).code).toBe(0);
  const programs = await newRoot();
  await writeFile(join(programs, 'mv'), `#!/bin/sh\ncd '${root}'; PATH=/bin\n${mv}\n`, { mode: 0o755 });
  const mounted = await mountBy(
    ['env', `PATH=${programs}:${process.env.PATH}`, ...SHELLS[0]!],
    `${await serve({})}2`,
    root,
  );
  expect(mounted).toEqual({ code, stderr: expect.stringContaining('The old one is now') });
  const kept = (await readdir(root)).find((name) => name.startsWith('.yard.kept-'));
  expect(await readFile(join(root, `${kept}`, 'a.txt'), 'utf8')).toBe(caption);
});

test('mount.sh reads no endless list of checksums, and no endless archive', async () => {
  const longList = lineOf(`yard/${'x'.repeat(64 * 1024)}`).repeat(1100);
  let taken = 0;
  const flood = (response: ServerResponse) => {
    const files = Readable.from(endlessArchive());
    files.on('data', () => {
      taken += 100;
    });
    // Fails when the client leaves.
    pipeline(files, response).catch(() => {});
  };
  for (const shell of SHELLS) {
    const root = await newRoot();
    expect((await mountBy(shell, await serve({ sums: longList }), root)).code).toBe(69);
    taken = 0;
    const flooded = await mountBy(shell, await serve({ archive: flood }), root);
    expect(flooded).toEqual({ code: 76, stderr: expect.stringContaining('the archive has other files') });
    expect(taken).toBeLessThan(500_000);
    expect(await readdir(root)).toEqual([]);
  }
});

const LOCK = '.trainyard-mount.lock';

test('mount.sh waits for another, and for "trainyard mount", which waits for it', async () => {
  const root = await newRoot();
  const signal = new AbortController().signal;
  const asked: ServerResponse[] = [];
  const slow = await serve({ archive: (response) => asked.push(response) });
  const first = startMount(SHELLS[0]!, slow, root);
  await eventually(() => (asked.length > 0 ? true : undefined));
  const second = startMount(SHELLS.at(-1)!, await serve({}), root);
  await second.saysSomething;
  let isWaiting = false;
  const onWaiting = () => {
    isWaiting = true;
  };
  const command = acquireLock(join(root, LOCK), { signal, onWaiting }).then((release) => release());
  await eventually(() => (isWaiting ? true : undefined));
  asked[0]?.destroy();
  expect((await first.ended).code).toBe(74);
  expect(await second.ended).toMatchObject({ code: 0, stderr: expect.stringContaining('waiting for another mount') });
  await command;

  const release = await acquireLock(join(root, LOCK), { signal });
  const third = startMount(SHELLS[0]!, slow, root);
  await third.saysSomething;
  expect(asked).toHaveLength(1);
  await release();
  await eventually(() => (asked.length === 2 ? true : undefined));
  asked[1]?.destroy();
  expect((await third.ended).stderr).toContain('waiting for another mount');
  expect(await readdir(root)).toEqual(['yard']);
});

test('mount.sh takes over the lock of a mount that was killed', async () => {
  for (const shell of SHELLS) {
    const root = await newRoot();
    const long = new Date(Date.now() - 600_000);
    for (const name of [LOCK, `${LOCK}-claim`]) {
      await writeFile(join(root, name), '{}');
      await utimes(join(root, name), long, long);
    }
    expect((await mountBy(shell, await serve({}), root)).code).toBe(0);
    expect(await readdir(root)).toEqual(['yard']);
  }
});
