import { randomUUID } from 'node:crypto';
import { existsSync, utimesSync } from 'node:fs';
import { mkdir, rename, rm, utimes, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { DeleteObjectCommand, PutObjectCommand } from '@aws-sdk/client-s3';
import { describe, expect, onTestFinished, test } from 'vitest';
import { verifyStore } from '../../../src/service/verify/verify-store.js';
import { parseS3Url } from '../../../src/storage/blobs/s3/location.js';
import { openCatalog } from '../../../src/storage/catalog/open-catalog.js';
import { blobsToVerify, enqueueVerification } from '../../../src/storage/catalog/verification.js';
import * as media from '../../fixtures/media.js';
import { Api } from '../../harness/api.js';
import { COMBINATIONS } from '../../harness/available.js';
import { checkStoreOf, findingsOf } from '../../harness/checking.js';
import { startCommand } from '../../harness/command.js';
import { datasetOf } from '../../harness/mounting.js';
import { needsS3, newClient } from '../../harness/s3.js';
import { environmentOf, eventually, serverUntil, startServer } from '../../harness/server.js';
import { flipBit, stopped } from '../../harness/transferring.js';
import { openPlace } from '../check/check-service.js';

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
      await writeFile(pathOf(`staging/${randomUUID()}`), 'in flight');
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

// The other combinations repeat the proofs of these two.
const PLACES_TO_VERIFY = COMBINATIONS.filter(({ name }) => ['sqlite+disk', 'postgres+s3'].includes(name));

describe.each(PLACES_TO_VERIFY)('verify --store on $name', ({ name, leftOut }) => {
  if (name.endsWith('s3')) needsS3();

  const title = 'finds damaged, missing and orphaned files, removes orphans, and finds nothing once the bytes are back';
  test.skipIf(leftOut !== undefined)(title, { tags: name.endsWith('s3') ? ['long'] : [] }, async () => {
    process.env.TRAINYARD_TEST_COMBINATION = name;
    onTestFinished(() => void delete process.env.TRAINYARD_TEST_COMBINATION);
    const server = await serverUntil(onTestFinished, { 'caption-grace-seconds': 0, 'blob-grace-seconds': 3600 });
    const api = await server.api();
    const env = await environmentOf(server.dataFolder);
    const isFolder = env.BLOBS_URL === undefined;
    const store = isFolder ? folderStore(server.dataFolder) : bucketStore(env.BLOBS_URL!);
    const files = { 'a.jpg': await media.jpeg(), 'a.txt': 'a red wagon', 'b.txt': 'a blue one' };
    const datasetId = await datasetOf(api, files, 'wagons');
    const nameOfBlob = async (filename: string) => {
      const opened = await openCatalog({ ...server, databaseUrl: env.DATABASE_URL, blobGrace: 0 });
      const file = await opened.catalog.storedFile({ datasetId, filename }).finally(() => opened.close());
      return store.nameOf(`${datasetId}/${file?.id}`);
    };
    // The service replaces and removes files, makes thumbnails and waits for uploads.
    const past = await nameOfBlob('b.txt');
    await api.upload(datasetId, 'b.txt', 'another text');
    await (await api.raw('GET', `/${datasetId}/files/a.jpg/thumbnail`)).arrayBuffer();
    await api.links(datasetId, { 'waiting.txt': 10 });
    const deleted = await api.newDataset();
    await api.upload(deleted, 'c.txt', 'gone');
    await api.request('DELETE', `/${deleted}`);
    const missing = await nameOfBlob('b.txt');
    // A bucket gives bytes that are back another version.
    const lost = isFolder ? [past, missing] : [missing];
    await store.damage(await nameOfBlob('a.txt'));
    for (const each of lost) await store.remove(each);
    const orphan = store.nameOf(`${datasetId}/${newId()}`);
    await store.write(orphan, 'no row names this');
    await store.write(`${orphan}.thumbnail`, 'nor this');
    await store.write('notes of a person.md', 'keep me');
    const unfinished = await store.leaveUnfinished();
    const young = await checkStoreOf(server, '--repair', '--blob-grace-seconds', '3600');
    expect([young.code, young.stderr]).toEqual([65, expect.stringContaining('"progress"')]);
    expect(young.json()).toMatchObject({
      ...{ clean: false, unsolved: 4 + lost.length, repaired: { left: 3 } },
      found: { damaged: 1, missing: lost.length, orphaned: 2, unfinished, foreign: 1 },
    });
    const named = young.json().findings as { kind: string; name?: string; filename?: string }[];
    expect(named.find(({ kind }) => kind === 'damaged')?.filename).toBe('a.txt');
    expect(named.find(({ kind }) => kind === 'missing')?.filename).toBe('b.txt');
    const orphans = named.flatMap(({ kind, name }) => (kind === 'orphaned' ? [name] : []));
    expect(orphans.sort()).toEqual([orphan, `${orphan}.thumbnail`]);
    await api.request('DELETE', `/${datasetId}/files/waiting.txt`);
    const { body } = await api.status(datasetId);
    expect([body.status, body.counts]).toMatchObject(['FAILED', { captions: 2, images: 1, rejected: 2 }]);
    expect(body.error?.problems).toMatchObject([
      { code: 'BYTES_LOST', filename: 'a.txt' },
      { code: 'BYTES_LOST', filename: 'b.txt' },
    ]);

    const repaired = await checkStoreOf(server, '--repair');
    const left = { unsolved: 2 + lost.length, repaired: { removed: 2, left: 1 } };
    expect([repaired.code, repaired.json()]).toMatchObject([65, left]);
    await store.remove('notes of a person.md');
    await api.upload(datasetId, 'a.txt', 'a red wagon');
    if (isFolder) await store.write(past, 'a blue one');
    if (isFolder) await store.write(missing, 'another text');
    else await api.upload(datasetId, 'b.txt', 'another text');
    expect(await findingsOf(server)).toEqual([]);
    expect((await api.status(datasetId)).body.status).toBe('READY');
    await store.write(orphan, 'no row names this');
    expect(await findingsOf(server)).toMatchObject([{ kind: 'orphaned', name: orphan }]);
    const solved = await checkStoreOf(server, '--repair');
    expect([solved.code, solved.json()]).toMatchObject([0, { unsolved: 0, repaired: { removed: 1 } }]);
  });
});

const commandOn = (dataFolder: string, ...flags: string[]) =>
  startCommand(['verify', '--store', '--data', dataFolder, ...flags]);

test('verify --store that was killed is continued with the files that were not read, by the command and by the service', async () => {
  const FILES = 150;
  const first = await startServer({ 'blob-grace-seconds': 3600 });
  const api = await first.api();
  const id = await api.newDataset();
  const captions = Array.from({ length: FILES }, (_, i) => ({ filename: `${i}.txt`, text: `caption ${i}` }));
  expect((await api.json('PUT', `/${id}/captions`, { captions })).status).toBe(200);
  const dataFolder = await stopped(first);
  const { catalog, database, now, close } = await openCatalog({ dataFolder, blobGrace: 0 });
  onTestFinished(close);
  const waiting = () => blobsToVerify(database);
  const blobs = folderStore(dataFolder);
  // In the order in which they are verified.
  const [gone, changed] = (await catalog.files(id)).sort((a, b) => (a.id < b.id ? -1 : 1));
  await blobs.remove(blobs.nameOf(`${id}/${gone!.id}`));
  const killed = commandOn(dataFolder, '--json');
  // So many that the first two are among them, although several are verified at once.
  await eventually(async () => {
    const count = await waiting();
    return (count > 0 && count < FILES - 20) || undefined;
  });
  killed.process.kill('SIGKILL');
  await killed.ended;
  expect(await waiting()).toBeGreaterThan(0);
  // The bytes of files that were verified are not read again.
  await blobs.damage(blobs.nameOf(`${id}/${changed!.id}`));
  const ended = await checkStoreOf({ dataFolder });
  expect([ended.code, ended.json()]).toMatchObject([65, { files: FILES, found: { missing: 1, damaged: 0 } }]);

  await enqueueVerification(database, now());
  const second = await serverUntil(onTestFinished, {}, { dataFolder });
  await eventually(async () => (await waiting()) === 0 || undefined);
  const { damaged } = (await new Api(second.url, api.token).status(id)).body;
  const filenames = damaged?.map(({ filename }) => filename);
  expect(filenames).toEqual([gone!.filename, changed!.filename].sort());
});

test('verify --store changes nothing where catalog and store may not belong together, and says in words what it found', async () => {
  const [{ newInstance, folder }, { folder: other }] = [await openPlace(), await openPlace()];
  for (let i = 0; i < 10; i++) await newInstance().upload(`${i}.txt`, 'a caption');
  const [blobs, others] = [join(folder, 'blobs'), join(other, 'blobs')];
  await rm(others, { recursive: true });
  await rename(blobs, others);
  await mkdir(blobs);
  const apart = async (dataFolder: string) => (await checkStoreOf({ dataFolder }, '--repair')).json().error;
  const [message, reverse] = ['store has none of the files', 'catalog names none of the files'];
  expect(await apart(folder)).toMatchObject({ exit_code: 65, message: expect.stringContaining(message) });
  expect(await apart(other)).toMatchObject({ exit_code: 65, message: expect.stringContaining(reverse) });
  await rm(blobs, { recursive: true });
  await rename(others, blobs);
  expect((await commandOn(folder).ended).stdout).toMatch(
    /^The store is clean: 10 files \(.*\), 10 objects in the store\.\n$/,
  );
  await folderStore(folder).write('notes.md', 'keep me');
  const { code, stdout } = await commandOn(folder).ended;
  const words = expect.stringMatching(/^✗ foreign: notes\.md, 7 bytes.*\nVerified .*: 1 foreign\.\n$/);
  expect([code, stdout]).toEqual([65, words]);
});

test('an orphan that is written again after the listing stays', async () => {
  const { folder } = await openPlace();
  const path = join(folder, 'blobs', 'aa', `aa${newId().slice(2)}`);
  await writeFile(path, 'no row names this');
  await utimes(path, 0, 0);
  const place = { dataFolder: folder, databaseUrl: undefined, blobs: { kind: 'disk' } } as const;
  const onProgress = ({ objects }: { objects: number }) => utimesSync(path, objects, objects);
  const { signal } = new AbortController();
  const { strays } = await verifyStore(place, { repairs: true, blobGrace: 0, signal, onProgress });
  expect([strays, existsSync(path)]).toMatchObject([[{ kind: 'orphaned', repair: { deed: 'gone' } }], true]);
});

test('verify --store takes no name, and no option of a service', async () => {
  const misused = [['photos'], ['--no-wait']].map((rest) => startCommand(['verify', '--store', ...rest]).ended);
  expect((await Promise.all(misused)).map(({ code }) => code)).toEqual([64, 64]);
});
