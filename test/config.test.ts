import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { ConfigError, loadConfig } from '../src/config.js';
import { folderWith } from './harness/folder.js';

const errorsOf = (flags: Record<string, string>, environment: Record<string, string> = {}): readonly string[] => {
  try {
    loadConfig(flags, environment);
    return [];
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    return error.faults;
  }
};

describe('the configuration', () => {
  test('has defaults', () => {
    const rules = { captionGrace: 15_000_000, linkLifetime: 3_600_000_000 };
    const defaults = { host: '127.0.0.1', port: 8787, publicUrl: undefined, rules, idleSeconds: 120 };
    expect(loadConfig({}, {})).toMatchObject(defaults);
  });

  test('flags override environment variables', () => {
    expect(loadConfig({}, { TRAINYARD_PORT: '99' }).port).toBe(99);
    expect(loadConfig({ port: '98' }, { TRAINYARD_PORT: '99' }).port).toBe(98);
    expect(loadConfig({}, { TRAINYARD_PORT: '' }).port).toBe(8787);
  });

  test('the key that signs links comes with its secret', () => {
    const [id, secret] = ['TRAINYARD_PRESIGN_ACCESS_KEY_ID', 'TRAINYARD_PRESIGN_SECRET_ACCESS_KEY'];
    const linkCredentials = { accessKeyId: 'key', secretAccessKey: 'secret' };
    expect(loadConfig({}, { [id]: 'key', [secret]: 'secret' })).toMatchObject({ linkCredentials });
    expect(loadConfig({}, { [id]: '', [secret]: '' }).linkCredentials).toBeUndefined();
    for (const name of [id, secret]) {
      expect(errorsOf({}, { [name]: 'secret' })).toEqual([`${id} and ${secret} must be set together`]);
    }
  });

  test('reports all errors together, each with its source and value', () => {
    const faults = errorsOf({ port: '70000', publicUrl: 'ftp://x' }, { TRAINYARD_LINK_SECONDS: 'soon' });
    expect(faults).toEqual([
      '--port must be a whole number from 0 to 65535 (it is "70000")',
      '--public-url must be an http or https URL without query and fragment (it is "ftp://x")',
      expect.stringMatching(/^TRAINYARD_LINK_SECONDS must be a whole number/),
    ]);
  });

  test.each([
    ['port', '-1'],
    ['port', '80.5'],
    ['port', ''],
    ['publicUrl', 'https://x/?a=1'],
    ['trustedProxies', '10.0.0.0/33'],
    ['trustedProxies', 'proxy.local'],
    ['logLevel', 'loud'],
    ['databaseUrl', 'host=/run dbname=x'],
    ['databaseUrl', 'postgres://host/db?pool_size=many'],
  ])('rejects --%s %j', (name, value) => {
    expect(errorsOf({ [name]: value })).toHaveLength(1);
  });

  test('never shows the URL of a database, which may hold a password', () => {
    const faults = errorsOf({}, { DATABASE_URL: 'mysql://me:secret@host/db' });
    expect(faults).toEqual([expect.stringMatching(/^DATABASE_URL must be a URL such as postgres:/)]);
    const bucket = errorsOf({}, { BLOBS_URL: 's4://me:secret@bucket' });
    for (const fault of [faults[0], bucket[0]]) expect(fault).not.toContain('secret');
  });

  test('names the ffmpeg, searches the PATH for it, or turns it off', () => {
    expect(loadConfig({}, { PATH: '/bin' }).ffmpeg).toEqual({ kind: 'search', searchPath: '/bin' });
    const named = { kind: 'named', program: '/opt/ffmpeg', searchPath: '/bin' };
    expect(loadConfig({}, { PATH: '/bin', TRAINYARD_FFMPEG: '/opt/ffmpeg' }).ffmpeg).toEqual(named);
    expect(loadConfig({ ffmpeg: 'none' }, { TRAINYARD_FFMPEG: '/opt/ffmpeg' }).ffmpeg).toEqual({ kind: 'none' });
  });

  test('keeps a path prefix of the public URL and drops its last slash', () => {
    expect(loadConfig({ publicUrl: 'https://x.example/train/' }, {}).publicUrl).toBe('https://x.example/train');
    expect(loadConfig({ publicUrl: 'https://x.example' }, {}).publicUrl).toBe('https://x.example');
  });
});

const endpointsOf = (flags: Record<string, string>, env = {}) => loadConfig(flags, env).captionEndpoints;

const fileOf = async (text: string) => join(await folderWith({ 'endpoints.json': text }), 'endpoints.json');

test('a caption endpoint needs a name and a URL alone', () => {
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

test('a file of caption endpoints has more, and keys from the environment or another file', async () => {
  const keyFile = join(await folderWith({ key: 'sk-file\n' }), 'key');
  const given = [
    { name: 'a', url: 'http://a.example', keyEnv: 'KEY_OF_A', concurrency: 8, body: { think: false } },
    { name: 'b', url: 'http://b.example:11434/v1', keyFile, video: 'url' },
  ];
  const captionEndpoints = await fileOf(JSON.stringify(given));
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
])('the file of caption endpoints %j is rejected', async (content, fault) => {
  const captionEndpoints = await fileOf(typeof content === 'string' ? content : JSON.stringify(content));
  expect(errorsOf({ captionEndpoints })).toEqual([expect.stringMatching(fault)]);
});
