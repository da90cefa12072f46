import { execFile } from 'node:child_process';
import { mkdir, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';
import { temporaryFolder } from '../harness/server.js';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));

test('the client has nothing but its own files, the contract and Zod, so that it runs wherever fetch does', async () => {
  const text = await readFile(join(ROOT, 'dist/client/client.js'), 'utf8');
  const imported = [...text.matchAll(/\b(?:from|import)\s*\(?\s*['"]([^'"]+)/g)].map(([, name]) => name);
  expect([...new Set(imported)]).toEqual(['../chunks/client/contract.js']);
  expect(text).not.toMatch(/\b(process|Buffer|require|__dirname)\b/);
  for (const path of ['dist/client/client.js', 'dist/chunks/client/contract.js'].map((each) => join(ROOT, each))) {
    const { sources } = JSON.parse(await readFile(`${path}.map`, 'utf8')) as { sources: string[] };
    const paths = sources.map((source) => relative(ROOT, join(dirname(path), source)));
    const own = /^src\/((client|api|dataset)\/|[a-z-]+\.ts$)|^node_modules\/zod\//;
    expect(paths.filter((each) => !own.test(each))).toEqual([]);
  }
});

test('the package exports the client and the error class, with types', async () => {
  const folder = await temporaryFolder();
  try {
    await mkdir(join(folder, 'node_modules'));
    await symlink(ROOT, join(folder, 'node_modules/trainyard'));
    await writeFile(
      join(folder, 'use.mts'),
      `import { type Dataset, type PushFile, TrainyardClient, TrainyardError } from 'trainyard';
const client: TrainyardClient = new TrainyardClient({ baseUrl: 'http://127.0.0.1:9', token: 't', attempts: 1 });
const fetched: Dataset | undefined = undefined;
const files: PushFile[] = [];
const error: unknown = new TrainyardError(404, { error_code: 404001, error_message: 'gone' });
if (error instanceof TrainyardError) console.log(error.status, error.code, typeof client.push, fetched, files.length);
`,
    );
    const tsc = join(ROOT, 'node_modules/.bin/tsc');
    const flags = ['--strict', '--module', 'nodenext', '--target', 'es2023', '--lib', 'es2023,dom'];
    await promisify(execFile)(tsc, [...flags, '--skipLibCheck', 'use.mts'], { cwd: folder });
    const { stdout } = await promisify(execFile)(process.execPath, ['use.mjs'], { cwd: folder });
    expect(stdout).toBe('404 dataset_not_found function undefined 0\n');
  } finally {
    await rm(folder, { recursive: true });
  }
});
