import { cp, mkdir, readdir, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { openCatalog } from '../../../src/storage/catalog/open-catalog.js';
import * as media from '../../fixtures/media.js';
import { COMBINATIONS, whyNoPostgres, whyNoS3 } from '../../harness/available.js';
import { type Ended, trainyard } from '../../harness/command.js';
import { folderWith, imagesOf, pairsOf } from '../../harness/folder.js';
import { datasetOf, stateOf } from '../../harness/mounting.js';
import { databaseForTest, proxiedForTest } from '../../harness/postgres.js';
import { serverUntil, startServer } from '../../harness/server.js';
import {
  blobPathsIn,
  flipBit,
  type Holdings,
  holdingsOf,
  newFolder,
  pathOfBytes,
  servedHoldings,
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
  const depth = await api.newDataset('engines-depth', 'control');
  for (const [name, bytes] of Object.entries(await imagesOf(3))) await api.upload(depth, name, bytes);
  await api.newDataset('engines-mask', 'mask');
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

function migrate(from: readonly string[], to: readonly string[], env: Record<string, string> = {}): Promise<Ended> {
  return trainyard(['migrate-data', '--from', ...from, '--to', ...to, '--json'], { env });
}

for (const { name, leftOut } of COMBINATIONS) {
  // From a folder to Postgres and S3, and back into a folder. The others repeat that.
  const options = { tags: name === 'postgres+s3' ? [] : ['long'] };
  test.skipIf(leftOut !== undefined)(`copies everything to ${name}, and back`, options, async () => {
    const [from, to] = [await copyOf(full), await newInstallation(name)];
    const there = await migrate([from], to.args, to.env);
    expect([there.stderr, there.code]).toEqual(['', 0]);
    expect(there.json()).toMatchObject({ files, copied_files: files });
    // The source is no longer needed.
    await rm(from, { recursive: true });
    expect(await servedHoldings(to.dataFolder, { token, env: to.env })).toEqual(holdings);

    const back = await newFolder();
    expect((await migrate(to.args, [back], to.env)).json()).toMatchObject({ files, copied_files: files });
    expect(await servedHoldings(back, { token })).toEqual(holdings);
    expect((await stat(back)).mode & 0o777).toBe(0o700);
    expect(await blobPathsIn(back)).toHaveLength(files);
  });
}

const noPostgres = whyNoPostgres() !== undefined;
const noS3 = whyNoS3() !== undefined;

test.skipIf(noS3)('to a folder and a bucket, it moves only the files', async () => {
  const [from, { args, env }] = [await copyOf(full), await newInstallation('sqlite+s3')];
  const moved = await migrate([from], [from, ...args.slice(1)], env);
  expect([moved.stderr, moved.code]).toEqual(['', 0]);
  expect(await servedHoldings(from, { token, env })).toEqual(holdings);
});

describe('checks source and target', () => {
  test('a damaged or missing file is listed, and the catalog is not copied', async () => {
    const [from, to] = [await copyOf(full), await newFolder()];
    const damaged = await pathOfBytes(from, CLIP);
    await flipBit(damaged);
    await rm(await pathOfBytes(from, 'wagon 3'));
    const ended = await migrate([from], [to]);
    const { lost, message } = ended.json().error;
    expect([ended.code, message]).toEqual([65, expect.stringContaining('clip.mp4')]);
    const reasons = lost.map(({ filename, reason }: Record<string, string>) => `${filename} ${reason}`);
    expect(reasons.sort()).toEqual(['03.txt MISSING', 'clip.mp4 DAMAGED']);
    // All other files are copied; no part of the damaged one is.
    expect(await blobPathsIn(to)).toHaveLength(files - 2);
    await flipBit(damaged);
    expect((await migrate([from], [to])).json().error.lost).toMatchObject([{ filename: '03.txt' }]);
  });

  test('files of a deleted dataset are not copied, and the cleanup of the target removes their rows', async () => {
    const from = await copyOf(full);
    const { catalog, accounts, now, close } = await openCatalog({ dataFolder: from, blobGrace: 0 });
    const { accountId } = (await accounts.grantOf(token))!;
    expect(await catalog.deleteDataset({ accountId, id: holdings.one!.dataset_id }, now())).toBe(true);
    await close();
    const to = await newFolder();
    expect((await migrate([from], [to])).json()).toMatchObject({ files: files - 2, copied_files: files - 2 });
    const { one: _, ...others } = holdings;
    expect(await servedHoldings(to, { token })).toEqual(others);
  });

  /** Expects that a command ends with an error that names an entry of a folder, which is left unchanged. */
  async function expectOccupied(folder: string, { name, run }: { name: string; run: () => Promise<Ended> }) {
    const before = await stateOf(folder);
    const ended = await run();
    expect([ended.code, ended.json().error.message]).toEqual([73, expect.stringContaining(name)]);
    expect((await stateOf(folder)).filter((line) => !line.includes('serving.lock'))).toEqual(before);
  }

  test.each([
    ['thesis.txt', []],
    ['catalog.sqlite', []],
    ['catalog.sqlite', ['postgres://127.0.0.1:1/another']],
  ])('a folder with %s is left unchanged, beside %j', async (name, urls) => {
    const to = await folderWith({ [name]: 'of a person' });
    await expectOccupied(to, { name, run: () => migrate([full], [to, ...urls]) });
  });

  test.each(['migrate-data', 'restore'])(
    '%s copies nothing into a folder that has files of an installation with another catalog',
    async (command) => {
      const theirs = '0'.repeat(32);
      const to = await folderWith({ [`blobs/00/${theirs}`]: 'theirs' });
      const restore = () => trainyard(['restore', full, '--data', to, '--json']);
      await expectOccupied(to, { name: theirs, run: command === 'restore' ? restore : () => migrate([full], [to]) });
    },
  );

  test('a source without datasets is rejected, and no target is created', async () => {
    const [from, to] = [await newFolder(), await newFolder()];
    expect((await migrate([from], [to])).code).toBe(66);
    await mkdir(from);
    expect((await migrate([from], [to])).code).toBe(66);
    expect(await readdir(join(to, '..'))).toEqual([]);
  });

  test('neither source nor target may be served', async () => {
    const from = await copyOf(full);
    await serverUntil(onTestFinished, {}, { dataFolder: from });
    const [asSource, asTarget] = await Promise.all([migrate([from], [await newFolder()]), migrate([full], [from])]);
    expect([asSource.code, asTarget.code]).toEqual([75, 73]);
    for (const ended of [asSource, asTarget]) expect(ended.json().error.message).toContain(from);
  });

  test.skipIf(noPostgres)('no instance may use a database', async () => {
    const url = await databaseForTest();
    const server = await serverUntil(onTestFinished, {}, { env: { DATABASE_URL: url } });
    const ended = await migrate([full], [await newFolder(), url]);
    const { message } = ended.json().error;
    expect([ended.code, message]).toEqual([75, expect.stringContaining('is being served')]);
    expect(message).not.toContain(new URL(url).password);
    await server.stop();
  });

  test('places that are no two installations are rejected', async () => {
    const cases: [string[], string[], string][] = [
      [['./a'], ['./a'], 'are the same'],
      [['postgres://h/d'], ['./b'], 'no location for the files'],
      [['s3://bucket'], ['./b'], 'no location for the catalog'],
      [['./a', './c'], ['./b'], 'more than one folder'],
      [['./a'], ['./b', 'postgres://h/d', 's3://bucket'], 'a folder too many'],
      [['./a'], ['./b', 's3://bucket?endpont=x'], 'has unknown parameters: endpont'],
      [['./a'], ['mysql://h/d', 's3://bucket'], 'takes folders'],
    ];
    const ends = await Promise.all(cases.map(([from, to]) => migrate(from, to)));
    expect(ends.map((ended) => [ended.code, ended.json().error.message])).toEqual(
      cases.map(([, , reason]) => [64, expect.stringContaining(reason)]),
    );
  });

  test.skipIf(noPostgres)('a catalog that is named in two ways is left unchanged', { tags: ['long'] }, async () => {
    const [url, folder] = [await databaseForTest(), await newFolder()];
    expect((await migrate([full], [folder, url])).code).toBe(0);
    const { url: proxied } = await proxiedForTest(url);
    const ended = await migrate([url, folder], [proxied, await newFolder()]);
    const message = expect.stringContaining('name a database that stays in the same way in both');
    expect([ended.code, ended.json().error.message]).toEqual([73, message]);
  });
});
