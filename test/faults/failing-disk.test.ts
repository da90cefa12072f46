import { mkdir, readdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { Api, put } from '../harness/api.js';
import { IS_ALL, whyNoCompiler } from '../harness/available.js';
import { findingsOf } from '../harness/checking.js';
import { trainyard } from '../harness/command.js';
import { datasetOf, newRoot } from '../harness/mounting.js';
import { discardServer, eventually, startServer, type TestServer, temporaryFolder } from '../harness/server.js';
import { contentOf } from './contents.js';
import { expectLedger, Ledger, type MixedLoad, mixedClient } from './mixed-load.js';
import { builtLibrary } from './preload.js';
import { printedSeed, seededRandom } from './random.js';
import { faultsOf, isAlive } from './remains.js';

const OPERATIONS = ['write', 'sync', 'sync-folder'];

const LEFT_OUT = whyNoCompiler();

/** Short leases, so that uploads that could not be ended in the catalog end soon. */
const SETTINGS = { 'blob-grace-seconds': 0, 'lease-seconds': 1 };

describe.skipIf(LEFT_OUT !== undefined)(LEFT_OUT ?? 'a disk that answers EIO', () => {
  let library: string;
  let server: TestServer;
  let api: Api;
  let id: string;
  let link: string;

  const start = async (dataFolder: string) => {
    server = await startServer(SETTINGS, { dataFolder, env: { LD_PRELOAD: library, FAILING_DISK: dataFolder } });
  };

  beforeAll(async () => {
    library = await builtLibrary('failing-disk.c');
    await start(await temporaryFolder());
    api = await server.api();
  });

  beforeEach(async () => {
    id = await api.newDataset();
    expect((await api.upload(id, 'kept.txt', 'a caption')).status).toBe(200);
    link = await api.link(id, 'linked.txt', 9);
  });

  afterEach(async () => {
    // The background work reports the failing disk, and goes on. Uploads that could not be ended in the catalog expire.
    const faults = faultsOf(server).filter((line) => !line.includes('it will be retried'));
    expect([isAlive(server), faults]).toEqual([true, []]);
  });

  afterAll(() => discardServer(server));

  /** @param part of the paths that are concerned; by default, all are */
  const failing = (operation: string, part = '') => writeFile(`${server.dataFolder}-${operation}`, part);
  const mend = (operation: string) => rm(`${server.dataFolder}-${operation}`, { force: true });

  /** The statuses of requests of each kind that changes something, uploads first. */
  async function writes(): Promise<number[]> {
    const captions = [{ filename: 'kept.txt', text: 'another caption' }];
    return [
      (await api.upload(id, 'new.jpg', contentOf('new.jpg', 'new'))).status,
      (await api.upload(id, 'kept.txt', 'another caption')).status,
      (await api.json('PUT', `/${id}/captions`, { captions })).status,
      (await put(link, 'a caption')).status,
      (await api.request('DELETE', `/${id}/files/kept.txt`)).status,
      (await api.create()).status,
    ];
  }

  test.each(['write', 'sync'])('during a %s acknowledges nothing, and serves again by itself', async (operation) => {
    await failing(operation);
    expect(await writes()).toEqual([503, 503, 503, 503, 503, 503]);
    if (operation === 'write') expect((await fetch(`${server.url}/readyz`)).status).toBe(503);
    expect((await api.status(id)).body.files).toMatchObject([{ filename: 'kept.txt', size_bytes: 9 }]);
    await mend(operation);

    expect((await fetch(`${server.url}/readyz`)).status).toBe(200);
    await eventually(async () => ((await put(link, 'a caption')).status === 200 ? true : undefined));
    expect((await api.upload(id, 'new.jpg', contentOf('new.jpg', 'new'))).status).toBe(200);
    expect(await api.filenames(id)).toEqual(['kept.txt', 'linked.txt', 'new.jpg']);
    await eventually(async () => ((await api.status(id)).body.counts.pending === 0 ? true : undefined));
  });

  test.each(['staging/', 'catalog.sqlite-wal'])('that does not sync %s acknowledges no upload', async (part) => {
    await failing('sync', part);
    expect((await writes()).slice(0, 4)).toEqual([503, 503, 503, 503]);
    await mend('sync');
  });

  test('after the bytes of a link have their name costs one attempt only', async () => {
    await failing('sync-folder');
    expect((await put(link, 'a caption')).status).toBe(503);
    await mend('sync-folder');
    expect((await put(link, 'a caption')).status).toBe(200);
  });

  test.each(['mount --into', 'export --to', 'pull'])('under the folder of %s ends it', async (command) => {
    const [verb = '', ...option] = command.split(' ');
    const root = await newRoot();
    const target = join(root, 'target');
    await mkdir(target);
    await writeFile(`${target}-sync`, '');
    await datasetOf(api, { 'a.jpg': contentOf('a.jpg', verb), 'a.txt': 'a' }, verb);
    // Without the program `sync`, which does not fail.
    const env = { PATH: '', TRAINYARD_URL: server.url, TRAINYARD_TOKEN: api.token, XDG_CONFIG_HOME: root };
    const preload = { LD_PRELOAD: library, FAILING_DISK: target };
    const ended = await trainyard([verb, verb, ...option, target], { env: { ...env, ...preload } });
    expect([ended.code, ended.stderr]).toEqual([74, expect.stringContaining('EIO')]);
    const left = (await readdir(root, { recursive: true })).filter((path) => !path.includes('/.'));
    const pulled = verb === 'pull' ? ['target/a.jpg', 'target/a.txt'] : [];
    expect(left.sort()).toEqual(['target', 'target-sync', ...pulled]);
  });

  test('that does not sync the name of a new backup ends it', async () => {
    const disk = join(await newRoot(), 'disk');
    const env = { LD_PRELOAD: library, FAILING_DISK: disk };
    const backup = () => trainyard(['backup', join(disk, 'backup'), '--data', server.dataFolder], { env });
    expect((await backup()).code).toBe(0);
    // The files have their names already.
    await writeFile(`${disk}-sync-folder`, '');
    expect((await backup()).code).toBe(74);
  });

  test('that fails now and then loses nothing that was acknowledged', async () => {
    const seed = printedSeed();
    const random = seededRandom(seed);
    const ledger = new Ledger();
    const datasetId = await api.newDataset();
    let answers = 0;
    const onAnswer = () => answers++;
    const load: MixedLoad = { api, datasetId, ledger, failures: [409, 503], isStopped: false, onAnswer };
    const working = Promise.all([1, 2, 3].map((client) => mixedClient(load, client, seededRandom(seed + client))));
    for (let failure = 0; failure < (IS_ALL ? 25 : 6); failure++) {
      const operation = OPERATIONS[Math.floor(random() * OPERATIONS.length)]!;
      await wait(random() * 100);
      await failing(operation);
      // On a busy machine, no request may come within a fixed time.
      const enough = answers + 1 + random() * 8;
      await eventually(() => answers >= enough || undefined);
      await mend(operation);
    }
    load.isStopped = true;
    await working;
    await expectLedger(api, datasetId, ledger);
    expect(ledger.unanswered).toBeGreaterThan(0);
  });

  test('during a read serves no wrong bytes, and serves again by itself', async () => {
    await failing('read');
    expect((await api.raw('GET', `/${id}/files/kept.txt`)).status).toBe(503);
    await mend('read');
    expect(await (await api.raw('GET', `/${id}/files/kept.txt`)).text()).toBe('a caption');
    // A new process has no page of the catalog in memory.
    const { dataFolder } = server;
    await server.stop();
    await start(dataFolder);
    api = new Api(server.url, api.token);
    await failing('read');
    expect([(await api.status(id)).status, (await api.list()).status]).toEqual([503, 503]);
    await mend('read');
    expect((await api.status(id)).status).toBe(200);
    expect(await (await api.raw('GET', `/${id}/files/kept.txt`)).text()).toBe('a caption');
  });

  test('leaves nothing that verify --store finds', () => expect.poll(() => findingsOf(server)).toEqual([]));
});
