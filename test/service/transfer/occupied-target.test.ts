import { randomUUID } from 'node:crypto';
import { cp, mkdir, readdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest';
import type { Api } from '../../harness/api.js';
import { whyNoPostgres, whyNoS3 } from '../../harness/available.js';
import { type Ended, trainyard } from '../../harness/command.js';
import { databaseForTest, proxiedForTest } from '../../harness/postgres.js';
import { startServer } from '../../harness/server.js';
import { blobPathsIn, newFolder, pathOfBytes, servedHoldings } from '../../harness/transferring.js';
import { newWorld } from '../../harness/world.js';

/** Two installations that were served; each test gets a copy. The second has files in its folder alone. */
let full: string;
let token: string;
let other: string;
beforeAll(async () => {
  const [server, second] = await Promise.all([startServer(), startServer()]);
  const api = await server.api();
  token = api.token;
  const id = await captionsOf(api, { 'a.txt': 'a red wagon', 'b.txt': 'a blue one' }, 'wagons');
  // The history has the replaced file.
  await api.upload(id, 'b.txt', 'a green one');
  await captionsOf(api, { 'c.txt': 'to be deleted' }, 'deleted later');
  await captionsOf(await second.api(), { 'x.txt': 'of another installation' }, 'theirs');
  await Promise.all([server.stop(), second.stop()]);
  [full, other] = [server.dataFolder, second.dataFolder];
});
afterAll(async () => {
  for (const folder of [full, other]) await rm(folder, { recursive: true, force: true });
});

async function captionsOf(api: Api, captions: Record<string, string>, name: string): Promise<string> {
  const id = await api.newDataset(name);
  for (const [filename, text] of Object.entries(captions)) await api.upload(id, filename, text);
  return id;
}

async function copyOf(folder: string): Promise<string> {
  const copy = await newFolder();
  await cp(folder, copy, { recursive: true });
  return copy;
}

function migrate(from: readonly string[], to: readonly string[], env: Record<string, string> = {}): Promise<Ended> {
  return trainyard(['migrate-data', '--from', ...from, '--to', ...to, '--json'], { env });
}

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
      command === 'restore' ? await trainyard(['restore', from, '--data', to, '--json']) : await migrate([from], [to]);
    expectOccupied(ended, theirs[0]!.split('/').at(-1)!);
    expect(await blobPathsIn(to)).toEqual(theirs);
  },
);

test.skipIf(whyNoS3() !== undefined)(
  'a prefix with files of another installation is left unchanged',
  async () => {
    const world = await newWorld('sqlite+s3');
    onTestFinished(world.discard);
    const theirs = await startServer({}, { env: world.env });
    onTestFinished(() => rm(theirs.dataFolder, { recursive: true, force: true }));
    await captionsOf(await theirs.api(), { 'x.txt': 'of another installation' }, 'theirs');
    const to = await newFolder();
    expectOccupied(await migrate([await copyOf(full)], [to, world.env.BLOBS_URL!], world.env), to);
    expect((await trainyard(['verify', '--store', '--data', theirs.dataFolder], { env: world.env })).code).toBe(0);
    await theirs.stop();
  },
  300_000,
);

test.skipIf(whyNoS3() !== undefined)(
  'a bucket with two names is one',
  async () => {
    const world = await newWorld('sqlite+s3');
    onTestFinished(world.discard);
    const [folder, to] = [await copyOf(full), await newFolder()];
    const url = world.env.BLOBS_URL!;
    const moved = await trainyard(['migrate-data', '--from', folder, '--to', folder, url], { env: world.env });
    expect(moved.stdout).toContain('you can delete the old files, but not the catalog, which stays');
    const other = url.replace('127.0.0.1', 'localhost');
    expect(other).not.toBe(url);
    const ended = await migrate([folder, url], [to, other], world.env);
    expect([ended.code, ended.json().error]).toEqual([64, expect.objectContaining({ reason: 'SAME_PLACE' })]);
    const check = await trainyard(['verify', '--store', '--data', folder, '--json'], { env: world.env });
    expect(check.code).toBe(0);
  },
  300_000,
);

test('files of an interrupted migration that the source has forgotten are left unchanged; those of its history are not', async () => {
  const [from, to] = [await copyOf(full), await newFolder()];
  expect((await migrate([from], [to])).json()).toMatchObject({ copied_files: 4 });
  await removeCatalog(to);
  const id = randomUUID().replaceAll('-', '');
  const forgotten = join(to, 'blobs', id.slice(0, 2), id);
  await writeFile(forgotten, 'no longer in the catalog');
  expectOccupied(await migrate([from], [to]), id);
  await rm(forgotten);
  expect((await migrate([from], [to])).json()).toMatchObject({ files: 4, copied_files: 0 });
  expect(Object.keys(await servedHoldings(to, { token })).sort()).toEqual(['deleted later', 'wagons']);
});

test.skipIf(whyNoPostgres() !== undefined)(
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

test.skipIf(whyNoPostgres() !== undefined)(
  'files move to a new folder while their catalog stays in Postgres',
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
    expect((await migrate([url, first], [url, second])).json()).toMatchObject({ files: 4, copied_files: 4 });
    await rm(first, { recursive: true });
    const holdings = await servedHoldings(second, { token, env: { DATABASE_URL: url } });
    expect(Object.keys(holdings).sort()).toEqual(['deleted later', 'wagons']);
    expect(await pathOfBytes(second, 'a blue one')).toContain(second);
  },
);

test.skipIf(whyNoPostgres() !== undefined)('a catalog that is named in two ways is left unchanged', async () => {
  const [url, folder, other] = [await databaseForTest(), await newFolder(), await newFolder()];
  expect((await migrate([await copyOf(full)], [folder, url])).code).toBe(0);
  const { url: proxied } = await proxiedForTest(url);
  expectOccupied(await migrate([url, folder], [proxied, other]), 'name a database that stays in the same way in both');
  const ended = await migrate([url, folder], [url, folder]);
  expect([ended.code, ended.json().error.message]).toEqual([64, expect.stringContaining('are the same')]);
});
