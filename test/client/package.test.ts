import { execFile } from 'node:child_process';
import { mkdir, readFile, symlink, writeFile } from 'node:fs/promises';
import { dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';
import { newRoot } from '../harness/mounting.js';

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

test('the package exports the client and the error class', async () => {
  const folder = await newRoot();
  await mkdir(join(folder, 'node_modules'));
  await symlink(ROOT, join(folder, 'node_modules/trainyard'));
  await writeFile(
    join(folder, 'use.mjs'),
    `import { TrainyardClient, TrainyardError } from 'trainyard';
const client = new TrainyardClient({ baseUrl: 'http://127.0.0.1:9', token: 't', attempts: 1 });
const { status, code } = new TrainyardError(404, { error_code: 404001, error_message: 'gone' });
console.log(status, code, typeof client.push);
`,
  );
  const { stdout } = await promisify(execFile)(process.execPath, ['use.mjs'], { cwd: folder });
  expect(stdout).toBe('404 dataset_not_found function\n');
});
