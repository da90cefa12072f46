import { execFile, spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { chmod, mkdir, readdir, readFile, symlink, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { expect, onTestFinished, test } from 'vitest';
import { whyNoBusybox } from '../harness/available.js';
import { newRoot } from '../harness/mounting.js';

const run = promisify(execFile);
const SCRIPT = fileURLToPath(new URL('../../web/public/mount.sh', import.meta.url));
const SHELLS = [['dash'], ...(whyNoBusybox() === undefined ? [['busybox', 'sh']] : [])];

const lineOf = (path: string) => `${createHash('sha256').update('a wagon').digest('hex')}  ${path}\n`;

/** Serves an archive of `yard` with a caption, the record of a mount, and what `add` makes of it. */
async function serve({ add, sums, error }: { add?: (folder: string) => unknown; sums?: string; error?: string }) {
  const source = await newRoot();
  const folder = join(source, 'yard');
  await mkdir(folder);
  await writeFile(join(folder, 'a.txt'), 'a wagon');
  await writeFile(join(folder, '.mount.json'), '{}');
  await add?.(folder);
  await run('tar', ['-c', '-f', join(source, 'yard.tar'), '-C', source, 'yard']);
  const archive = await readFile(join(source, 'yard.tar'));
  const server = createServer(({ url = '' }, response) => {
    if (error !== undefined) response.writeHead(403).end(`{"error_message":"${error}"}`);
    else response.end(url.startsWith('/d/tar?') ? archive : (sums ?? lineOf('yard/a.txt')));
  });
  onTestFinished(() => void server.close());
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}/d/tar?digest=1`;
}

async function mountBy([program = '', ...args]: readonly string[], link: string, root: string) {
  const child = spawn(program, [...args, SCRIPT, link, root], { stdio: ['ignore', 'pipe', 'pipe'] });
  const closed = new Promise((resolve) => child.once('close', resolve));
  const [code, stderr] = await Promise.all([closed, text(child.stderr)]);
  return { code, stderr };
}

const HOSTILE: [string, Parameters<typeof serve>[0]][] = [
  ['a link in the archive', { add: (folder) => symlink('/', join(folder, 'b.txt')) }],
  ['a pipe in the archive', { add: (folder) => run('mkfifo', [join(folder, 'b.txt')]) }],
  [
    'a program with the rights of its owner in the archive',
    { add: (folder) => writeFile(join(folder, 'b'), '').then(() => chmod(join(folder, 'b'), 0o4755)) },
  ],
  ['a file without a checksum', { add: (folder) => writeFile(join(folder, '.bashrc'), '') }],
  ['a checksum of a file outside', { sums: lineOf('yard/a.txt') + lineOf('yard/../../../../dev/zero') }],
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
