import { execFile } from 'node:child_process';
import { mkdir, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';
import { temporaryFolder } from '../harness/server.js';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));

test('the client imports nothing but its own files and the wire contract, so that it runs wherever fetch does', async () => {
  const dist = join(ROOT, 'dist');
  const visited = new Set<string>();
  const visit = async (path: string): Promise<void> => {
    if (visited.has(path)) return;
    visited.add(path);
    const text = await readFile(path, 'utf8');
    const imports = [...text.matchAll(/(?:\bfrom|\bimport)\s*\(?\s*['"]([^'"]+)['"]/g)].map(([, name = '']) => name);
    for (const name of imports) {
      expect(name).toMatch(/^\.{1,2}\/(\.\.\/)*[a-z/-]+\.js$/);
      await visit(join(dirname(path), name));
    }
    expect(text).not.toMatch(/\b(process|Buffer|require|__dirname)\b/);
  };
  await visit(join(dist, 'client/client.js'));
  expect([...visited].map((path) => relative(dist, path)).sort()).toEqual([
    'abort-signals.js',
    'api/base-path.js',
    'api/error-codes.js',
    'api/limits.js',
    'client/answer/answer-body.js',
    'client/answer/answer-shape.js',
    'client/answer/checks.js',
    'client/answer/pair-checks.js',
    'client/calls/bulk-calls.js',
    'client/calls/dataset-calls.js',
    'client/calls/history-calls.js',
    'client/calls/pair-calls.js',
    'client/calls/recheck-calls.js',
    'client/calls/session-calls.js',
    'client/calls/share-calls.js',
    'client/calls/token-calls.js',
    'client/calls/webhook-calls.js',
    'client/client.js',
    'client/dataset-links.js',
    'client/event-stream.js',
    'client/parse-json.js',
    'client/push-file.js',
    'client/push-progress.js',
    'client/push.js',
    'client/requests.js',
    'client/retry.js',
    'client/trainyard-error.js',
    'client/wait-until-ready.js',
    'dataset/pairs/roles.js',
    'for-each-concurrent.js',
  ]);
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
