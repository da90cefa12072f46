import { randomUUID } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { mkdir, rename, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { CreateMultipartUploadCommand, DeleteObjectCommand, PutObjectCommand } from '@aws-sdk/client-s3';
import { afterAll, afterEach, beforeEach, describe, expect, onTestFinished, test } from 'vitest';
import { checkStore } from '../../../src/service/store-check/check-store.js';
import { parseS3Url } from '../../../src/storage/blobs/s3/connection/location.js';
import { openCatalog } from '../../../src/storage/catalog/open-catalog.js';
import * as media from '../../fixtures/media.js';
import { put, type Api } from '../../harness/api.js';
import { COMBINATIONS } from '../../harness/available.js';
import { checkStoreOf, findingsOf } from '../../harness/checking.js';
import { startCommand } from '../../harness/command.js';
import { datasetOf } from '../../harness/mounting.js';
import { needsS3, newClient } from '../../harness/s3.js';
import { discardServer, environmentOf, startServer, type TestServer } from '../../harness/server.js';
import { flipBit } from '../../harness/transferring.js';

const newId = () => randomUUID().replaceAll('-', '');

/** The store of a server, changed behind its back. */
interface Store {
  /** The name of the object that holds a blob. */
  readonly nameOf: (key: string) => string;
  readonly write: (name: string, bytes: string) => Promise<void>;
  readonly remove: (name: string) => Promise<void>;
  /** Changes the bytes of an object, and not its size. */
  readonly damage: (name: string) => Promise<void>;
  /** Leaves what a crash during an upload leaves. */
  readonly leaveUnfinished: () => Promise<void>;
}

function folderStore(dataFolder: string): Store {
  const pathOf = (name: string) => join(dataFolder, 'blobs', name);
  return {
    nameOf: (key) => {
      const id = key.slice(key.indexOf('/') + 1);
      return `${id.slice(0, 2)}/${id}`;
    },
    write: async (name, bytes) => {
      await mkdir(dirname(pathOf(name)), { recursive: true });
      await writeFile(pathOf(name), bytes);
    },
    remove: (name) => rm(pathOf(name)),
    damage: (name) => flipBit(pathOf(name)),
    leaveUnfinished: () => writeFile(pathOf(`staging/${randomUUID()}`), 'half of a'),
  };
}

function bucketStore(url: string): Store {
  const { bucket: Bucket, prefix } = parseS3Url(url);
  const client = newClient();
  onTestFinished(() => client.destroy());
  const target = (name: string) => ({ Bucket, Key: `${prefix}/${name}` });
  const write = async (name: string, Body: string) => {
    await client.send(new PutObjectCommand({ ...target(name), Body }));
  };
  return {
    nameOf: (key) => key,
    write,
    remove: async (name) => void (await client.send(new DeleteObjectCommand(target(name)))),
    damage: (name) => write(name, 'another text'),
    leaveUnfinished: async () =>
      void (await client.send(new CreateMultipartUploadCommand(target(`${newId()}/${newId()}`)))),
  };
}

for (const { name, leftOut } of COMBINATIONS) {
  const title = leftOut === undefined ? name : `${name}, left out: ${leftOut}`;
  describe.skipIf(leftOut !== undefined)(`check-store on ${title}`, () => {
    if (name.endsWith('s3')) needsS3();
    let server: TestServer;
    let api: Api;
    let store: Store;
    let datasetId: string;
    let env: Readonly<Record<string, string>>;

    beforeEach(async () => {
      process.env.TRAINYARD_TEST_COMBINATION = name;
      server = await startServer({ 'caption-grace-seconds': 0, 'blob-grace-seconds': 3600 });
      api = await server.api();
      env = await environmentOf(server.dataFolder);
      store = env.BLOBS_URL === undefined ? folderStore(server.dataFolder) : bucketStore(env.BLOBS_URL);
      datasetId = await datasetOf(
        api,
        { 'a.jpg': await media.jpeg(), 'a.txt': 'a red wagon', 'b.txt': 'a blue one' },
        'wagons',
      );
    });
    afterEach(() => discardServer(server));
    afterAll(() => {
      delete process.env.TRAINYARD_TEST_COMBINATION;
    });

    const catalog = () => openCatalog({ dataFolder: server.dataFolder, databaseUrl: env.DATABASE_URL, blobGrace: 0 });
    const keyOf = async (filename: string) => {
      const opened = await catalog();
      const file = await opened.catalog.storedFile({ datasetId, filename }).finally(() => opened.close());
      return `${datasetId}/${file?.id}`;
    };

    test('finds nothing while the service replaces and removes files, makes thumbnails and waits for uploads', async () => {
      await api.upload(datasetId, 'b.txt', 'another text');
      await api.upload(datasetId, 'broken.jpg', 'no image');
      await api.request('DELETE', `/${datasetId}/files/b.txt`);
      await (await api.raw('GET', `/${datasetId}/files/a.jpg/thumbnail`)).arrayBuffer();
      const link = await api.link(datasetId, 'waiting.txt', 10);
      const deleted = await api.newDataset();
      await api.upload(deleted, 'c.txt', 'gone');
      await api.request('DELETE', `/${deleted}`);
      const ended = await checkStoreOf(server);
      expect([ended.code, ended.json()]).toMatchObject([0, { clean: true, files: 4, datasets: 1, findings: [] }]);
      expect(ended.stderr).toContain('"progress"');
      expect((await put(link, '0123456789')).status).toBe(200);
    });

    test('finds damaged, missing, orphaned and unfinished files, and wrong counts; --repair needs no guessing', async () => {
      const [damaged, missing] = [store.nameOf(await keyOf('a.txt')), store.nameOf(await keyOf('b.txt'))];
      await store.damage(damaged);
      await store.remove(missing);
      const orphan = store.nameOf(`${datasetId}/${newId()}`);
      await store.write(orphan, 'no row names this');
      await store.write(`${orphan}.thumbnail`, 'nor this');
      await store.write('notes of a person.md', 'keep me');
      const opened = await catalog();
      await opened.database.query.updateTable('dataset').set({ captions: 7, bytes: 0, linked: 2 }).execute();
      await opened.close();
      const { dataFolder } = server;
      await server.stop();
      await store.leaveUnfinished();

      const ended = await checkStoreOf(server);
      expect(ended.code).toBe(65);
      expect(ended.json()).toMatchObject({
        clean: false,
        found: { damaged: 1, missing: 1, orphaned: 2, unfinished: 1, foreign: 1, miscounted: 1 },
        unsolved: 7,
      });
      const named = ended.json().findings as { kind: string; name?: string; filename?: string }[];
      expect(named.find(({ kind }) => kind === 'damaged')?.filename).toBe('a.txt');
      expect(named.find(({ kind }) => kind === 'missing')?.filename).toBe('b.txt');
      expect(named.flatMap(({ kind, name }) => (kind === 'orphaned' ? [name] : [])).sort()).toEqual([
        orphan,
        `${orphan}.thumbnail`,
      ]);

      const repaired = await checkStoreOf(server, '--repair');
      expect([repaired.code, repaired.json()]).toMatchObject([
        65,
        { unsolved: 3, repaired: { removed: 3, corrected: 1, marked: 2, left: 1 } },
      ]);
      const left = (await findingsOf(server)) as { kind: string }[];
      expect(left.map(({ kind }) => kind).sort()).toEqual(['damaged', 'foreign', 'missing']);

      server = await startServer({ 'caption-grace-seconds': 0 }, { dataFolder });
      api = await server.api();
      const { body } = await api.status(datasetId);
      expect([body.status, body.counts]).toMatchObject(['FAILED', { captions: 2, images: 1, rejected: 2 }]);
      expect(body.error?.problems).toMatchObject([
        { code: 'BYTES_LOST', filename: 'a.txt' },
        { code: 'BYTES_LOST', filename: 'b.txt' },
      ]);
      await store.remove('notes of a person.md');
      await api.upload(datasetId, 'a.txt', 'a red wagon');
      await api.upload(datasetId, 'b.txt', 'a blue one');
      expect((await api.status(datasetId)).body.status).toBe('READY');
      expect(await findingsOf(server)).toEqual([]);
    });

    test('--repair leaves files whose bytes are back since the check was interrupted', async () => {
      const past = store.nameOf(await keyOf('a.txt'));
      await api.upload(datasetId, 'a.txt', 'a green wagon');
      const live = store.nameOf(await keyOf('b.txt'));
      await store.remove(past);
      await store.remove(live);
      const stop = new AbortController();
      const checking = checkStore(
        {
          dataFolder: server.dataFolder,
          databaseUrl: env.DATABASE_URL,
          blobs: env.BLOBS_URL === undefined ? { kind: 'disk' } : parseS3Url(env.BLOBS_URL),
        },
        {
          ...{ repairs: false, restarts: false, blobGrace: 0, signal: stop.signal },
          onProgress: ({ findings }) => findings === 2 && stop.abort(new Error('ctrl-C')),
          onContinue: () => {},
          onFinding: () => {},
        },
      );
      await expect(checking).rejects.toThrow('ctrl-C');
      await store.write(past, 'a red wagon');
      await store.write(live, 'a blue one');
      const repaired = await checkStoreOf(server, '--repair');
      expect([repaired.code, repaired.json()]).toMatchObject([
        0,
        { found: { missing: 2 }, unsolved: 0, repaired: { intact: 2 } },
      ]);
      expect((await api.status(datasetId)).body.status).toBe('READY');
      expect(await findingsOf(server)).toEqual([]);
    });

    test.skipIf(name.startsWith('postgres'))('an orphan is left for the grace', async () => {
      const orphan = store.nameOf(`${datasetId}/${newId()}`);
      await store.write(orphan, 'no row names this');
      const young = await checkStoreOf(server, '--repair', '--blob-grace-seconds', '600');
      expect([young.code, young.json()]).toMatchObject([65, { found: { orphaned: 1 }, repaired: { left: 1 } }]);
      const old = await checkStoreOf(server, '--repair');
      expect([old.code, old.json()]).toMatchObject([0, { found: { orphaned: 1 }, unsolved: 0 }]);
      expect(await findingsOf(server)).toEqual([]);
    });
  });
}

describe('check-store', () => {
  let server: TestServer;
  let api: Api;
  beforeEach(async () => {
    server = await startServer({ 'blob-grace-seconds': 3600 });
    api = await server.api();
  });
  afterEach(() => discardServer(server));

  const journalOf = ({ dataFolder }: TestServer) => join(dataFolder, 'check-store.jsonl');

  test('continues after a kill, and reports what it found before', async () => {
    const FILES = 450;
    const id = await api.newDataset();
    await Promise.all(Array.from({ length: FILES }, (_, i) => api.upload(id, `${i}.txt`, `caption ${i}`)));
    const blobs = folderStore(server.dataFolder);
    const opened = await openCatalog({ dataFolder: server.dataFolder, blobGrace: 0 });
    const files = (await opened.catalog.files(id)).sort((a, b) => (a.id < b.id ? -1 : 1));
    await opened.close();
    await blobs.remove(blobs.nameOf(`${id}/${files[0]!.id}`));
    const args = ['check-store', '--data', server.dataFolder, '--json'];
    const hasBegun = () =>
      existsSync(journalOf(server)) && readFileSync(journalOf(server), 'utf8').includes('"files":100');
    // Until a check was killed after its first files and before its end.
    do {
      const first = startCommand(args);
      while (first.process.exitCode === null && !hasBegun()) await new Promise(setImmediate);
      first.process.kill('SIGKILL');
      await first.ended;
    } while (!hasBegun());
    // The bytes of files that were checked are not read again.
    await blobs.damage(blobs.nameOf(`${id}/${files[1]!.id}`));
    const ended = await startCommand(args).ended;
    expect([ended.code, ended.json()]).toMatchObject([65, { files: FILES, found: { missing: 1, damaged: 0 } }]);
    expect(existsSync(journalOf(server))).toBe(false);
    expect((await checkStoreOf(server)).json()).toMatchObject({ found: { missing: 1, damaged: 1 } });
  });

  test('changes nothing where catalog and store may not belong together', async () => {
    const id = await api.newDataset();
    await Promise.all(Array.from({ length: 10 }, (_, i) => api.upload(id, `${i}.txt`, `caption ${i}`)));
    const blobs = join(server.dataFolder, 'blobs');
    await server.stop();
    await rename(blobs, `${blobs}-unmounted`);
    await mkdir(blobs);
    const ended = await checkStoreOf(server, '--repair');
    expect([ended.code, ended.json()]).toMatchObject([65, { found: { missing: 10 }, unsolved: 10 }]);
    expect(ended.json().not_repaired).toContain('none of the files');
    await rm(blobs, { recursive: true });
    await rename(`${blobs}-unmounted`, blobs);
    expect(await findingsOf(server)).toEqual([]);
  });

  test('begins again where its journal is of another program', async () => {
    await api.upload(await api.newDataset(), 'a.txt', 'a wagon');
    for (const text of ['1\n', 'null\n{}\n', '"a"', '[]\n1\n', 'a: 1\n']) {
      await writeFile(journalOf(server), text);
      const { code, json } = await checkStoreOf(server);
      expect([text, code, json()]).toMatchObject([text, 0, { clean: true, files: 1 }]);
    }
  });

  test('of a folder without datasets ends with 66', async () => {
    const { code, stderr } = await startCommand(['check-store', '--data', join(server.dataFolder, 'nothing')]).ended;
    expect([code, stderr]).toEqual([66, expect.stringContaining('No trainyard data in')]);
  });
});
