import { cp, mkdir, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setImmediate as turn } from 'node:timers/promises';
import { beforeEach, describe, expect, onTestFinished, test } from 'vitest';
import { storedTotals } from '../../../src/storage/catalog/copy-catalog.js';
import { openCatalog } from '../../../src/storage/catalog/open-catalog.js';
import * as media from '../../fixtures/media.js';
import type { WireDatasetWithFiles } from '../../../src/api/schemas.js';
import { Api } from '../../harness/api.js';
import { checkStoreOf, findingsOf } from '../../harness/checking.js';
import { type Ended, startCommand, trainyard } from '../../harness/command.js';
import { pairsOf } from '../../harness/folder.js';
import { datasetOf, digestOfFolder, newRoot } from '../../harness/mounting.js';
import { discardServer, eventually, NO_HISTORY, startServer, type TestServer } from '../../harness/server.js';
import {
  blobPathsIn,
  flipBit,
  holdingsOf,
  newFolder,
  pathOfBytes,
  servedHoldings,
} from '../../harness/transferring.js';
import { openPlace, PLACES } from '../check/check-service.js';

let server: TestServer;
let api: Api;
const serve = async () => {
  // Removed files are deleted half a second later.
  server = await startServer({
    'caption-grace-seconds': 0,
    ...NO_HISTORY,
    'blob-grace-seconds': 0,
    'lease-seconds': 1,
  });
  api = await server.api();
  onTestFinished(() => discardServer(server));
};

const backUp = (dir: string): Promise<Ended> => trainyard(['backup', dir, '--data', server.dataFolder, '--json']);
const restore = (dir: string, data: string, ...flags: string[]): Promise<Ended> =>
  trainyard(['restore', dir, '--data', data, '--json', ...flags]);

/** Waits until the history, which is pruned in the background, has no other files than these many. */
async function historyPrunedTo(files: number): Promise<void> {
  await eventually(async () => (await totalFilesIn(server.dataFolder)) === files || undefined);
}

/** The files of a catalog and its history. */
async function totalFilesIn(dataFolder: string): Promise<number> {
  const metadata = await openCatalog({ dataFolder, blobGrace: 0 });
  return (await storedTotals(metadata.database).finally(() => metadata.close())).files;
}

describe('a backup', () => {
  beforeEach(serve);

  test('is readable for its owner only; run again, it copies new files and removes deleted ones', async () => {
    const id = await datasetOf(api, await pairsOf(3), 'wagons');
    const dir = await newFolder();
    // An earlier one was killed as it began.
    await mkdir(dir, { mode: 0o700 });
    await writeFile(join(dir, 'catalog.next.sqlite'), 'written in part');
    await writeFile(join(dir, 'backup.json'), '');
    expect((await backUp(dir)).json()).toMatchObject({ files: 6, copied_files: 6, removed_files: 0, lost: [] });
    expect(await readdir(dir)).not.toContain('catalog.next.sqlite');
    expect([(await stat(dir)).mode & 0o777, (await stat(join(dir, 'catalog.sqlite'))).mode & 0o777]).toEqual([
      0o700, 0o600,
    ]);
    const untouched = await stat(await pathOfBytes(dir, 'wagon 1'));
    await api.upload(id, '02.txt', 'another caption');
    await api.upload(id, '04.txt', 'one more');
    await api.request('DELETE', `/${id}/files/03.txt`);
    await historyPrunedTo(6);
    expect((await backUp(dir)).json()).toMatchObject({ files: 6, copied_files: 2, removed_files: 2 });
    expect((await stat(await pathOfBytes(dir, 'wagon 1'))).ino).toBe(untouched.ino);
    expect((await backUp(dir)).json()).toMatchObject({ files: 6, copied_files: 0, removed_files: 0 });
  });

  test('can be mounted, and a copy of it can be served', async () => {
    await datasetOf(api, await pairsOf(3), 'wagons');
    const [dir, restored, copy] = [await newFolder(), await newFolder(), await newFolder()];
    await backUp(dir);
    await restore(dir, restored);
    const digest = (await api.manifest((await api.list()).body.datasets[0]!.id)).body.digest;
    for (const data of [dir, restored]) {
      const root = await newRoot();
      expect((await trainyard(['mount', 'wagons', '--into', root, '--data', data])).code).toBe(0);
      expect(await digestOfFolder(join(root, 'wagons'))).toBe(digest);
    }
    await cp(dir, copy, { recursive: true });
    expect(await servedHoldings(copy, { token: api.token })).toEqual(await holdingsOf(api));
  });

  describe('of many files', () => {
    const FILES = 306;
    let id: string;
    let dir: string;
    beforeEach(async () => {
      id = await datasetOf(api, await pairsOf(3), 'wagons');
      dir = await newFolder();
      await backUp(dir);
    });

    const names = Array.from({ length: FILES - 6 }, (_, i) => `n${i}.txt`);
    const uploadMany = async () => {
      const captions = names.map((filename) => ({ filename, text: filename }));
      expect((await api.json('PUT', `/${id}/captions`, { captions })).status).toBe(200);
    };
    /** Starts a backup, and waits until it has copied some files. */
    const startBackUp = async () => {
      const before = (await blobPathsIn(dir)).length;
      const running = startCommand(['backup', dir, '--data', server.dataFolder, '--json']);
      while ((await blobPathsIn(dir)).length <= before && running.process.exitCode === null) await turn();
      return running;
    };
    const restored = async () => {
      const data = await newFolder();
      expect((await restore(dir, data)).code).toBe(0);
      return data;
    };
    const holdingsOfRestored = async () => servedHoldings(await restored(), { token: api.token });

    test('is the state of the service at one moment, though files are added and removed while it is copied', async () => {
      await uploadMany();
      let running = await startBackUp();
      running.process.kill('SIGSTOP');
      await api.upload(id, 'added.txt', 'after the backup began');
      running.process.kill('SIGCONT');
      expect((await running.ended).json()).toMatchObject({ files: FILES, lost: [] });
      const whole = await checkStoreOf({ dataFolder: await restored() });
      expect(whole.json()).toMatchObject({ clean: true, files: FILES });

      await rm(dir, { recursive: true });
      running = await startBackUp();
      running.process.kill('SIGSTOP');
      await api.json('DELETE', `/${id}/files`, { filenames: names });
      // Their bytes are gone, so that the backup takes a newer catalog.
      await eventually(async () => (await blobPathsIn(server.dataFolder)).length === 7 || undefined);
      running.process.kill('SIGCONT');
      expect((await running.ended).json()).toMatchObject({ files: 7, lost: [] });
      expect(await holdingsOfRestored()).toEqual(await holdingsOf(api));
      expect(await blobPathsIn(dir)).toHaveLength(7);
    });
  });

  test('of a folder with a damaged and a missing file has all others, and lists those two', async () => {
    const id = await datasetOf(api, await pairsOf(3), 'wagons');
    const dir = await newFolder();
    await flipBit(await pathOfBytes(server.dataFolder, 'wagon 1'));
    await rm(await pathOfBytes(server.dataFolder, 'wagon 2'));
    const ended = await backUp(dir);
    expect([ended.code, ended.json()]).toMatchObject([65, { files: 6, copied_files: 4 }]);
    expect(
      ended
        .json()
        .lost.map(({ filename, reason }: Record<string, string>) => [filename, reason])
        .sort(),
    ).toEqual([
      ['01.txt', 'DAMAGED'],
      ['02.txt', 'MISSING'],
    ]);
    const printed = await trainyard(['backup', dir, '--data', server.dataFolder]);
    expect(printed.stderr).toContain('01.txt of "wagons" is damaged');
    await api.upload(id, '01.txt', 'wagon 1');
    await api.request('DELETE', `/${id}/files/02.txt`);
    await historyPrunedTo(5);
    expect((await backUp(dir)).json()).toMatchObject({ files: 5, copied_files: 1, lost: [] });
  });

  test('never overwrites other files or another backup, and is for a data folder only', async () => {
    const dir = await newFolder();
    expect((await backUp(server.dataFolder)).code).toBe(64);
    await mkdir(dir);
    await writeFile(join(dir, 'thesis.txt'), '');
    expect((await backUp(dir)).code).toBe(73);
    expect(await readdir(dir)).toEqual(['thesis.txt']);
    // Blobs without a catalog may be those of an installation that has it elsewhere.
    const blobs = await newFolder();
    await mkdir(join(blobs, 'blobs'), { recursive: true });
    expect((await backUp(blobs)).code).toBe(73);
    const other = await startServer();
    try {
      const its = await newFolder();
      expect((await trainyard(['backup', its, '--data', other.dataFolder])).code).toBe(0);
      const before = await readFile(join(its, 'catalog.sqlite'));
      const ended = await backUp(its);
      expect([ended.code, ended.json().error.message]).toEqual([73, expect.stringContaining('another installation')]);
      expect((await readFile(join(its, 'catalog.sqlite'))).equals(before)).toBe(true);
      await writeFile(join(its, 'backup.json'), '{');
      const damaged = await trainyard(['backup', its, '--data', other.dataFolder, '--json']);
      expect([damaged.code, damaged.json().error.message]).toEqual([73, expect.stringContaining('is damaged')]);
    } finally {
      await discardServer(other);
    }
    // The error names the command for other installations.
    const env = { DATABASE_URL: 'postgres://user:secret@host/db' };
    const ended = await trainyard(['backup', await newFolder(), '--data', server.dataFolder, '--json'], { env });
    expect([ended.code, ended.json().error.message]).toEqual([78, expect.stringContaining('migrate-data')]);
    expect(ended.stdout).not.toContain('secret');
    expect((await trainyard(['backup', await newFolder(), '--data', await newFolder()])).code).toBe(66);
  });
});

describe('restoring', () => {
  beforeEach(serve);

  test('of a damaged backup leaves no catalog, and lists the damaged files', async () => {
    await datasetOf(api, await pairsOf(2), 'wagons');
    await datasetOf(api, await pairsOf(1), 'whole');
    const before = await holdingsOf(api);
    const [dir, restored] = [await newFolder(), await newFolder()];
    await backUp(dir);
    const damaged = await pathOfBytes(dir, await media.jpeg({ seed: 2 }));
    await flipBit(damaged);
    const ended = await restore(dir, restored);
    expect([ended.code, ended.json().error]).toMatchObject([65, { reason: 'LOST' }]);
    expect(ended.json().error.lost).toMatchObject([{ dataset: 'wagons', filename: '02.jpg', reason: 'DAMAGED' }]);
    const fresh = await newFolder();
    await cp(restored, fresh, { recursive: true });
    await expect(startServer({}, { dataFolder: fresh })).rejects.toThrow('is missing or empty');

    // Without the file, its dataset is FAILED and says why.
    const partial = await restore(dir, restored, '--skip-damaged');
    expect([partial.code, partial.json().lost]).toMatchObject([0, [{ filename: '02.jpg' }]]);
    // A backup of that can be restored too, since the file is known to be lost.
    const [next, third] = [await newFolder(), await newFolder()];
    expect((await trainyard(['backup', next, '--data', restored])).code).toBe(65);
    expect(await restore(next, third)).toMatchObject({ code: 0 });
    const again = await startServer({ 'caption-grace-seconds': 0 }, { dataFolder: restored });
    onTestFinished(() => discardServer(again));
    const its = await again.api();
    const holdings = await holdingsOf(its);
    expect(holdings.whole).toEqual(before.whole);
    const { body } = await its.status(holdings.wagons!.dataset_id);
    expect(body).toMatchObject({ status: 'FAILED' });
    expect(JSON.stringify(body)).toContain('02.jpg was damaged');
    const listed = async () => (await its.list()).body.datasets.map(({ name, status }) => `${name} ${status}`).sort();
    expect(await listed()).toEqual(['wagons FAILED', 'whole READY']);
    await its.upload(holdings.wagons!.dataset_id, '02.jpg', await media.jpeg({ seed: 2 }));
    expect((await its.status(holdings.wagons!.dataset_id)).body.status).toBe('READY');
    expect(await listed()).toEqual(['wagons READY', 'whole READY']);
  });

  test('keeps roles and links, and proves the pairs of a control that has lost a file', {
    tags: ['long'],
  }, async () => {
    const id = await datasetOf(api, await pairsOf(2), 'wagons');
    const { body: control } = await api.json<{ id: string }>('POST', '', { name: 'depth', role: 'control' });
    const depths = [await media.jpeg({ seed: 11 }), await media.jpeg({ seed: 12 })] as const;
    await api.upload(control.id, '01.jpg', depths[0]);
    await api.upload(control.id, '02.jpg', depths[1]);
    await api.json('PUT', `/${id}/links`, { control_1: control.id });
    const before = await holdingsOf(api);
    expect(before.wagons).toMatchObject({ status: 'READY', links: { control_1: { name: 'depth' } } });
    const [dir, whole, partial] = [await newFolder(), await newFolder(), await newFolder()];
    await backUp(dir);
    expect((await restore(dir, whole)).code).toBe(0);
    expect(await servedHoldings(whole, { token: api.token })).toEqual(before);

    await flipBit(await pathOfBytes(dir, depths[1]));
    expect((await restore(dir, partial, '--skip-damaged')).json().lost).toMatchObject([{ filename: '02.jpg' }]);
    const holdings = await servedHoldings(partial, { token: api.token });
    expect(holdings.wagons).toMatchObject({
      status: 'FAILED',
      counts: { unpaired: 1 },
      links: { control_1: { status: 'FAILED' } },
    });
    expect(await findingsOf({ dataFolder: partial })).toMatchObject([{ kind: 'missing', filename: '02.jpg' }]);
  });
});

test('restoring of a folder without a complete backup fails', async () => {
  const dir = await newFolder();
  expect((await restore(dir, await newFolder())).code).toBe(66);
  await mkdir(join(dir, 'blobs'), { recursive: true });
  const ended = await restore(dir, await newFolder());
  expect([ended.code, ended.json().error.message]).toEqual([66, expect.stringContaining('catalog.sqlite')]);
});

/** A data folder whose dataset has a clip that is received and not decoded yet. */
async function unfinished(): Promise<{ folder: string; token: string; id: string }> {
  const { newInstance, folder, token, key, view } = await openPlace(PLACES[0]!);
  const { upload } = newInstance();
  await upload('long.mp4');
  await upload('long.txt', 'a dog');
  expect((await view()).status).toBe('UPLOADING');
  return { folder, token, id: key.id };
}

/** Serves a folder until the dataset is READY or FAILED. */
async function checkedIn(
  dataFolder: string,
  { token, id }: { token: string; id: string },
): Promise<WireDatasetWithFiles> {
  const server = await startServer({ 'caption-grace-seconds': 0 }, { dataFolder });
  try {
    const api = new Api(server.url, token);
    return await eventually(async () => {
      const { body } = await api.status(id);
      return body.status === 'UPLOADING' ? undefined : body;
    });
  } finally {
    await discardServer(server);
  }
}

describe('a clip that is received and not decoded yet', () => {
  test('is backed up and restored with its bytes, and checked then', async () => {
    const { folder, token, id } = await unfinished();
    const [copy, restored] = [await newFolder(), await newFolder()];
    // A second backup keeps the bytes too.
    for (const args of [
      ['backup', copy, '--data', folder],
      ['backup', copy, '--data', folder],
      ['restore', copy, '--data', restored],
    ]) {
      expect(await trainyard(args)).toMatchObject({ code: 0 });
    }
    expect(await checkedIn(restored, { token, id })).toMatchObject({
      status: 'READY',
      files: [{ filename: 'long.mp4' }, { filename: 'long.txt' }],
    });
  });

  test('whose bytes were lost in the backup is rejected after the restore', { tags: ['long'] }, async () => {
    const { folder, token, id } = await unfinished();
    const [copy, restored] = [await newFolder(), await newFolder()];
    expect(await trainyard(['backup', copy, '--data', folder])).toMatchObject({ code: 0 });
    await rm(await pathOfBytes(copy, media.clip('faststart.mp4')));
    expect((await restore(copy, restored)).code).not.toBe(0);
    await restore(copy, restored, '--skip-damaged');
    const { status, error } = await checkedIn(restored, { token, id });
    expect(status).toBe('FAILED');
    expect(error?.problems).toContainEqual(expect.objectContaining({ code: 'BYTES_LOST', filename: 'long.mp4' }));
  });
});
