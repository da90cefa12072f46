import { randomUUID } from 'node:crypto';
import { mkdir, rename, rm, utimes, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { DeleteObjectCommand, PutObjectCommand } from '@aws-sdk/client-s3';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, onTestFinished, test } from 'vitest';
import { parseS3Url } from '../../../src/storage/blobs/s3/location.js';
import { openCatalog } from '../../../src/storage/catalog/open-catalog.js';
import { blobsToVerify, enqueueVerification } from '../../../src/storage/catalog/store-verification.js';
import * as media from '../../fixtures/media.js';
import { put, type Api } from '../../harness/api.js';
import { COMBINATIONS } from '../../harness/available.js';
import { checkStoreOf, findingsOf } from '../../harness/checking.js';
import { startCommand } from '../../harness/command.js';
import { datasetOf } from '../../harness/mounting.js';
import { needsS3, newClient } from '../../harness/s3.js';
import { discardServer, environmentOf, eventually, startServer, type TestServer } from '../../harness/server.js';
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
  /** Leaves what a crash during an upload leaves. @returns the number of findings */
  readonly leaveUnfinished: () => Promise<number>;
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
    leaveUnfinished: async () => {
      const path = pathOf(`staging/${randomUUID()}`);
      await writeFile(path, 'half of a');
      const longAgo = new Date('2026-01-01');
      await utimes(path, longAgo, longAgo);
      return 1;
    },
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
    // A PUT that was cut short leaves no object.
    leaveUnfinished: async () => 0,
  };
}

for (const { name, leftOut } of COMBINATIONS) {
  const title = leftOut === undefined ? name : `${name}, left out: ${leftOut}`;
  // The others repeat the proofs of these two.
  const tags = ['sqlite+disk', 'postgres+s3'].includes(name) ? [] : ['long'];
  describe.skipIf(leftOut !== undefined)(`verify --store on ${title}`, { tags }, () => {
    if (name.endsWith('s3')) needsS3();
    let server: TestServer;
    let api: Api;
    let store: Store;
    let datasetId: string;
    let env: Readonly<Record<string, string>>;

    beforeAll(async () => {
      process.env.TRAINYARD_TEST_COMBINATION = name;
      server = await startServer({ 'caption-grace-seconds': 0, 'blob-grace-seconds': 3600 });
      api = await server.api();
      env = await environmentOf(server.dataFolder);
    });
    // Each test leaves a clean store.
    beforeEach(async () => {
      store = env.BLOBS_URL === undefined ? folderStore(server.dataFolder) : bucketStore(env.BLOBS_URL);
      const files = { 'a.jpg': await media.jpeg(), 'a.txt': 'a red wagon', 'b.txt': 'a blue one' };
      datasetId = await datasetOf(api, files, `wagons ${newId()}`);
    });
    afterAll(async () => {
      await discardServer(server);
      delete process.env.TRAINYARD_TEST_COMBINATION;
    });

    const catalog = () => openCatalog({ dataFolder: server.dataFolder, databaseUrl: env.DATABASE_URL, blobGrace: 0 });
    const keyOf = async (filename: string) => {
      const opened = await catalog();
      const file = await opened.catalog.storedFile({ datasetId, filename }).finally(() => opened.close());
      return `${datasetId}/${file?.id}`;
    };

    test('finds nothing at first, then damaged and missing files until they are uploaded again, and removes orphans with --repair', async () => {
      // The service replaces and removes files, makes thumbnails and waits for uploads.
      await api.upload(datasetId, 'b.txt', 'another text');
      await api.upload(datasetId, 'broken.jpg', 'no image');
      await api.request('DELETE', `/${datasetId}/files/b.txt`);
      await (await api.raw('GET', `/${datasetId}/files/a.jpg/thumbnail`)).arrayBuffer();
      const link = await api.link(datasetId, 'waiting.txt', 10);
      const deleted = await api.newDataset();
      await api.upload(deleted, 'c.txt', 'gone');
      await api.request('DELETE', `/${deleted}`);
      const clean = await checkStoreOf(server);
      expect([clean.code, clean.json()]).toMatchObject([0, { clean: true, files: 4, findings: [] }]);
      expect(clean.stderr).toContain('"progress"');
      expect((await put(link, '0123456789')).status).toBe(200);
      for (const name of ['waiting.txt', 'broken.jpg']) await api.request('DELETE', `/${datasetId}/files/${name}`);
      await api.upload(datasetId, 'b.txt', 'a blue one');

      const [damaged, missing] = [store.nameOf(await keyOf('a.txt')), store.nameOf(await keyOf('b.txt'))];
      await store.damage(damaged);
      await store.remove(missing);
      const orphan = store.nameOf(`${datasetId}/${newId()}`);
      await store.write(orphan, 'no row names this');
      await store.write(`${orphan}.thumbnail`, 'nor this');
      await store.write('notes of a person.md', 'keep me');
      const unfinished = await store.leaveUnfinished();

      const ended = await checkStoreOf(server);
      expect(ended.code).toBe(65);
      expect(ended.json()).toMatchObject({
        clean: false,
        found: { damaged: 1, missing: 1, orphaned: 2, unfinished, foreign: 1 },
        unsolved: 5 + unfinished,
      });
      const named = ended.json().findings as { kind: string; name?: string; filename?: string }[];
      expect(named.find(({ kind }) => kind === 'damaged')?.filename).toBe('a.txt');
      expect(named.find(({ kind }) => kind === 'missing')?.filename).toBe('b.txt');
      expect(named.flatMap(({ kind, name }) => (kind === 'orphaned' ? [name] : [])).sort()).toEqual([
        orphan,
        `${orphan}.thumbnail`,
      ]);
      const { body } = await api.status(datasetId);
      expect([body.status, body.counts]).toMatchObject(['FAILED', { captions: 2, images: 1, rejected: 2 }]);
      expect(body.error?.problems).toMatchObject([
        { code: 'BYTES_LOST', filename: 'a.txt' },
        { code: 'BYTES_LOST', filename: 'b.txt' },
      ]);

      const repaired = await checkStoreOf(server, '--repair');
      expect([repaired.code, repaired.json()]).toMatchObject([
        65,
        { unsolved: 3, repaired: { removed: 2 + unfinished, left: 1 } },
      ]);
      const left = (await findingsOf(server)) as { kind: string }[];
      expect(left.map(({ kind }) => kind).sort()).toEqual(['damaged', 'foreign', 'missing']);

      await store.remove('notes of a person.md');
      await api.upload(datasetId, 'a.txt', 'a red wagon');
      await api.upload(datasetId, 'b.txt', 'a blue one');
      expect((await api.status(datasetId)).body.status).toBe('READY');
      expect(await findingsOf(server)).toEqual([]);
    });

    test.skipIf(name.endsWith('s3'))(
      'a file whose bytes are back is intact again, also one of the history',
      async () => {
        const past = store.nameOf(await keyOf('a.txt'));
        await api.upload(datasetId, 'a.txt', 'a green wagon');
        const live = store.nameOf(await keyOf('b.txt'));
        await store.remove(past);
        await store.remove(live);
        const lost = await checkStoreOf(server);
        expect([lost.code, lost.json()]).toMatchObject([65, { found: { missing: 2, damaged: 0 } }]);
        expect((await api.status(datasetId)).body.status).toBe('FAILED');
        await store.write(past, 'a red wagon');
        await store.write(live, 'a blue one');
        expect(await findingsOf(server)).toEqual([]);
        expect((await api.status(datasetId)).body.status).toBe('READY');
      },
    );

    test.skipIf(name !== 'sqlite+disk')('an orphan is left for the grace', async () => {
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

describe('verify --store', () => {
  let server: TestServer;
  let api: Api;
  beforeEach(async () => {
    server = await startServer({ 'blob-grace-seconds': 3600 });
    api = await server.api();
  });
  afterEach(() => discardServer(server));

  const saveCaptions = async (id: string, count: number) => {
    const captions = Array.from({ length: count }, (_, i) => ({ filename: `${i}.txt`, text: `caption ${i}` }));
    expect((await api.json('PUT', `/${id}/captions`, { captions })).status).toBe(200);
  };
  const waitingIn = async ({ dataFolder }: TestServer) => {
    const opened = await openCatalog({ dataFolder, blobGrace: 0 });
    return blobsToVerify(opened.database).finally(() => opened.close());
  };

  test('continues after a kill with the files that were not read', async () => {
    const FILES = 250;
    const id = await api.newDataset();
    await saveCaptions(id, FILES);
    const blobs = folderStore(server.dataFolder);
    const opened = await openCatalog({ dataFolder: server.dataFolder, blobGrace: 0 });
    // In the order in which they are verified.
    const files = (await opened.catalog.files(id)).sort((a, b) => (a.id < b.id ? -1 : 1));
    await opened.close();
    await blobs.remove(blobs.nameOf(`${id}/${files[0]!.id}`));
    await server.stop();
    const first = startCommand(['verify', '--store', '--data', server.dataFolder, '--json']);
    await eventually(async () => {
      const waiting = await waitingIn(server);
      return (waiting > 0 && waiting < FILES) || undefined;
    });
    first.process.kill('SIGKILL');
    await first.ended;
    const left = await waitingIn(server);
    expect(left).toBeGreaterThan(0);
    // The bytes of files that were verified are not read again.
    await blobs.damage(blobs.nameOf(`${id}/${files[1]!.id}`));
    const ended = await checkStoreOf(server);
    expect([ended.code, ended.json()]).toMatchObject([65, { files: FILES, found: { missing: 1, damaged: 0 } }]);
    expect((await checkStoreOf(server)).json()).toMatchObject({ found: { missing: 1, damaged: 1 } });
  });

  test('that was interrupted is continued by the service', async () => {
    const id = await api.newDataset();
    await saveCaptions(id, 20);
    const blobs = folderStore(server.dataFolder);
    const opened = await openCatalog({ dataFolder: server.dataFolder, blobGrace: 0 });
    const [file] = await opened.catalog.files(id);
    await blobs.damage(blobs.nameOf(`${id}/${file!.id}`));
    await enqueueVerification(opened.database, opened.now());
    await opened.close();
    await eventually(async () => (await waitingIn(server)) === 0 || undefined);
    expect((await api.status(id)).body.damaged).toMatchObject([{ filename: file!.filename }]);
  });

  test('changes nothing where catalog and store may not belong together', async () => {
    const id = await api.newDataset();
    await saveCaptions(id, 10);
    const blobs = join(server.dataFolder, 'blobs');
    await server.stop();
    await rename(blobs, `${blobs}-unmounted`);
    await mkdir(blobs);
    const ended = await checkStoreOf(server, '--repair');
    expect([ended.code, ended.json().error.message]).toEqual([65, expect.stringContaining('none of the files')]);
    await rm(blobs, { recursive: true });
    await rename(`${blobs}-unmounted`, blobs);
    expect(await findingsOf(server)).toEqual([]);
  });

  test('says in words what it found, and takes no name and no option of a service', async () => {
    const nothing = await startCommand(['verify', '--store', '--data', join(server.dataFolder, 'nothing')]).ended;
    expect([nothing.code, nothing.stderr]).toEqual([66, expect.stringContaining('No trainyard data in')]);
    for (const rest of [['photos'], ['--no-wait']]) {
      expect((await startCommand(['verify', '--store', ...rest]).ended).code).toBe(64);
    }
    const args = ['verify', '--store', '--data', server.dataFolder];
    expect((await startCommand(args).ended).stdout).toMatch(
      /^The store is clean: 0 files \(.*\), 0 objects in the store\.\n$/,
    );
    await folderStore(server.dataFolder).write('notes.md', 'keep me');
    const { code, stdout } = await startCommand(args).ended;
    expect([code, stdout]).toEqual([
      65,
      expect.stringMatching(/^✗ foreign: notes\.md, 7 bytes.*\nVerified .*: 1 foreign\.\n$/),
    ]);
  });
});
