import { mkdir, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setImmediate as turn } from 'node:timers/promises';
import { beforeEach, describe, expect, onTestFinished, test } from 'vitest';
import { storedTotals } from '../../../src/storage/catalog/copy-catalog.js';
import { installationSetting, openCatalog } from '../../../src/storage/catalog/open-catalog.js';
import * as media from '../../fixtures/media.js';
import type { WireDatasetWithFiles } from '../../../src/api/schemas.js';
import { Api } from '../../harness/api.js';
import { type Ended, startCommand, trainyard } from '../../harness/command.js';
import { folderWith, imagesOf, pairsOf } from '../../harness/folder.js';
import { datasetOf, digestOfFolder, newRoot } from '../../harness/mounting.js';
import { checked, eventually, NO_HISTORY, serverUntil, type TestServer } from '../../harness/server.js';
import {
  blobPathsIn,
  flipBit,
  holdingsOf,
  newFolder,
  pathOfBytes,
  servedHoldings,
} from '../../harness/transferring.js';
import { openPlace } from '../check/check-service.js';

const backUp = (dataFolder: string, dir: string, env: Record<string, string> = {}): Promise<Ended> =>
  trainyard(['backup', dir, '--data', dataFolder, '--json'], { env });
const restore = (dir: string, data: string, ...flags: string[]): Promise<Ended> =>
  trainyard(['restore', dir, '--data', data, '--json', ...flags]);

describe('of a service', () => {
  let server: TestServer;
  let api: Api;
  beforeEach(async () => {
    // Removed files are deleted half a second later.
    const settings = { 'caption-grace-seconds': 0, ...NO_HISTORY, 'blob-grace-seconds': 0, 'lease-seconds': 1 };
    server = await serverUntil(onTestFinished, settings);
    api = await server.api();
  });

  /** A dataset of so many pairs, with a control. */
  async function linkedDataset(count: number): Promise<{ id: string; control: string }> {
    const id = await datasetOf(api, await pairsOf(count), 'wagons');
    const { body: control } = await api.json<{ id: string }>('POST', '', { name: 'depth', role: 'control' });
    for (const [name, bytes] of Object.entries(await imagesOf(count))) await api.upload(control.id, name, bytes);
    await api.json('PUT', `/${id}/links`, { control_1: control.id });
    return { id, control: control.id };
  }

  /** Waits until the catalog and its history, which is pruned in the background, have no other files than these many. */
  async function historyPrunedTo(files: number): Promise<void> {
    await eventually(async () => {
      const { database, close } = await openCatalog({ dataFolder: server.dataFolder, blobGrace: 0 });
      const totals = await storedTotals(database).finally(close);
      return totals.files === files || undefined;
    });
  }

  test('a backup is readable for its owner only, and can be mounted and restored; run again, it copies new files and removes deleted ones', async () => {
    const { id } = await linkedDataset(3);
    const dir = await newFolder();
    // An earlier one was killed as it began.
    await mkdir(dir, { mode: 0o700 });
    await writeFile(join(dir, 'catalog.next.sqlite'), 'written in part');
    await writeFile(join(dir, 'backup.json'), '');
    const first = await backUp(server.dataFolder, dir);
    expect(first.json()).toMatchObject({ files: 9, copied_files: 9, removed_files: 0, lost: [] });
    expect(await readdir(dir)).not.toContain('catalog.next.sqlite');
    const modes = await Promise.all([dir, join(dir, 'catalog.sqlite')].map((path) => stat(path)));
    expect(modes.map(({ mode }) => mode & 0o777)).toEqual([0o700, 0o600]);
    const root = await newRoot();
    expect((await trainyard(['mount', 'depth', '--into', root, '--data', dir])).code).toBe(0);
    const { depth, wagons } = await holdingsOf(api);
    expect(await digestOfFolder(join(root, 'depth'))).toBe((await api.manifest(depth!.dataset_id)).body.digest);
    expect(wagons).toMatchObject({ status: 'READY', links: { control_1: { name: 'depth' } } });

    const untouched = await stat(await pathOfBytes(dir, 'wagon 1'));
    await api.upload(id, '02.txt', 'another caption');
    await api.upload(id, '04.txt', 'one more');
    await api.request('DELETE', `/${id}/files/03.txt`);
    await historyPrunedTo(9);
    const second = await backUp(server.dataFolder, dir);
    expect(second.json()).toMatchObject({ files: 9, copied_files: 2, removed_files: 2 });
    expect((await stat(await pathOfBytes(dir, 'wagon 1'))).ino).toBe(untouched.ino);
    const restored = await newFolder();
    expect([(await restore(dir, restored)).code, (await restore(dir, restored)).code]).toEqual([0, 73]);
    expect(await servedHoldings(restored, { token: api.token })).toEqual(await holdingsOf(api));
  });

  test('a backup is the state at one moment, though files are added and removed while it is copied', async () => {
    const id = await datasetOf(api, await pairsOf(3), 'wagons');
    const names = Array.from({ length: 1000 }, (_, i) => `n${i}.txt`);
    const captions = names.map((filename) => ({ filename, text: filename }));
    expect((await api.json('PUT', `/${id}/captions`, { captions })).status).toBe(200);
    const dir = await newFolder();
    /** Makes a backup, and a change after some files were copied. */
    const backUpAround = async (change: () => Promise<unknown>) => {
      const running = startCommand(['backup', dir, '--data', server.dataFolder, '--json']);
      while ((await blobPathsIn(dir)).length === 0 && running.process.exitCode === null) await turn();
      running.process.kill('SIGSTOP');
      await change();
      running.process.kill('SIGCONT');
      return (await running.ended).json();
    };
    const ofAddition = await backUpAround(() => api.upload(id, 'added.txt', 'after the backup began'));
    expect(ofAddition).toMatchObject({ files: 1006, lost: [] });
    expect(await blobPathsIn(dir)).toHaveLength(1006);

    await rm(dir, { recursive: true });
    const ofRemovals = await backUpAround(async () => {
      await api.json('DELETE', `/${id}/files`, { filenames: names });
      // Their bytes are gone, so that the backup takes a newer catalog.
      await eventually(async () => (await blobPathsIn(server.dataFolder)).length === 7 || undefined);
    });
    expect(ofRemovals).toMatchObject({ files: 7, lost: [] });
    expect(await blobPathsIn(dir)).toHaveLength(7);
    expect((await restore(dir, await newFolder())).code).toBe(0);
  });

  test('a backup of a folder with a damaged and a missing file has all others, and lists those two', async () => {
    const id = await datasetOf(api, await pairsOf(3), 'wagons');
    const dir = await newFolder();
    await flipBit(await pathOfBytes(server.dataFolder, 'wagon 1'));
    await rm(await pathOfBytes(server.dataFolder, 'wagon 2'));
    const printed = await trainyard(['backup', dir, '--data', server.dataFolder]);
    expect([printed.code, printed.stderr]).toEqual([65, expect.stringContaining('01.txt of "wagons" is damaged')]);
    const { files, lost } = (await backUp(server.dataFolder, dir)).json();
    const reasons = lost.map(({ filename, reason }: Record<string, string>) => `${filename} ${reason}`);
    expect([files, reasons.sort()]).toEqual([6, ['01.txt DAMAGED', '02.txt MISSING']]);
    expect(await blobPathsIn(dir)).toHaveLength(4);
    await api.upload(id, '01.txt', 'wagon 1');
    await api.request('DELETE', `/${id}/files/02.txt`);
    await historyPrunedTo(5);
    expect((await backUp(server.dataFolder, dir)).json()).toMatchObject({ files: 5, copied_files: 1, lost: [] });
  });

  test('restoring of a damaged backup leaves no catalog, and lists the damaged files, without which datasets are FAILED', async () => {
    const { id, control } = await linkedDataset(2);
    await datasetOf(api, await pairsOf(1), 'whole');
    const before = await holdingsOf(api);
    const { '02.jpg': image } = await imagesOf(2);
    const [dir, restored] = [await newFolder(), await newFolder()];
    await backUp(server.dataFolder, dir);
    await flipBit(await pathOfBytes(dir, image!));
    const ended = await restore(dir, restored);
    expect([ended.code, ended.json().error]).toMatchObject([65, { reason: 'LOST' }]);
    expect(ended.json().error.lost).toMatchObject([{ dataset: 'depth', filename: '02.jpg', reason: 'DAMAGED' }]);
    expect(await readdir(restored)).not.toContain('catalog.sqlite');

    const partial = await restore(dir, restored, '--skip-damaged');
    expect([partial.code, partial.json().lost]).toMatchObject([0, [{ filename: '02.jpg' }]]);
    // A backup of that can be restored too, since the file is known to be lost.
    const [next, third] = [await newFolder(), await newFolder()];
    expect((await backUp(restored, next)).code).toBe(65);
    expect(await restore(next, third)).toMatchObject({ code: 0 });
    const again = await serverUntil(onTestFinished, { 'caption-grace-seconds': 0 }, { dataFolder: third });
    const its = new Api(again.url, api.token);
    const { whole, wagons } = await holdingsOf(its);
    expect(whole).toEqual(before.whole);
    expect(wagons).toMatchObject({ counts: { unpaired: 1 }, links: { control_1: { status: 'FAILED' } } });
    expect((await its.status(control)).body.error?.message).toContain('02.jpg was damaged');
    const statuses = async () => (await its.list()).body.datasets.map(({ name, status }) => `${name} ${status}`).sort();
    expect(await statuses()).toEqual(['depth FAILED', 'wagons FAILED', 'whole READY']);
    await its.upload(control, '02.jpg', image!);
    expect((await its.status(id)).body.status).toBe('READY');
    expect(await statuses()).toEqual(['depth READY', 'wagons READY', 'whole READY']);
  });
});

/** An installation that was served: it has a key of its own. */
async function openInstallation() {
  const opened = await openPlace();
  await installationSetting(opened.database, 'link-key', () => opened.key.id);
  return opened;
}

test('a backup never overwrites other files or another backup, and is for a data folder only', async () => {
  const [{ folder: source }, { folder: other }] = [await openInstallation(), await openInstallation()];
  const its = await newFolder();
  expect((await backUp(other, its)).code).toBe(0);
  const before = await readFile(join(its, 'catalog.sqlite'));
  const ended = await backUp(source, its);
  expect([ended.code, ended.json().error.message]).toEqual([73, expect.stringContaining('another installation')]);
  expect((await readFile(join(its, 'catalog.sqlite'))).equals(before)).toBe(true);
  await writeFile(join(its, 'backup.json'), '{');
  const foreign = await folderWith({ 'thesis.txt': '' });
  // Blobs without a catalog may be those of an installation that has it elsewhere.
  const blobs = await folderWith({ 'blobs/00/theirs': '' });
  const unused = await newFolder();
  const [damaged, onThesis, onBlobs, onItself, inItself, onPostgres, ofNothing] = await Promise.all([
    backUp(other, its),
    backUp(source, foreign),
    backUp(source, blobs),
    backUp(source, source),
    backUp(source, join(source, 'backups/monday')),
    backUp(source, unused, { DATABASE_URL: 'postgres://user:secret@host/db' }),
    backUp(await newFolder(), unused),
  ]);
  expect([damaged.code, damaged.json().error.message]).toEqual([73, expect.stringContaining('is damaged')]);
  expect([onThesis, onBlobs, onItself, ofNothing].map(({ code }) => code)).toEqual([73, 73, 64, 66]);
  expect([inItself.code, inItself.json().error.message]).toEqual([
    64,
    expect.stringContaining('Name a folder outside.'),
  ]);
  expect(await readdir(source)).not.toContain('backups');
  expect([await readdir(foreign), await readdir(blobs)]).toEqual([['thesis.txt'], ['blobs']]);
  // The error names the command for other installations.
  expect([onPostgres.code, onPostgres.json().error.message]).toEqual([78, expect.stringContaining('migrate-data')]);
  expect(onPostgres.stdout).not.toContain('secret');
});

test('restoring of a folder without a complete backup fails', async () => {
  const [nothing, incomplete] = [await newFolder(), await folderWith({ 'blobs/00/a': '' })];
  expect((await restore(nothing, await newFolder())).code).toBe(66);
  const ended = await restore(incomplete, await newFolder());
  expect([ended.code, ended.json().error.message]).toEqual([
    66,
    expect.stringMatching(/is no backup: it has no catalog\.sqlite\. Name the folder that ".* backup" has written\./),
  ]);
});

test('a clip that is not decoded yet is backed up and restored with its bytes, and checked then; without them it is rejected', async () => {
  const { newInstance, folder, token, key, view } = await openPlace();
  const { upload } = newInstance();
  await upload('long.mp4');
  await upload('long.txt', 'a dog');
  expect((await view()).status).toBe('UPLOADING');
  /** Serves a folder until the dataset is READY or FAILED. */
  const checkedIn = async (dataFolder: string): Promise<WireDatasetWithFiles> => {
    const server = await serverUntil(onTestFinished, { 'caption-grace-seconds': 0 }, { dataFolder });
    const api = new Api(server.url, token);
    return checked(api, key.id);
  };
  const [copy, whole, partial] = [await newFolder(), await newFolder(), await newFolder()];
  expect((await backUp(folder, copy)).code).toBe(0);
  expect((await restore(copy, whole)).code).toBe(0);
  const files = [{ filename: 'long.mp4' }, { filename: 'long.txt' }];
  expect(await checkedIn(whole)).toMatchObject({ status: 'READY', files });

  await rm(await pathOfBytes(copy, media.clip('faststart.mp4')));
  expect((await restore(copy, partial, '--skip-damaged')).code).toBe(0);
  const { status, error } = await checkedIn(partial);
  expect(status).toBe('FAILED');
  expect(error?.problems).toContainEqual(expect.objectContaining({ code: 'BYTES_LOST', filename: 'long.mp4' }));
});
