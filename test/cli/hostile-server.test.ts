import { mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { describe, expect, onTestFinished, test } from 'vitest';
import { BASE_PATH } from '../../src/api/limits.js';
import { anyUploadLinks } from '../../src/api/schemas.js';
import { endingOf } from '../../src/cli/terminal/exit-codes.js';
import { TrainyardClient } from '../../src/client/client.js';
import * as media from '../fixtures/media.js';
import { type Ended, startCommand, trainyard } from '../harness/command.js';
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
import { eventually, temporaryFolder } from '../harness/server.js';

const DATASET = { id: 'd1', name: 'railway', files: { 'a.jpg': Buffer.alloc(3000, 'a'), 'a.txt': 'a wagon' } };
const documents = documentsOf(DATASET);
const [listed] = documents.list.datasets;

const environment = ({ url }: ScriptedService) => ({
  TRAINYARD_URL: url,
  TRAINYARD_TOKEN: 'ty_secret',
  HOME: '/nowhere',
});
const run = (args: readonly string[], service: ScriptedService, env: Record<string, string> = {}): Promise<Ended> =>
  trainyard(args, { env: { ...environment(service), ...env } });

const onList =
  (send: (response: Parameters<Script>[1]) => void): Script =>
  ({ path, method }, response) =>
    path === BASE_PATH && method === 'GET' ? send(response) : false;

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

describe('an invalid manifest', () => {
  /** Serves all of them, each as the manifest of a dataset `railway N`. */
  async function startAll(): Promise<{ service: ScriptedService; names: string[] }> {
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
    return { service, names };
  }

  test('is one line for mount and pull, and changes nothing', async () => {
    const { service, names } = await startAll();
    const root = await newRoot();
    const victim = join(root, 'victim');
    await mkdir(victim);
    await writeFile(join(victim, 'mine.txt'), 'mine');
    const mounted = await run(['mount', ...names, '--into', root, '--replace', '--json'], service);
    const errors = mounted.json().mounts.map(({ error }: { error?: object }) => error);
    const expected = { exit_code: 76, code: 'PROTOCOL', message: expect.stringMatching(/^The server .{10,400}$/) };
    expect(
      Object.fromEntries(errors.map((error: object, i: number) => [Object.keys(MANIFESTS)[i], error])),
    ).toMatchObject(Object.fromEntries(Object.keys(MANIFESTS).map((what) => [what, expected])));
    const shown = await run(['mount', ...names, '--into', root, '--replace'], service);
    expect([shown.code, shown.stderr.split('\n').length - 1]).toEqual([76, names.length]);
    expect(shown.stderr).not.toMatch(UNSAFE);
    const above = names[Object.keys(MANIFESTS).indexOf('a name above the folder')] ?? '';
    const pulled = await run(['pull', above, join(root, 'pulled'), '--replace', '--theirs'], service);
    expect([pulled.code, pulled.stdout, pulled.stderr]).toEqual([
      76,
      '',
      expect.stringMatching(/^trainyard: The server [^\n]{10,400}\n$/),
    ]);
    expect(await readdir(root)).toEqual(['victim']);
    expect(await readFile(join(victim, 'mine.txt'), 'utf8')).toBe('mine');
  });
});

describe('other answers', () => {
  const clientOf = ({ url }: ScriptedService) => new TrainyardClient({ baseUrl: url, token: 'ty_secret' });
  /** What a command that receives the answer prints and ends with. */
  const endedBy = (request: Promise<unknown>) => request.then(() => 'accepted', endingOf);

  test.each<[string, string, unknown]>([
    ['a list with nothing at all', 'list', ''],
    ['a list with null for a dataset', 'list', '{"datasets":[null]}'],
    ['a list with an id twice', 'list', { datasets: [listed, { ...listed, name: 'other' }] }],
    ['a list with a name twice', 'list', { datasets: [listed, { ...listed, id: 'other' }] }],
    [
      'a status with invalid problems',
      'status',
      { status: 'FAILED', error: { code: 'X', message: 'x', problems: 'no' } },
    ],
    ['a status with invalid sizes', 'status', { files: [{ filename: 'a.jpg', size_bytes: 1, width: '1\n2' }] }],
  ])('%s is one line', async (_, what, answer) => {
    const service = await startScriptedService(DATASET, ({ path }, response) => {
      if (!(what === 'list' ? path === BASE_PATH : path.includes('/status'))) return false;
      return sendJson(response, 200, what === 'list' ? answer : { ...documents.status, ...(answer as object) });
    });
    const client = clientOf(service);
    const ended = await endedBy(what === 'list' ? client.list() : client.status('d1'));
    expect(ended).toEqual({ code: 76, message: expect.stringMatching(/^[^\n]{10,400}$/) });
  });

  test('an optional field that is null counts as missing', async () => {
    const { status } = documents;
    const files = status.files.map((file) => ({ ...file, width: null, warnings: null, problem: null }));
    const service = await startScriptedService(DATASET, ({ path }, response) =>
      path.includes('/status') ? sendJson(response, 200, { ...status, error: null, links: null, files }) : false,
    );
    expect(await clientOf(service).status('d1')).toEqual(status);
  });
});

const TIME = '2025-07-22T13:05';

/** Sets the clipboard, clears the screen, hides text, shows text in another order, and begins another line. */
const HARM =
  '\u001b]52;c;cm0gLXJmIH4=\u0007\u001b[2J\u009b8m\u202egnp.exe\u2066\r\ntrainyard: all is well\u2028\u007f\u0000';

describe('text of a server is printed without control characters', () => {
  test('in its errors', async () => {
    const folder = await folderWith({ 'a.txt': 'a' });
    for (const [args, status, body] of [
      [['ls'], 400, { error_code: 400000, error_message: HARM, detail: [{ path: HARM, message: HARM }] }],
      [['push', folder, '--allow-uncaptioned'], 200, HARM],
    ] as const) {
      const service = await startScriptedService(
        DATASET,
        onList((response) => sendJson(response, status, body)),
      );
      const { stdout, stderr } = await run(args, service);
      expect(`${stdout}${stderr}`).not.toMatch(UNSAFE);
      expect(stderr.split('\n').length).toBeLessThanOrEqual(2);
    }
  });

  test('in names, ids, roles, messages and tables', async () => {
    const problem = { code: HARM, filename: HARM, message: HARM };
    const dataset = {
      ...{ ...listed, id: `d1${HARM.replace('\u0000', '')}`, name: `${HARM}1`, role: HARM, status: 'FAILED' },
      error: { code: HARM, message: HARM, problems: [problem] },
    };
    const file = { ...image, filename: HARM, format: HARM, codec: HARM, warnings: [problem] };
    const share = {
      ...{ id: HARM, kind: 'share', name: HARM, hint: 'ty', read_only: true, datasets: null, created_at: TIME },
      ...{ last_used_at: null, expires_at: `${TIME}${HARM}`, made_by: null, current: false, secret: 's' },
      url: 'https://x.example/#s',
    };
    const service = await startScriptedService(DATASET, ({ method, path }, response) => {
      if (path.includes('/status')) {
        const lists = { awaited: [{ filename: HARM, until: TIME }], warnings: [problem] };
        return sendJson(response, 200, { ...dataset, files: [file], ...lists });
      }
      if (path.endsWith('/shares')) return sendJson(response, 200, method === 'POST' ? share : { tokens: [share] });
      if (path.includes('/recheck')) {
        const counts = { state: 'finished', total: 1, checked: 1 };
        return sendJson(response, 200, { dataset_id: 'd1', ...counts, problems: [problem] });
      }
      return sendJson(response, 200, { datasets: [dataset] });
    });
    const id = dataset.id;
    const named = ['status', 'show', 'verify', 'train-config', 'share'].map((name) => [name, id]);
    for (const args of [...named, ['ls', '--json'], ['share', id, '--list']]) {
      const { stdout, stderr } = await run(args, service);
      expect(`${stdout}${stderr}`, args[0]).toContain('all is well');
      expect(`${stdout}${stderr}`, args[0]).not.toMatch(UNSAFE);
      expect(`${stdout}${stderr}`, args[0]).not.toMatch(/^trainyard: all is well/m);
      if (args[1] === '--json') expect(JSON.parse(stdout).datasets[0].name).toBe(`${HARM}1`);
    }
  });
});

test('a share link is printed with the command that revokes it, as a shell takes it', async () => {
  const service = await startScriptedService(DATASET, ({ path }, response) => {
    if (path === BASE_PATH) return sendJson(response, 200, { datasets: [{ ...listed, name: 'red $(wagons)' }] });
    const share = { id: '3f9a1c20', kind: 'share', name: null, hint: 'ty', read_only: true, datasets: null };
    const times = { created_at: TIME, last_used_at: null, expires_at: TIME };
    const made = { ...share, ...times, made_by: null, current: false, secret: 's', url: 'https://x.example/#s' };
    return path.endsWith('/shares') ? sendJson(response, 200, made) : false;
  });
  const { code, stdout, stderr } = await run(['share', 'd1'], service);
  expect([code, stdout]).toEqual([0, 'https://x.example/#s\n']);
  expect(stderr).toMatch(/^Who has this link sees .* until 2025-07-22 13:05 UTC\. It is not shown again\.\n/);
  expect(stderr.split('\n')[1]).toBe("To revoke it: trainyard share 'red $(wagons)' --revoke 3f9a1c20");
});

describe('an answer without end', () => {
  /** Runs a command, and returns with its end the most memory that it had, in megabytes. */
  async function measured(args: readonly string[], service: ScriptedService): Promise<Ended & { megabytes: number }> {
    const folder = await temporaryFolder();
    onTestFinished(() => rm(folder, { recursive: true }));
    const file = join(folder, 'maxrss');
    const code = `import{writeFileSync}from'node:fs';process.on('exit',()=>writeFileSync('${file}',String(process.resourceUsage().maxRSS)))`;
    const ended = await run(args, service, {
      NODE_OPTIONS: `--import data:text/javascript,${encodeURIComponent(code)}`,
    });
    return { ...ended, megabytes: Number(await readFile(file, 'utf8')) / 1024 };
  }

  // The members of a gzip file are one stream of bytes (RFC 1952, 2.2).
  const compressed = gzipSync(Buffer.alloc(64 * 1024 * 1024, ' '), { level: 1 });
  test.each([
    ['that is compressed', 200, { 'content-encoding': 'gzip' }, compressed, { code: 76, below: 500 }],
    ['that is an error', 400, {}, 'x'.repeat(64 * 1024), { code: 65, below: 300 }],
  ] as const)('%s ends the command and takes no memory', async (_, status, headers, part, { code, below }) => {
    const service = await startScriptedService(
      DATASET,
      onList((response) => {
        response.writeHead(status, { 'content-type': 'application/json', ...headers });
        sendForever(response, part);
      }),
    );
    const ended = await measured(['ls'], service);
    expect([ended.code, ended.stderr]).toEqual([code, expect.stringMatching(/^trainyard: [^\n]{10,400}\n$/)]);
    expect(ended.megabytes).toBeLessThan(below);
  });

  test('is no file', async () => {
    const service = await startScriptedService(DATASET, ({ path }, response) =>
      path.includes('/files/') ? sendForever(response, 'x'.repeat(64 * 1024)) : false,
    );
    const root = await newRoot();
    const { code, stderr } = await run(['pull', 'railway', root], service);
    expect([code, stderr]).toEqual([75, AFTER_PROGRESS]);
    expect(await readdir(root)).not.toContain('a.jpg');
  });

  test('is no archive', async () => {
    const part = gzipSync(Buffer.concat([tarEntry('other.jpg', 10_000_000), Buffer.alloc(10_000_000)]));
    const service = await startScriptedService(DATASET, ({ path }, response) =>
      path.endsWith('/archive') ? sendForever(response, part) : false,
    );
    const root = await newRoot();
    expect((await run(['mount', 'railway', '--into', root], service)).code).toBe(0);
    expect(await readFile(join(root, 'railway', 'a.txt'), 'utf8')).toBe('a wagon');
  });
});

/** The header of a file in a tar archive (POSIX ustar). */
function tarEntry(name: string, sizeBytes: number): Buffer {
  const header = Buffer.alloc(512);
  header.write(name, 0);
  header.write('0000644\0', 100);
  header.write(`${sizeBytes.toString(8).padStart(11, '0')}\0`, 124);
  header.write('        ', 148);
  header.write('0ustar\x0000', 156);
  const sum = header.reduce((total, byte) => total + byte, 0);
  header.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148);
  return header;
}

describe('a mount over HTTP', () => {
  test.each([
    ['mount', 200],
    ['pull', 206],
  ])('%s ends where each answer, with %i, begins at the first byte and breaks', async (command, status) => {
    const { 'a.jpg': bytes } = DATASET.files;
    let requests = 0;
    const service = await startScriptedService(DATASET, ({ path }, response) => {
      // A client that goes on ends here with success.
      if (!path.includes('/files/a.jpg') || requests >= 50) return false;
      const part = bytes.subarray(0, requests++ % 2 === 0 ? 1000 : 2000);
      const range = status === 206 && { 'content-range': `bytes 0-${bytes.length - 1}/${bytes.length}` };
      response.writeHead(status, { 'content-length': bytes.length, ...range });
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

  test('that is in a file is ended by ctrl-C, also after a garbage collection', async () => {
    let isHolding = false;
    const service = await startScriptedService(DATASET, ({ path }, response) => {
      if (!path.includes('/files/')) return false;
      isHolding = true;
      response.writeHead(200, { 'content-length': '3000' });
      response.write('{"');
    });
    const collect = `import v8 from'node:v8';import vm from'node:vm';v8.setFlagsFromString('--expose-gc');const gc=vm.runInNewContext('gc');setInterval(()=>{gc();console.error('collected')},20).unref()`;
    const running = startCommand(['mount', 'railway', '--into', await newRoot()], {
      env: { ...environment(service), NODE_OPTIONS: `--import data:text/javascript,${encodeURIComponent(collect)}` },
    });
    await eventually(() => isHolding || undefined);
    // Several collections, of which a later one frees what the request used.
    const collections = () => running.stderr().split('collected').length;
    const before = collections();
    await eventually(() => collections() > before + 10 || undefined);
    running.process.kill('SIGINT');
    expect((await running.ended).code).toBe(130);
  });
});

describe('a token', () => {
  test('of the environment goes only to the service that the environment names', async () => {
    const [own, other] = [await startScriptedService(DATASET), await startScriptedService(DATASET)];
    const withheld = await run(['ls', '--url', other.url], own);
    expect([withheld.code, withheld.stderr]).toEqual([78, expect.stringContaining('--token')]);
    expect(other.seen).toEqual([]);
    expect((await run(['ls', '--url', other.url, '--token', 'ty_other'], own)).code).toBe(0);
    expect(other.seen).toEqual([`GET ${BASE_PATH} Bearer ty_other`]);
    expect((await run(['ls', '--url', `${own.url}/`], own)).code).toBe(0);
  });

  test.each([301, 307])('is not sent on by a redirect with %i, and a circle ends', async (status) => {
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
