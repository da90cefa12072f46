import { cp, mkdir, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setImmediate as turn } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, onTestFinished, test } from 'vitest';
import { forEachConcurrent } from '../../../src/for-each-concurrent.js';
import { storedTotals } from '../../../src/storage/catalog/copy-catalog.js';
import { openCatalog } from '../../../src/storage/catalog/open-catalog.js';
import { seededRandom } from '../../faults/random.js';
import * as media from '../../fixtures/media.js';
import type { Api } from '../../harness/api.js';
import { findingsOf } from '../../harness/checking.js';
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

let server: TestServer;
let api: Api;
beforeEach(async () => {
  // Removed files are deleted half a second later.
  server = await startServer({
    'caption-grace-seconds': 0,
    ...NO_HISTORY,
    'blob-grace-seconds': 0,
    'lease-seconds': 1,
  });
  api = await server.api();
});
afterEach(() => discardServer(server));

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

describe('while the service is in use', () => {
  const DATASETS = ['a', 'b', 'c'] as const;
  const FILES = 150;
  /** More writers make the service slower, so that files are deleted later and fewer backups need another round. */
  const WRITERS = 2;

  /** Uploads, replaces and removes captions until `stop` is called, and counts the changes. */
  function writeAlong(ids: readonly string[]) {
    const random = seededRandom(20_251_125);
    const stopping = new AbortController();
    let changes = 0;
    const work = async () => {
      while (!stopping.signal.aborted) {
        const id = ids[Math.floor(random() * ids.length)]!;
        const name = `${Math.floor(random() * FILES)}.txt`;
        if (random() < 0.4) await api.request('DELETE', `/${id}/files/${name}`);
        else await api.upload(id, name, `${name} in state ${changes}`);
        changes++;
      }
    };
    const running = Promise.all(Array.from({ length: WRITERS }, work));
    const stop = async () => {
      stopping.abort();
      await running;
      return changes;
    };
    return { stop, changes: () => changes };
  }

  test('a backup is the state of the service at one moment, and can be served and updated', async () => {
    const ids: string[] = [];
    for (const name of DATASETS) {
      const id = await datasetOf(api, { 'x.jpg': await media.jpeg(), 'x.txt': 'always there' }, name);
      await forEachConcurrent(
        Array(FILES).keys(),
        8,
        async (i) => void (await api.upload(id, `${i}.txt`, `first ${i}`)),
      );
      ids.push(id);
    }
    const writing = writeAlong(ids);
    const dir = await newFolder();
    let wasOvertaken = false;
    // Every backup runs during removals; the test needs one that has to take a newer catalog.
    for (let round = 1; round <= 20 && !(wasOvertaken && round > 3); round++) {
      if (round % 4 === 1) await rm(dir, { recursive: true, force: true });
      const changesBefore = writing.changes();
      const ended = await trainyard(['backup', dir, '--data', server.dataFolder]);
      expect([ended.code, ended.stdout]).toEqual([0, expect.stringContaining('backed up')]);
      expect(writing.changes()).toBeGreaterThan(changesBefore);
      wasOvertaken ||= ended.stderr.includes('removed meanwhile');
      const restored = await newFolder();
      const written = await restore(dir, restored);
      expect([written.code, written.stdout]).toEqual([0, expect.stringContaining('copied_files')]);
      const holdings = await servedHoldings(restored, { token: api.token });
      expect(namesAndHashes(holdings)).toEqual(await catalogIn(dir));
      // The backup holds only files that the catalog names.
      expect(await blobPathsIn(dir)).toHaveLength(await totalFilesIn(dir));
    }
    expect(wasOvertaken).toBe(true);
    expect(await writing.stop()).toBeGreaterThan(0);
    // Without changes, the backup equals the service.
    await backUp(dir);
    const restored = await newFolder();
    await restore(dir, restored);
    expect(await servedHoldings(restored, { token: api.token })).toEqual(await holdingsOf(api));
  });

  /** Name and SHA-256 of every stored file of a catalog, by dataset. */
  async function catalogIn(dataFolder: string): Promise<Record<string, string[]>> {
    const metadata = await openCatalog({ dataFolder, blobGrace: 0 });
    try {
      const found: Record<string, string[]> = {};
      for (const { id, name } of await metadata.catalog.datasets({})) {
        found[name] = (await metadata.catalog.files(id))
          .flatMap(({ filename, upload }) => (upload.state === 'stored' ? [`${filename} ${upload.sha256}`] : []))
          .sort();
      }
      return found;
    } finally {
      await metadata.close();
    }
  }

  function namesAndHashes(holdings: Awaited<ReturnType<typeof holdingsOf>>): Record<string, string[]> {
    const namesOf = (files: (typeof holdings)[string]['files']) =>
      files.map(({ filename, sha256 }) => `${filename} ${sha256}`).sort();
    return Object.fromEntries(Object.entries(holdings).map(([name, { files }]) => [name, namesOf(files)]));
  }
});

describe('a backup', () => {
  test('is readable for its owner only; run again, it copies new files and removes deleted ones', async () => {
    const id = await datasetOf(api, await pairsOf(3), 'wagons');
    const dir = await newFolder();
    expect((await backUp(dir)).json()).toMatchObject({ files: 6, copied_files: 6, removed_files: 0, lost: [] });
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

  test('that is interrupted leaves the earlier backup unchanged, and the next run continues', async () => {
    const id = await datasetOf(api, await pairsOf(3), 'wagons');
    const dir = await newFolder();
    await backUp(dir);
    const before = await holdingsOf(api);
    const names = Array.from({ length: 600 }, (_, i) => `n${i}.txt`);
    await forEachConcurrent(names, 8, async (name) => void (await api.upload(id, name, name)));
    let kept = 6;
    for (const signal of ['SIGKILL', 'SIGINT', 'SIGKILL'] as const) {
      const running = startCommand(['backup', dir, '--data', server.dataFolder, '--json']);
      while ((await blobPathsIn(dir)).length <= kept && running.process.exitCode === null) await turn();
      running.process.kill(signal);
      const ended = await running.ended;
      if (signal === 'SIGINT') expect(ended.json().error.code).toBe('INTERRUPTED');
      kept = (await blobPathsIn(dir)).length;
      expect(kept).toBeLessThan(names.length);
      const restored = await newFolder();
      expect((await restore(dir, restored)).code).toBe(0);
      expect(await servedHoldings(restored, { token: api.token })).toEqual(before);
    }
    expect((await backUp(dir)).json()).toMatchObject({ files: 606, copied_files: 606 - kept });
  });

  test('that was killed as it began is continued', async () => {
    await datasetOf(api, await pairsOf(1), 'wagons');
    const dir = await newFolder();
    await mkdir(dir);
    await writeFile(join(dir, 'catalog.next.sqlite'), 'written in part');
    await writeFile(join(dir, 'backup.json'), '');
    expect(await backUp(dir)).toMatchObject({ code: 0 });
    expect(await readdir(dir)).not.toContain('catalog.next.sqlite');
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

  test('never overwrites other files or another backup', async () => {
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
    } finally {
      await discardServer(other);
    }
  });

  test.each(['{', 'null'])('is not continued if its marker is damaged: %j', async (text) => {
    const dir = await newFolder();
    await backUp(dir);
    await writeFile(join(dir, 'backup.json'), text);
    const ended = await backUp(dir);
    expect([ended.code, ended.json().error.message]).toEqual([73, expect.stringContaining('is damaged')]);
  });

  test('is for a data folder only, and names the command for other installations', async () => {
    const env = { DATABASE_URL: 'postgres://user:secret@host/db' };
    const ended = await trainyard(['backup', await newFolder(), '--data', server.dataFolder, '--json'], { env });
    expect([ended.code, ended.json().error.message]).toEqual([78, expect.stringContaining('migrate-data')]);
    expect(ended.stdout).not.toContain('secret');
    expect((await backUp(await newFolder())).code).toBe(0);
    expect((await trainyard(['backup', await newFolder(), '--data', await newFolder()])).code).toBe(66);
  });
});

describe('restoring', () => {
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

  test('keeps roles and links, and proves the pairs of a control that has lost a file', async () => {
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

  test('of a folder without a complete backup fails', async () => {
    const dir = await newFolder();
    expect((await restore(dir, await newFolder())).code).toBe(66);
    await mkdir(join(dir, 'blobs'), { recursive: true });
    const ended = await restore(dir, await newFolder());
    expect([ended.code, ended.json().error.message]).toEqual([66, expect.stringContaining('catalog.sqlite')]);
  });
});
