import { expect, test } from 'vitest';
import type { Micros, PendingFile, Upload } from '../../../src/dataset/dataset.js';
import { Catalog } from '../../../src/storage/catalog/catalog.js';
import { type Database, query } from '../../../src/storage/database/database.js';
import { remove } from '../../../src/dataset/upload-transitions.js';
import type { ServiceDependencies } from '../../../src/service/dependencies.js';
import { Downloads } from '../../../src/service/download/downloads.js';
import { laptop } from '../../harness/author.js';
import { onCatalogs } from '../../harness/backends.js';
import { imageNamed } from '../../harness/stored-image.js';

/** The grace of `catalogs`. */
const GRACE = 1000;
const DELETED_AT = 60;
const END = DELETED_AT + GRACE;
/** The store is no longer searched for what a link may have written. */
const LONG_AFTER = END + 48 * 3600 * 1_000_000;

/** More than two statements take. */
const FILES = 1130;
const REMOVED = 30;

const stored = { ...imageNamed('a').upload, sizeBytes: 10, finalizedAt: 50 };
const lease = { leaseUntil: null, leaseToken: null } as const;
const received = { ...stored, state: 'received', receivedAt: 50 } as const;
const pending = { state: 'pending', via: 'presigned', expectedBytes: 5, expiresAt: 900, ...lease } as const;
const problem = { severity: 'error', code: 'FILE_EMPTY', message: '' } as const;
const rejected = { state: 'rejected', problem, finalizedAt: 50 } as const;

const fileOf = <Kind extends Upload>(datasetId: string, name: string, upload: Kind) => {
  const id = `${datasetId}-${name}`;
  return { id, datasetId, filename: `${name}.txt`, kind: 'caption' as const, createdAt: 1, upload };
};

/** @returns the keys of their blobs */
async function add(catalog: Catalog, datasetId: string, names: readonly string[], upload: Upload) {
  const files = new Map(names.map((name) => [name, fileOf(datasetId, name, upload)]));
  const filenames = names.map((name) => `${name}.txt`);
  await catalog.change({ datasetId, filenames, now: 50, isActivity: true, author: laptop }, (_, stem) => [
    files.get(stem) as PendingFile,
  ]);
  return [...files.values()].map(({ id }) => `${datasetId}/${id}`);
}

const named = (prefix: string, count: number) => Array.from({ length: count }, (_, i) => `${prefix}${10_000 + i}`);

async function rowsIn({ run }: Database): Promise<Record<string, number>> {
  const counts: Record<string, number> = {};
  for (const table of ['dataset', 'file', 'past_file', 'revision', 'trash'] as const) {
    const [row] = await run(query.selectFrom(table).select(({ fn }) => fn.countAll<number>().as('count')));
    counts[table] = Number(row?.count);
  }
  return counts;
}

const NO_ROWS = { dataset: 0, file: 0, past_file: 0, revision: 0, trash: 0 };

/** Deletes what is due until nothing is, as the cleanup does. */
async function cleanUp(catalog: Catalog, now: Micros): Promise<string[]> {
  const deleted: string[] = [];
  for (;;) {
    const due = await catalog.trash.due(now);
    if (due.length === 0) return deleted;
    await catalog.trash.remove(due, now);
    deleted.push(...due);
  }
}

onCatalogs((open) => {
  /** A dataset of files in every state, of which the history has some. */
  const fill = async () => {
    const opened = await open();
    const { catalog, accountId } = opened;
    const key = { accountId, id: 'full' };
    await catalog.createDataset({ ...key, name: 'full', createdAt: 1 });
    const blobs = await add(catalog, 'full', named('file', FILES), stored);
    const removed = named('file', REMOVED).map((name) => `${name}.txt`);
    await catalog.change(
      { datasetId: 'full', filenames: removed, now: 55, isActivity: true, author: laptop },
      (group) => remove(group, group[0]!.filename),
    );
    blobs.push(...(await add(catalog, 'full', ['link'], pending)));
    blobs.push(...(await add(catalog, 'full', ['video'], received)));
    // It has no blob.
    await add(catalog, 'full', ['bad'], rejected);
    return { ...opened, key, blobs: blobs.sort() };
  };

  test('a deleted dataset is gone at once: its files are not found, nothing is added, its name and usage are free', async () => {
    const { catalog, accounts, accountId, key } = await fill();
    expect(await accounts.usage(accountId)).toMatchObject({ datasets: 1, historyBytes: REMOVED * 10 });
    expect(await catalog.deleteDataset(key, DELETED_AT)).toBe(true);
    expect(await catalog.deleteDataset(key, DELETED_AT)).toBe(false);
    expect(await accounts.usage(accountId)).toMatchObject({ datasets: 0, files: 0, bytes: 0, historyBytes: 0 });
    expect([await catalog.datasets({ accountId }), await catalog.contents(key)]).toEqual([[], undefined]);
    for (const name of ['link', 'video', 'file10100']) expect(await catalog.file(`full-${name}`)).toBeUndefined();
    expect(await catalog.revisions.isPast('full-file10000')).toBe(false);
    expect(await catalog.lastPresigned({ datasetId: 'full', expiresAfter: 0 })).toBeNull();

    const change = { datasetId: 'full', filenames: ['file10100.txt'], now: 70, isActivity: true };
    expect(await catalog.change(change, () => [])).toBeUndefined();
    const file = fileOf('full', 'new', { ...pending, via: 'direct', leaseUntil: 80, leaseToken: 'token' });
    expect(await catalog.reserveDirect({ accountId, file })).toBeUndefined();
    expect(await catalog.changeDataset(key, { name: 'new' }, 70)).toBe(false);
    expect(await catalog.revisions.setPin('full', 1, { at: 70, by: 'me', note: null })).toBe(false);
    await catalog.createDataset({ accountId, id: 'other', name: 'full', createdAt: 70 });
    expect((await catalog.datasets({})).map(({ id }) => id)).toEqual(['other']);
  });

  test('a download in which it is deleted does not find it, rather than find it empty', async () => {
    const { catalog, accountId, database } = await open();
    for (const download of ['all', 'page'] as const) {
      const key = { accountId, id: download };
      await catalog.createDataset({ ...key, name: download, createdAt: 1 });
      await add(catalog, download, ['file'], stored);
      // The first read finds the dataset.
      let reads = 0;
      const run: Database['run'] = (statement) =>
        database.run(statement).finally(() => ++reads === 1 && catalog.deleteDataset(key, DELETED_AT));
      const dependencies = { catalog: new Catalog({ ...database, run }, { blobGrace: GRACE }) };
      const downloads = new Downloads(dependencies as ServiceDependencies);
      await expect(downloads[download](key, { limit: 1 })).rejects.toMatchObject({ code: 'dataset_not_found' });
    }
  });

  test('its blobs are kept for the grace; then each is deleted once, and no row remains but those of others', async () => {
    const { catalog, accountId, database, key, blobs } = await fill();
    const others = { ...NO_ROWS, dataset: 1, revision: 1, file: 3 };
    await catalog.createDataset({ accountId, id: 'other', name: 'other', createdAt: 1 });
    await add(catalog, 'other', named('file', 3), stored);
    await catalog.deleteDataset(key, DELETED_AT);
    expect(await cleanUp(catalog, END - 1)).toEqual([]);
    expect(await rowsIn(database)).toEqual({ ...others, trash: blobs.length });
    expect((await cleanUp(catalog, LONG_AFTER)).sort()).toEqual(blobs);
    expect(await rowsIn(database)).toEqual(others);
    expect((await catalog.file('other-file10000'))?.filename).toBe('file10000.txt');
  });
});
