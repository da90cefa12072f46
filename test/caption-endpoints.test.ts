import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { ConfigError, loadConfig } from '../src/config.js';

const folder = await mkdtemp(join(tmpdir(), 'trainyard-test-'));
afterAll(() => rm(folder, { recursive: true, force: true }));

const endpointsOf = (flags: Record<string, string>, environment = {}) =>
  loadConfig({ data: folder, ...flags }, environment).captionEndpoints;

/** @returns the faults of a configuration */
function faultsOf(flags: Record<string, string>, environment = {}): readonly string[] {
  try {
    endpointsOf(flags, environment);
    return [];
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    return error.faults;
  }
}

async function fileOf(content: unknown): Promise<string> {
  const path = join(folder, 'endpoints.json');
  await writeFile(path, typeof content === 'string' ? content : JSON.stringify(content));
  return path;
}

test('an endpoint needs a name and a URL alone', () => {
  const given =
    'a=http://127.0.0.1:8080, b=http://127.0.0.1:11434#qwen2.5vl:7b,c=https://models.example/v1beta/openai/';
  const defaults = { concurrency: 1, timeoutSeconds: 300, longestSide: 1024, body: {}, video: 'frames' };
  expect(endpointsOf({ captionEndpoint: given })).toMatchObject([
    { name: 'a', url: 'http://127.0.0.1:8080/v1', dialect: 'openai', ...defaults },
    { name: 'b', url: 'http://127.0.0.1:11434', dialect: 'ollama', model: 'qwen2.5vl:7b' },
    { name: 'c', url: 'https://models.example/v1beta/openai', dialect: 'openai' },
  ]);
  expect(endpointsOf({})).toEqual([]);
});

test('a file has more, and keys from the environment or another file', async () => {
  const keyFile = join(folder, 'key');
  await writeFile(keyFile, 'sk-file\n');
  const captionEndpoints = await fileOf([
    { name: 'a', url: 'http://a.example', keyEnv: 'KEY_OF_A', concurrency: 8, body: { think: false } },
    { name: 'b', url: 'http://b.example:11434/v1', keyFile, video: 'url' },
  ]);
  expect(endpointsOf({ captionEndpoints, captionEndpoint: 'c=http://c.example' }, { KEY_OF_A: 'sk-a' })).toMatchObject([
    { name: 'c', key: undefined },
    { name: 'a', key: 'sk-a', concurrency: 8, body: { think: false } },
    { name: 'b', key: 'sk-file', url: 'http://b.example:11434/v1', dialect: 'openai', video: 'url' },
  ]);
});

test.each<[unknown, RegExp]>([
  ['{', /--caption-endpoints .*JSON/],
  [{}, /must name a file with a JSON array of endpoints/],
  [[{ name: 'a' }], /endpoint 1 of .*endpoints\.json: url is missing/],
  [[{ name: 'a', url: 'http://a', modle: 'x' }], /Unknown field: "modle"/],
  [[{ name: 'a b', url: 'http://a' }], /name must be 1 to 64 letters/],
  [[{ name: 'a', url: 'file:///etc' }], /the caption endpoint a must be an http or https URL/],
  [[{ name: 'a', url: 'http://a', keyEnv: 'NONE' }], /has the keyEnv NONE, and that variable is not set/],
  [[1, 2].map(() => ({ name: 'a', url: 'http://a' })), /the caption endpoint a has a name that another has/],
])('the file %j is rejected', async (content, fault) => {
  expect(faultsOf({ captionEndpoints: await fileOf(content) })).toEqual([expect.stringMatching(fault)]);
});
