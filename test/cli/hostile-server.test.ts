import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { Header } from 'tar';
import { describe, expect, test } from 'vitest';
import { BASE_PATH } from '../../src/api/limits.js';
import { anyUploadLinks } from '../../src/api/schemas.js';
import { endingOf } from '../../src/cli/terminal/exit-codes.js';
import { TrainyardClient } from '../../src/client/client.js';
import * as media from '../fixtures/media.js';
import { IS_ALL } from '../harness/available.js';
import { type Ended, trainyard } from '../harness/command.js';
import { folderWith } from '../harness/folder.js';
import { newRoot } from '../harness/mounting.js';
import {
  documentsOf,
  type Script,
  type ScriptedService,
  sendForever,
  sendJson,
  startScriptedService,
} from '../harness/scripted-service.js';

const DATASET = { id: 'd1', name: 'railway', files: { 'a.jpg': Buffer.alloc(3000, 'a'), 'a.txt': 'a wagon' } };
const documents = documentsOf(DATASET);
const [listed] = documents.list.datasets;

const run = (args: readonly string[], { url }: ScriptedService, env: Record<string, string> = {}): Promise<Ended> =>
  trainyard(args, { env: { TRAINYARD_URL: url, TRAINYARD_TOKEN: 'ty_secret', HOME: '/nowhere', ...env } });

/** A service that answers one kind of request in its own way. */
const serviceWith = (isIt: (path: string) => boolean, send: (response: Parameters<Script>[1]) => unknown) =>
  startScriptedService(DATASET, ({ path }, response) => (isIt(path) ? send(response) : false));
const isList = (path: string) => path === BASE_PATH;
const isStatus = (path: string) => path.includes('/status');
const isFile = (path: string) => path.includes('/files/');

const withFiles = (...files: object[]) => ({ ...documents.manifest, files });
const [image] = documents.manifest.files;

const MANIFESTS: Record<string, unknown> = {
  'nothing at all': '',
  'no files': { ...documents.manifest, files: undefined },
  'null for a file': { ...documents.manifest, files: [null] },
  'an object for a name': withFiles({ ...image, filename: { toString: 'a' } }),
  'a name twice': withFiles(image!, image!),
  'a name above the folder': withFiles({ ...image, filename: '../a.jpg' }),
  'an absolute name': withFiles({ ...image, filename: '/tmp/a.jpg' }),
  'a name with a backslash': withFiles({ ...image, filename: '..\\a.jpg' }),
  'a name with NUL': withFiles({ ...image, filename: 'a\0.jpg' }),
  'a hidden name': withFiles({ ...image, filename: '.mount.json' }),
  'a long name': withFiles({ ...image, filename: `${'a'.repeat(100_000)}.jpg` }),
  'a negative size': withFiles({ ...image, size_bytes: -1 }),
  'a size beyond all numbers': JSON.stringify(withFiles(image!)).replace('"size_bytes":3000', '"size_bytes":1e999'),
  'no SHA-256': withFiles({ ...image, sha256: undefined }),
  'another status': { ...documents.manifest, status: 'FINE' },
  'another dataset': { ...documents.manifest, dataset_id: 'd2' },
  'another name': { ...documents.manifest, name: 'victim' },
  'a million brackets': '['.repeat(1_000_000),
  'no UTF-8': Buffer.from([0x22, 0xff, 0xfe]).toString('latin1'),
};

/** One line, after the progress that a transfer shows every ten seconds, as on a busy machine. */
const AFTER_PROGRESS = expect.stringMatching(/^(?:[━╌]+ [^\n]+\n)*trainyard: [^\n]{10,400}\n$/);

const UNSAFE = /[^\P{Cc}\n]|\p{Bidi_Control}|[\u2028\u2029]/u;

test('an invalid manifest is one line for mount and pull, and changes nothing', async () => {
  const manifests = Object.values(MANIFESTS);
  const names = manifests.map((_, index) => `railway ${index}`);
  const datasets = names.map((name, index) => ({ ...listed, id: `id${index}`, name }));
  const service = await startScriptedService(DATASET, ({ path }, response) => {
    if (path === BASE_PATH) return sendJson(response, 200, { datasets });
    const index = Number(/\/id(\d+)\/manifest$/.exec(path)?.[1]);
    const text = JSON.stringify(manifests[index]) ?? '';
    const isText = typeof manifests[index] === 'string';
    // Each lies in one place only.
    const own = text
      .replace('"dataset_id":"d1"', `"dataset_id":"id${index}"`)
      .replace('"railway"', `"railway ${index}"`);
    return sendJson(response, 200, isText ? manifests[index] : own);
  });
  const root = await newRoot();
  await mkdir(join(root, 'victim'));
  const mounted = await run(['mount', ...names, '--into', root, '--replace', '--json'], service);
  const errors = mounted
    .json()
    .mounts.map(({ error }: { error?: object }, i: number) => [Object.keys(MANIFESTS)[i], error]);
  const expected = { exit_code: 76, code: 'PROTOCOL', message: expect.stringMatching(/^The server .{10,400}$/) };
  expect(errors).toMatchObject(Object.keys(MANIFESTS).map((what) => [what, expected]));
  const above = names[Object.keys(MANIFESTS).indexOf('a name above the folder')] ?? '';
  const pulled = await run(['pull', above, join(root, 'pulled'), '--replace', '--theirs'], service);
  expect([pulled.code, pulled.stderr]).toEqual([76, expect.stringMatching(/^trainyard: The server [^\n]{10,400}\n$/)]);
  expect(await readdir(root)).toEqual(['victim']);
});

test.each<[string, string, unknown]>([
  ['a list with nothing at all', 'list', ''],
  ['a list with null for a dataset', 'list', '{"datasets":[null]}'],
  ['a list with an id twice', 'list', { datasets: [listed, { ...listed, name: 'other' }] }],
  ['a list with a name twice', 'list', { datasets: [listed, { ...listed, id: 'other' }] }],
  ['a status with invalid problems', 'status', { ...documents.status, status: 'FAILED', error: { problems: 'none' } }],
  ['a status with invalid sizes', 'status', { ...documents.status, files: [{ ...image, width: '1\n2' }] }],
])('%s is one line', async (_, what, answer) => {
  const isIt = what === 'list' ? isList : isStatus;
  const service = await serviceWith(isIt, (response) => sendJson(response, 200, answer));
  const client = new TrainyardClient({ baseUrl: service.url, token: 'ty_secret' });
  const request: Promise<unknown> = what === 'list' ? client.list() : client.status('d1');
  const ended = await request.then(() => 'accepted', endingOf);
  expect(ended).toEqual({ code: 76, message: expect.stringMatching(/^[^\n]{10,400}$/) });
});

const TIME = '2025-07-22T13:05';

/** Sets the clipboard, clears the screen, hides text, shows text in another order, and begins another line. */
const HARM =
  '\u001b]52;c;cm0gLXJmIH4=\u0007\u001b[2J\u009b8m\u202egnp.exe\u2066\r\ntrainyard: all is well\u2028\u007f\u0000';

test('errors, names, ids, roles, messages and tables of a server are printed without control characters', async () => {
  const error = { error_code: 400000, error_message: HARM, detail: [{ path: HARM, message: HARM }] };
  const failing = await serviceWith(isList, (response) => sendJson(response, 400, error));
  expect((await run(['ls'], failing)).stderr).not.toMatch(UNSAFE);
  const problem = { code: HARM, filename: HARM, message: HARM };
  const dataset = {
    ...{ ...listed, id: `d1${HARM.replace('\u0000', '')}`, name: `${HARM}1`, role: HARM, status: 'FAILED' },
    error: { code: HARM, message: HARM, problems: [problem] },
  };
  const file = { ...image, filename: HARM, format: HARM, codec: HARM, warnings: [problem] };
  const service = await startScriptedService(DATASET, ({ path }, response) => {
    if (path.includes('/status')) {
      const lists = { awaited: [{ filename: HARM, until: TIME }], warnings: [problem] };
      return sendJson(response, 200, { ...dataset, files: [file], ...lists });
    }
    return sendJson(response, 200, { datasets: [dataset] });
  });
  const id = dataset.id;
  for (const args of [
    ['status', id],
    ['show', id],
    ['train-config', id],
    ['ls', '--json'],
  ]) {
    const { stdout, stderr } = await run(args, service);
    expect(`${stdout}${stderr}`, args[0]).toContain('all is well');
    expect(`${stdout}${stderr}`, args[0]).not.toMatch(UNSAFE);
    expect(`${stdout}${stderr}`, args[0]).not.toMatch(/^trainyard: all is well/m);
  }
});

describe('an answer without end', () => {
  /** Runs a command, and returns with its end the most memory that it had, in megabytes. */
  async function measured(args: readonly string[], service: ScriptedService): Promise<Ended & { megabytes: number }> {
    const file = join(await newRoot(), 'maxrss');
    const code = `import{writeFileSync}from'node:fs';process.on('exit',()=>writeFileSync('${file}',String(process.resourceUsage().maxRSS)))`;
    const NODE_OPTIONS = `--import data:text/javascript,${encodeURIComponent(code)}`;
    const ended = await run(args, service, { NODE_OPTIONS });
    return { ...ended, megabytes: Number(await readFile(file, 'utf8')) / 1024 };
  }

  // The members of a gzip file are one stream of bytes (RFC 1952, 2.2).
  const compressed = gzipSync(Buffer.alloc(64 * 1024 * 1024, ' '), { level: 1 });
  test.each([
    ['that is compressed', 200, { 'content-encoding': 'gzip' }, compressed, { code: 76, below: 500 }],
    ['that is an error', 400, {}, 'x'.repeat(64 * 1024), { code: 65, below: 300 }],
  ] as const)('%s ends the command and takes no memory', async (_, status, headers, part, { code, below }) => {
    const service = await serviceWith(isList, (response) => {
      response.writeHead(status, { 'content-type': 'application/json', ...headers });
      sendForever(response, part);
    });
    const ended = await measured(['ls'], service);
    expect([ended.code, ended.stderr]).toEqual([code, expect.stringMatching(/^trainyard: [^\n]{10,400}\n$/)]);
    expect(ended.megabytes).toBeLessThan(below);
  });

  test('is no file', async () => {
    const service = await serviceWith(isFile, (response) => sendForever(response, 'x'.repeat(64 * 1024)));
    const root = await newRoot();
    const { code, stderr } = await run(['pull', 'railway', root], service);
    expect([code, stderr]).toEqual([75, AFTER_PROGRESS]);
    expect(await readdir(root)).not.toContain('a.jpg');
  });

  test('is no archive', async () => {
    const entry = Buffer.alloc(512 + 10_000_000);
    new Header({ path: 'other.jpg', size: 10_000_000, type: 'File', mode: 0o644 }).encode(entry);
    const part = gzipSync(entry, { level: 0 });
    const isArchive = (path: string) => path.endsWith('/archive');
    const service = await serviceWith(isArchive, (response) => sendForever(response, part));
    const root = await newRoot();
    expect((await run(['mount', 'railway', '--into', root], service)).code).toBe(0);
    expect(await readFile(join(root, 'railway', 'a.txt'), 'utf8')).toBe('a wagon');
  });
});

describe('a mount over HTTP', () => {
  const COMMANDS = IS_ALL ? ['mount', 'pull'] : ['mount'];
  test.each(COMMANDS)('%s ends where each answer begins at the first byte and breaks', async (command) => {
    const { 'a.jpg': bytes } = DATASET.files;
    let requests = 0;
    const service = await startScriptedService(DATASET, ({ path }, response) => {
      // A client that goes on ends here with success.
      if (!path.includes('/files/a.jpg') || requests >= 50) return false;
      const part = bytes.subarray(0, requests++ % 2 === 0 ? 1000 : 2000);
      const range = command === 'pull' && { 'content-range': `bytes 0-${bytes.length - 1}/${bytes.length}` };
      response.writeHead(range ? 206 : 200, { 'content-length': bytes.length, ...range });
      response.write(part, () => response.destroy());
    });
    const root = await newRoot();
    const ended = await run([command, 'railway', ...(command === 'mount' ? ['--into', root] : [root])], service);
    expect([ended.code, ended.stderr]).toEqual([69, AFTER_PROGRESS]);
  });

  test('of an id replaces no folder of another dataset, unless that is asked for by its name', async () => {
    // The dataset that was asked for by its id calls itself like another folder of the root.
    const service = await startScriptedService({ ...DATASET, id: 'railway-id', name: 'victim' });
    const root = await newRoot();
    await mkdir(join(root, 'victim'));
    await writeFile(join(root, 'victim', 'mine.txt'), 'mine');
    const byId = await run(['mount', 'railway-id', '--into', root, '--replace'], service);
    expect([byId.code, byId.stderr]).toEqual([73, expect.stringContaining('by its name')]);
    expect(await readFile(join(root, 'victim', 'mine.txt'), 'utf8')).toBe('mine');
    expect((await run(['mount', 'victim', '--into', root, '--replace'], service)).code).toBe(0);
    expect((await run(['mount', 'railway-id', '--into', root, '--replace'], service)).code).toBe(0);
  });
});

test('an export that goes on beyond its announced end is no archive, and fills no disk', async () => {
  let requests = 0;
  const service = await startScriptedService(DATASET, ({ path }, response) => {
    if (!path.includes('/zip')) return false;
    if (requests++ > 0) return sendForever(response.writeHead(206), 'more');
    response.writeHead(200, { 'content-length': 3000, etag: '"1"' });
    response.write(Buffer.alloc(1000), () => response.destroy());
  });
  const ended = await run(['export', 'railway', '--to', await newRoot()], service);
  expect([ended.code, ended.stderr]).toEqual([76, expect.stringContaining('more bytes than it had announced')]);
});

test.each([301, 307])('a token is not sent on by a redirect with %i, and a circle ends', async (status) => {
  const other = await startScriptedService(DATASET);
  for (const target of [`${other.url}${BASE_PATH}`, BASE_PATH]) {
    const service = await startScriptedService(DATASET, (_request, response) =>
      response.writeHead(status, { location: target }).end(),
    );
    const ended = await new TrainyardClient({ baseUrl: service.url, token: 'ty_secret' }).list().catch(endingOf);
    expect(ended).toEqual({ code: 76, message: expect.stringContaining('redirect') });
    expect(service.seen).toHaveLength(1);
  }
  expect(other.seen).toEqual([]);
});

describe('an upload link is used only if', () => {
  test.each([
    ['its method is PUT', { method: 'DELETE' }],
    ['it is an HTTP URL', { upload_url: 'file:///etc/passwd' }],
    ['it is a URL', { upload_url: 'somewhere' }],
    ['it has no password', { upload_url: 'http://user:password@127.0.0.1:1/' }],
    ['its headers are those of an upload', { headers: { 'x-amz-acl': 'public-read' } }],
    ['its headers are no others', { headers: { 'X-aws-ec2-metadata-token-ttl-seconds': '60' } }],
    ['its headers have no line end', { headers: { 'content-type': ['a', 'b'] } }],
  ])('%s', (_, fields) => {
    const link = { upload_url: 'https://bucket.example/put', method: 'PUT', headers: {}, expires_at: 'soon' };
    const parses = (each: object) => anyUploadLinks.safeParse({ uploads: { 'a.jpg': each } }).success;
    expect([parses(link), parses({ ...link, ...fields })]).toEqual([true, false]);
  });

  test('it sends the bytes nowhere else', async () => {
    const target = await startScriptedService(DATASET);
    const service = await startScriptedService(DATASET, ({ method, path }, response) => {
      if (path.includes('/status')) return sendJson(response, 200, { ...documents.status, files: [] });
      if (method === 'PUT') return response.writeHead(307, { location: target.url }).end();
      if (!path.endsWith('/get-upload-endpoint')) return false;
      const link = { upload_url: `${service.url}/put`, method: 'PUT', headers: {}, expires_at: 'soon' };
      return sendJson(response, 200, { uploads: { 'a.jpg': link, 'a.txt': link } });
    });
    const folder = await folderWith({ 'a.jpg': await media.jpeg(), 'a.txt': 'a' }, 'railway');
    expect((await run(['push', folder, '--no-wait'], service)).code).toBe(76);
    expect(target.seen).toEqual([]);
  });
});
