import { execFile } from 'node:child_process';
import { mkdir, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';
import { temporaryFolder } from '../harness/server.js';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));

test('the client imports nothing but its own files and the wire contract, so that it runs wherever fetch does', async () => {
  const path = join(ROOT, 'dist/client/client.js');
  const text = await readFile(path, 'utf8');
  expect(text).not.toMatch(/\b(?:from|import)\s*\(?\s*['"]/);
  expect(text).not.toMatch(/\b(process|Buffer|require|__dirname)\b/);
  const { sources } = JSON.parse(await readFile(`${path}.map`, 'utf8')) as { sources: string[] };
  expect(sources.map((source) => relative(join(ROOT, 'src'), join(dirname(path), source))).sort()).toEqual([
    'abort-signals.ts',
    'api/base-path.ts',
    'api/error-codes.ts',
    'api/limits.ts',
    'client/answer/answer-body.ts',
    'client/answer/answer-shape.ts',
    'client/answer/checks.ts',
    'client/answer/pair-checks.ts',
    'client/calls/bulk-calls.ts',
    'client/calls/dataset-calls.ts',
    'client/calls/history-calls.ts',
    'client/calls/pair-calls.ts',
    'client/calls/recheck-calls.ts',
    'client/calls/session-calls.ts',
    'client/calls/share-calls.ts',
    'client/calls/token-calls.ts',
    'client/calls/webhook-calls.ts',
    'client/client.ts',
    'client/dataset-links.ts',
    'client/event-stream.ts',
    'client/parse-json.ts',
    'client/push-file.ts',
    'client/push-progress.ts',
    'client/push.ts',
    'client/requests.ts',
    'client/retry.ts',
    'client/trainyard-error.ts',
    'client/wait-until-ready.ts',
    'dataset/pairs/roles.ts',
    'for-each-concurrent.ts',
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
