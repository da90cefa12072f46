import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { store } from '../../../src/dataset/upload-transitions.js';
import { RevisionManifests } from '../../../src/service/history/revision-manifests.js';
import { blobKeyOf } from '../../../src/storage/blobs/blobs.js';
import { Catalog } from '../../../src/storage/catalog/catalog.js';
import { wrongCountsOf } from '../../harness/check-counts.js';
import { copyCatalog, referencedBlobs } from '../../../src/storage/catalog/copy-catalog.js';
import { INSTALLATION, Jobs } from '../../../src/storage/catalog/jobs.js';
import { Rechecks } from '../../../src/storage/catalog/rechecks.js';
import { openSqlite } from '../../../src/storage/database/sqlite.js';
import { laptop } from '../../harness/author.js';
import { catalogs, onEach } from '../../harness/backends.js';
import { temporaryFolder } from '../../harness/server.js';
import { imageNamed, LOST } from '../../harness/stored-image.js';

async function emptyCatalog() {
  const folder = await temporaryFolder();
  const database = await openSqlite(join(folder, 'catalog.sqlite'));
  onTestFinished(async () => {
    await database.close();
    await rm(folder, { recursive: true });
  });
  return database;
}

/** A store that has the blobs of images with these names. */
const storeOf = (names: readonly string[]) => async (keys: readonly string[]) => {
  const stored = names.map((name) => blobKeyOf(imageNamed(name)));
  return new Map(
    keys.filter((key) => stored.includes(key)).map((key) => [key, { key, sizeBytes: 1, version: 'new' }] as const),
  );
};

onEach(catalogs, (open) => {
  test('a lost file stays in its revisions, which are FAILED until it is uploaded again', async () => {
    const { accountId, catalog, database } = await open();
    await new Jobs(database).ensure([{ kind: 'prune-tokens', key: '', accountId: INSTALLATION, dueAt: 7 }]);
    const key = { accountId, id: 'd' };
    await catalog.createDataset({ ...key, name: 'd', role: 'control', createdAt: 1 });
    const upload = (to: Catalog, name: string, id: string, now: number) => {
      const author = { ...laptop, changeId: id };
      const change = { datasetId: 'd', filenames: [`${name}.jpg`], now, isActivity: true, author };
      return to.change(change, (group) => store(group, { ...imageNamed(name), id }, undefined));
    };
    for (const [now, name] of ['b', 'a', 'c'].entries()) await upload(catalog, name, name, now + 1);
    const listed = async (from: Catalog) => {
      const dataset = (await from.dataset(key))!;
      const views = await new RevisionManifests(from).viewsOf(dataset, await from.revisions.page('d', { limit: 10 }));
      return views.map(({ files, isReady }) => [files, isReady]).reverse();
    };
    expect(await listed(catalog)).toEqual([
      [1, true],
      [2, true],
      [3, true],
    ]);

    await new Rechecks(database).start('d', 5);
    await new Jobs(database).claim({ kind: 'inspect-again', accountId }, { now: 5, until: 9, token: 'a process' });

    const target = await emptyCatalog();
    const { signal } = new AbortController();
    const lost = new Map([['a', { datasetId: 'd', problem: LOST }]]);
    await copyCatalog(database, target, { find: storeOf(['b', 'c']), isSameStore: false, lost, signal });
    const copied = new Catalog(target, { blobGrace: 0 });
    expect((await copied.dataset(key))!.counts).toMatchObject({ images: 3, rejected: 1 });
    expect(await wrongCountsOf(target, 'd')).toEqual([]);
    expect(await new Rechecks(target).of('d')).toMatchObject({ total: 3, remaining: 3, finishedAt: null });
    expect(await new Jobs(target).counts()).toMatchObject([
      { kind: 'inspect-again', waiting: 3, running: 0 },
      { kind: 'prune-tokens', waiting: 1, running: 0, oldestDueAt: 7 },
    ]);
    expect(await listed(copied)).toEqual([
      [1, true],
      [2, false],
      [3, false],
    ]);
    // Another copy needs no blob of a file that is known to be lost.
    const known = [];
    for await (const page of referencedBlobs(target)) known.push(...page.filter(({ isKnownLost }) => isKnownLost));
    expect(known).toMatchObject([{ filename: 'a.jpg' }]);
    const again = await emptyCatalog();
    await copyCatalog(target, again, { find: storeOf(['b', 'c']), isSameStore: true, lost: new Map(), signal });

    await upload(copied, 'a', 'a again', 10);
    expect(await listed(copied)).toEqual([
      [1, true],
      [2, true],
      [3, true],
    ]);
    const author = { ...laptop, how: 'restore' } as const;
    expect(await copied.restore({ datasetId: 'd', number: 3, author, now: 11 })).toMatchObject({
      recordedIn: undefined,
      counts: { images: 3, rejected: 0 },
    });
  });
});
