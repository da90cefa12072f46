import { cp, mkdir, readdir, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setImmediate as turn } from 'node:timers/promises';
import { ListObjectsV2Command } from '@aws-sdk/client-s3';
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { openCatalog } from '../../../src/storage/catalog/open-catalog.js';
import * as media from '../../fixtures/media.js';
import { COMBINATIONS, whyNoPostgres, whyNoS3 } from '../../harness/available.js';
import { Api } from '../../harness/api.js';
import { type Ended, startCommand, trainyard } from '../../harness/command.js';
import { pairsOf } from '../../harness/folder.js';
import { datasetOf } from '../../harness/mounting.js';
import { databaseForTest, onDatabase, proxiedForTest } from '../../harness/postgres.js';
import { newClient } from '../../harness/s3.js';
import { discardServer, eventually, startServer, temporaryFolder } from '../../harness/server.js';
import {
  blobPathsIn,
  flipBit,
  type Holdings,
  holdingsOf,
  newFolder,
  pathOfBytes,
  servedHoldings,
  stopped,
} from '../../harness/transferring.js';
import { newWorld } from '../../harness/world.js';

const CLIP = media.clip(media.CLIPS[0]);

/** A data folder that was served; each test gets a copy. */
let full: string;
let token: string;
let holdings: Holdings;
let files: number;
beforeAll(async () => {
  const server = await startServer({ 'caption-grace-seconds': 0 });
  const api = await server.api();
  token = api.token;
  const engines = await datasetOf(api, { ...(await pairsOf(4)), 'clip.mp4': CLIP, 'clip.txt': 'an engine' }, 'engines');
  await datasetOf(api, { 'a.png': await media.png(), 'a.txt': 'only one' }, 'one');
  // A training dataset with a control that lacks an image, and a mask.
  const depth = (await api.json<{ id: string }>('POST', '', { name: 'engines-depth', role: 'control' })).body.id;
  for (const [name, bytes] of Object.entries(await pairsOf(3))) {
    if (name.endsWith('.jpg')) await api.upload(depth, name, bytes);
  }
  await api.json('POST', '', { name: 'engines-mask', role: 'mask' });
  await api.json('PUT', `/${engines}/links`, { control_1: 'engines-depth', mask: 'engines-mask' });
  const failed = await api.newDataset('failed');
  await api.upload(failed, 'b.txt', 'no picture');
  await api.links(failed, { 'c.jpg': 1000 });
  await api.newDataset('empty');
  // The history has the replaced file.
  await api.upload(failed, 'b.txt', 'still no picture');
  holdings = await holdingsOf(api);
  expect(holdings.engines).toMatchObject({ status: 'FAILED', links: { control_1: {}, mask: {} } });
  expect(holdings.engines?.counts.unpaired).toBeGreaterThan(1);
  await server.stop();
  full = server.dataFolder;
  files = Object.values(holdings).reduce((sum, dataset) => sum + dataset.files.length, 1);
});
afterAll(() => rm(full, { recursive: true, force: true }));

async function copyOf(folder: string): Promise<string> {
  const copy = await newFolder();
  await cp(folder, copy, { recursive: true });
  return copy;
}

/** An empty installation: arguments of `migrate-data`, and the environment of a server. */
interface TestInstallation {
  readonly args: readonly string[];
  readonly dataFolder: string;
  readonly env: Record<string, string>;
}

async function newInstallation(combination: string): Promise<TestInstallation> {
  const { env, discard } = await newWorld(combination);
  onTestFinished(discard);
  const dataFolder = await newFolder();
  const { DATABASE_URL, BLOBS_URL } = env;
  const urls = [DATABASE_URL, BLOBS_URL].filter((url) => url !== undefined);
  return { args: urls.length === 2 ? urls : [dataFolder, ...urls], dataFolder, env };
}

/** The types of the blob versions in a catalog: `string` on S3, `null` on disk. */
async function versionsIn({ dataFolder, env }: Pick<TestInstallation, 'dataFolder' | 'env'>): Promise<string[]> {
  const metadata = await openCatalog({ dataFolder, blobGrace: 0, databaseUrl: env.DATABASE_URL });
  try {
    const kinds = new Set<string>();
    for (const { id } of await metadata.catalog.datasets({})) {
      for (const { upload } of await metadata.catalog.files(id)) {
        if (upload.state === 'stored') kinds.add(upload.blobVersion === null ? 'null' : typeof upload.blobVersion);
      }
    }
    return [...kinds];
  } finally {
    await metadata.close();
  }
}

function migrate(from: readonly string[], to: readonly string[], env: Record<string, string> = {}): Promise<Ended> {
  return trainyard(['migrate-data', '--from', ...from, '--to', ...to, '--json'], { env });
}

/** The other combinations repeat the proof of these. */
const longUnless = (name: string, ...names: string[]) => ({ tags: names.includes(name) ? [] : ['long'] });

for (const { name, leftOut } of COMBINATIONS) {
  const options = longUnless(name, 'sqlite+disk', 'postgres+s3');
  test.skipIf(leftOut !== undefined)(`copies everything to ${name}, and back`, options, async () => {
    const [from, to] = [await copyOf(full), await newInstallation(name)];
    const there = await migrate([from], to.args, to.env);
    expect([there.stderr, there.code]).toEqual(['', 0]);
    expect(there.json()).toMatchObject({ files, copied_files: files });
    // The source is no longer needed.
    await rm(from, { recursive: true });
    expect(await servedHoldings(to.dataFolder, { token, env: to.env })).toEqual(holdings);
    expect(await versionsIn(to)).toEqual(name.endsWith('s3') ? ['string'] : ['null']);

    const back = await newFolder();
    expect((await migrate(to.args, [back], to.env)).json()).toMatchObject({ files, copied_files: files });
    expect(await servedHoldings(back, { token })).toEqual(holdings);
    expect((await stat(back)).mode & 0o777).toBe(0o700);
    expect(await blobPathsIn(back)).toHaveLength(files);
    expect(await versionsIn({ dataFolder: back, env: {} })).toEqual(['null']);
  });
}

for (const { name, leftOut } of COMBINATIONS.slice(1)) {
  const title = `to ${name}, moves only the parts that are not in the folder`;
  test.skipIf(leftOut !== undefined)(title, longUnless(name, 'sqlite+s3'), async () => {
    const [from, to] = [await copyOf(full), await newInstallation(name)];
    const urls = to.args.filter((arg) => arg !== to.dataFolder);
    const moved = await migrate([from], urls.length === 2 ? urls : [from, ...urls], to.env);
    expect([moved.stderr, moved.code]).toEqual(['', 0]);
    expect(await servedHoldings(from, { token, env: to.env })).toEqual(holdings);
    expect(await versionsIn({ dataFolder: from, env: to.env })).toEqual(name.endsWith('s3') ? ['string'] : ['null']);
  });
}

const noPostgres = whyNoPostgres() !== undefined;
const noS3 = whyNoS3() !== undefined;

describe('interrupted', () => {
  const CAPTIONS = 500;

  /** A data folder that is large enough to interrupt its migration several times. */
  let large: string;
  let tokenOfLarge: string;
  beforeAll(async () => {
    const server = await startServer();
    const api = await server.api();
    tokenOfLarge = api.token;
    const id = await api.newDataset('large');
    const captions = Array.from({ length: CAPTIONS }, (_, i) => ({ filename: `${i}.txt`, text: `caption ${i}` }));
    expect((await api.json('PUT', `/${id}/captions`, { captions })).status).toBe(200);
    await server.stop();
    large = server.dataFolder;
  });
  afterAll(() => rm(large, { recursive: true, force: true }));

  for (const { name, leftOut } of COMBINATIONS) {
    const title = `on the way to ${name}, it leaves no catalog, and continues`;
    test.skipIf(leftOut !== undefined)(title, longUnless(name, 'sqlite+disk'), async () => {
      const to = await newInstallation(name);
      const run = { env: to.env };
      const args = ['migrate-data', '--from', large, '--to', ...to.args, '--json'];
      let before = 0;
      for (const signal of ['SIGKILL', 'SIGINT'] as const) {
        const running = startCommand(args, run);
        while ((await blobCountIn(to)) <= before && running.process.exitCode === null) await turn();
        running.process.kill(signal);
        const ended = await running.ended;
        if (signal === 'SIGINT') expect([ended.code, ended.json().error.code]).toEqual([130, 'INTERRUPTED']);
        before = await blobCountIn(to);
        expect(before).toBeLessThan(CAPTIONS);
        const starting = startServer({}, { dataFolder: await copyAside(to), env: to.env });
        if (to.env.BLOBS_URL === undefined) {
          const fresh = await starting;
          expect(fresh.output()).toContain('This is the first start');
          await fresh.stop();
        } else await expect(starting).rejects.toThrow('The catalog is new');
        if (to.env.DATABASE_URL !== undefined) await emptied(to.env.DATABASE_URL);
      }
      const ended = await trainyard(args, run);
      expect(ended.json()).toMatchObject({ files: CAPTIONS, copied_files: CAPTIONS - before });
      const migrated = await servedHoldings(to.dataFolder, { token: tokenOfLarge, env: to.env });
      expect(migrated.large?.files).toHaveLength(CAPTIONS);
    });
  }

  async function blobCountIn({ dataFolder, env }: TestInstallation): Promise<number> {
    if (env.BLOBS_URL === undefined) return (await blobPathsIn(dataFolder)).length;
    const { hostname: Bucket, pathname } = new URL(env.BLOBS_URL);
    const client = newClient();
    const Prefix = pathname.slice(1);
    const { Contents = [] } = await client.send(new ListObjectsV2Command({ Bucket, Prefix }));
    client.destroy();
    // The objects of the store's self-test are there too, for a moment.
    return Contents.filter(({ Key = '' }) => /\/[0-9a-f]{32}\/[0-9a-f]{32}$/.test(Key)).length;
  }

  /** Copies the catalog, so that a server started on the copy changes nothing. */
  async function copyAside({ dataFolder }: TestInstallation): Promise<string> {
    const aside = await newFolder();
    await mkdir(aside, { recursive: true });
    for (const name of await readdir(dataFolder).catch(() => [])) {
      if (name.startsWith('catalog')) await cp(join(dataFolder, name), join(aside, name));
    }
    return aside;
  }

  async function emptied(url: string): Promise<void> {
    await onDatabase(url, 'truncate account cascade; truncate trash, setting, job');
  }
});

describe('checks source and target', () => {
  test('a damaged or missing file is listed, and the catalog is not copied', async () => {
    const [from, to] = [await copyOf(full), await newFolder()];
    await flipBit(await pathOfBytes(from, CLIP));
    await rm(await pathOfBytes(from, 'wagon 3'));
    const ended = await migrate([from], [to]);
    expect(ended.code).toBe(65);
    const { lost, message } = ended.json().error;
    expect(lost).toHaveLength(2);
    expect(lost).toContainEqual(
      expect.objectContaining({ dataset: 'engines', filename: 'clip.mp4', reason: 'DAMAGED' }),
    );
    expect(lost).toContainEqual(expect.objectContaining({ dataset: 'engines', filename: '03.txt', reason: 'MISSING' }));
    expect(message).toContain('clip.mp4');
    // All other files are copied; no part of the damaged one is.
    expect(await blobPathsIn(to)).toHaveLength(files - 2);
    await flipBit(await pathOfBytes(full, CLIP).then((path) => join(from, path.slice(full.length))));
    expect((await migrate([from], [to])).json().error.lost).toMatchObject([{ filename: '03.txt' }]);
  });

  test('a target with a catalog, which may have been served since, is left unchanged', async () => {
    const [from, to] = [await copyOf(full), await newFolder()];
    expect((await migrate([from], [to])).code).toBe(0);
    const server = await startServer({}, { dataFolder: to });
    await (await server.api()).newDataset('another');
    await server.stop();
    const ended = await migrate([from], [to]);
    expect([ended.code, ended.json().error.message]).toEqual([73, expect.stringContaining(to)]);
    expect(Object.keys(await servedHoldings(to, { token }))).toContain('another');
  });

  test('files of a deleted dataset are not copied, and the cleanup of the target removes their rows', async () => {
    const from = await copyOf(full);
    const server = await startServer({}, { dataFolder: from });
    const api = new Api(server.url, token);
    expect((await api.request('DELETE', `/${holdings.one!.dataset_id}`)).status).toBe(200);
    await server.stop();
    const to = await newFolder();
    expect((await migrate([from], [to])).json()).toMatchObject({ files: files - 2, copied_files: files - 2 });
    const { one: _, ...others } = holdings;
    expect(await servedHoldings(to, { token })).toEqual(others);
  });

  test('a folder with other files is left unchanged', async () => {
    const to = await temporaryFolder();
    onTestFinished(() => rm(to, { recursive: true, force: true }));
    await writeFile(join(to, 'thesis.txt'), '');
    const ended = await migrate([await copyOf(full)], [to]);
    expect([ended.code, ended.json().error.message]).toEqual([73, expect.stringContaining('thesis.txt')]);
    expect(await readdir(to)).toEqual(['thesis.txt']);
  });

  test('a source without datasets is rejected, and no target is created', async () => {
    const [from, to] = [await newFolder(), await newFolder()];
    expect((await migrate([from], [to])).code).toBe(66);
    await mkdir(from);
    expect((await migrate([from], [to])).code).toBe(66);
    expect(await readdir(join(to, '..'))).toEqual([]);
  });

  test('neither source nor target may be served', async () => {
    const from = await copyOf(full);
    const server = await startServer({}, { dataFolder: from });
    try {
      const cases = [
        [[from], [await newFolder()]],
        [[await copyOf(full)], [from]],
      ] as const;
      const codes = [];
      for (const [source, target] of cases) {
        const ended = await migrate(source, target);
        expect(ended.json().error.message).toContain(from);
        codes.push(ended.code);
      }
      expect(codes).toEqual([75, 73]);
    } finally {
      await server.stop();
    }
  });

  test.skipIf(noPostgres)('no instance may use a database', async () => {
    const url = await databaseForTest();
    const server = await startServer({}, { env: { DATABASE_URL: url } });
    onTestFinished(() => rm(server.dataFolder, { recursive: true, force: true }));
    const ended = await migrate([await copyOf(full)], [await newFolder(), url]);
    const { message } = ended.json().error;
    expect([ended.code, message]).toEqual([75, expect.stringContaining('is being served')]);
    expect(message).not.toContain(new URL(url).password);
    await server.stop();
  });

  test.each([
    [['./a'], ['./a'], 'are the same'],
    [['postgres://h/d'], ['./b'], 'no location for the files'],
    [['s3://bucket'], ['./b'], 'no location for the catalog'],
    [['./a', './c'], ['./b'], 'more than one folder'],
    [['./a'], ['./b', 'postgres://h/d', 's3://bucket'], 'a folder too many'],
    [['./a'], ['./b', 's3://bucket?endpont=x'], 'has unknown parameters: endpont'],
    [['./a'], ['mysql://h/d', 's3://bucket'], 'takes folders'],
  ])('rejects %j to %j', async (from, to, reason) => {
    const ended = await migrate(from, to);
    expect([ended.code, ended.json().error.message]).toEqual([64, expect.stringContaining(reason)]);
  });
});

describe('leaves a target unchanged', () => {
  /** The data folder of another installation. */
  let other: string;
  beforeAll(async () => {
    const server = await startServer();
    await datasetOf(await server.api(), await pairsOf(1), 'theirs');
    await server.stop();
    other = server.dataFolder;
  });
  afterAll(() => rm(other, { recursive: true, force: true }));

  function expectOccupied(ended: Ended, name: string): void {
    expect([ended.code, ended.json().error.message]).toEqual([73, expect.stringContaining(name)]);
  }

  async function removeCatalog(folder: string): Promise<void> {
    for (const name of await readdir(folder)) if (name.startsWith('catalog')) await rm(join(folder, name));
  }

  test.each(['migrate-data', 'restore'])(
    '%s copies nothing into a folder that has files of an installation with another catalog',
    async (command) => {
      const [from, to] = [await copyOf(full), await copyOf(other)];
      await removeCatalog(to);
      const theirs = await blobPathsIn(to);
      const ended =
        command === 'restore'
          ? await trainyard(['restore', from, '--data', to, '--json'])
          : await migrate([from], [to]);
      expectOccupied(ended, theirs[0]!.split('/').at(-1)!);
      expect(await blobPathsIn(to)).toEqual(theirs);
    },
  );

  test.skipIf(noPostgres)(
    'a folder with the catalog of another installation is left unchanged if the target catalog is elsewhere',
    async () => {
      const to = await copyOf(other);
      await rm(join(to, 'blobs'), { recursive: true });
      const before = await readdir(to);
      expectOccupied(await migrate([await copyOf(full)], [to, await databaseForTest()]), 'catalog.sqlite');
      expect((await readdir(to)).filter((name) => name !== 'serving.lock')).toEqual(
        before.filter((name) => name !== 'serving.lock'),
      );
    },
  );

  test.skipIf(noPostgres)(
    'files move to a new folder while their catalog stays in Postgres',
    { tags: ['long'] },
    async () => {
      const [url, first, second, occupied] = [
        await databaseForTest(),
        await newFolder(),
        await newFolder(),
        await newFolder(),
      ];
      expect((await migrate([await copyOf(full)], [first, url])).code).toBe(0);
      await mkdir(occupied);
      await writeFile(join(occupied, 'thesis.txt'), '');
      expectOccupied(await migrate([url, first], [url, occupied]), 'thesis.txt');
      expect((await migrate([url, first], [url, second])).json()).toMatchObject({ files, copied_files: files });
      await rm(first, { recursive: true });
      expect(await servedHoldings(second, { token, env: { DATABASE_URL: url } })).toEqual(holdings);
    },
  );

  test.skipIf(noPostgres)('a catalog that is named in two ways is left unchanged', { tags: ['long'] }, async () => {
    const [url, folder, other] = [await databaseForTest(), await newFolder(), await newFolder()];
    expect((await migrate([await copyOf(full)], [folder, url])).code).toBe(0);
    const { url: proxied } = await proxiedForTest(url);
    expectOccupied(
      await migrate([url, folder], [proxied, other]),
      'name a database that stays in the same way in both',
    );
    const ended = await migrate([url, folder], [url, folder]);
    expect([ended.code, ended.json().error.message]).toEqual([64, expect.stringContaining('are the same')]);
  });
});

test.skipIf(noS3)(
  'from a bucket to a folder, uploads to the bucket keep nothing waiting once their names are uploaded again',
  { tags: ['long'] },
  async () => {
    const from = await newWorld('sqlite+presigned');
    onTestFinished(from.discard);
    const settings = { 'caption-grace-seconds': 0 };
    const bucket = await startServer(settings, { env: from.env });
    const first = await bucket.api();
    const id = await first.newDataset();
    for (const name of ['a.jpg', 'b.jpg', 'c.jpg']) await first.upload(id, name, await media.jpeg());
    const pending = async (api: Api) => (await api.status(id)).body.counts.pending;
    const allEnded = (api: Api) => eventually(async () => ((await pending(api)) === 0 ? true : undefined));
    await first.links(id, { 'a.txt': 4_000_000_000 });
    await first.upload(id, 'a.txt', 'replaced before');
    await allEnded(first);
    await first.links(id, { 'b.txt': 5, 'c.txt': 5 });
    const dataFolder = await stopped(bucket);

    const folder = await newFolder();
    const migrated = await migrate([dataFolder, from.env.BLOBS_URL!], [folder], from.env);
    expect([migrated.stderr, migrated.code]).toEqual(['', 0]);

    const server = await startServer(settings, { dataFolder: folder });
    onTestFinished(() => discardServer(server));
    const api = new Api(server.url, first.token);
    expect(await pending(api)).toBe(2);
    await api.upload(id, 'b.txt', 'uploaded again');
    const link = await api.link(id, 'c.txt', 10);
    expect((await fetch(link, { method: 'PUT', body: 'by a link!' })).status).toBe(200);
    await allEnded(api);
    expect((await api.status(id)).body.status).toBe('READY');
    const usage = async () => (await api.request<{ usage: { bytes: number } }>('GET', '/account')).body.usage.bytes;
    expect(await usage()).toBeLessThan(4_000_000_000);
  },
);
