import { join } from 'node:path';
import { sql } from 'kysely';
import { expect, onTestFinished, test } from 'vitest';
import { store } from '../../../src/dataset/upload-transitions.js';
import { blobKeyOf } from '../../../src/storage/blobs/blobs.js';
import {
  BlobMissing,
  copyCatalog,
  isEmptyCatalog,
  referencedBlobs,
} from '../../../src/storage/catalog/copy-catalog.js';
import { INSTALLATION, Jobs } from '../../../src/storage/catalog/jobs.js';
import { fileWithBlob, startRecheck } from '../../../src/storage/catalog/verification.js';
import type { Database } from '../../../src/storage/database/database.js';
import { type Schema, TABLES } from '../../../src/storage/database/schema.js';
import { openSqlite } from '../../../src/storage/database/sqlite.js';
import { laptop } from '../../harness/author.js';
import { catalogs, onEach } from '../../harness/backends.js';
import { newRoot } from '../../harness/mounting.js';
import { imageNamed, LOST } from '../../harness/stored-image.js';

async function emptyCatalog() {
  const database = await openSqlite(join(await newRoot(), 'catalog.sqlite'));
  onTestFinished(() => database.close());
  return database;
}

/** A store that has the blobs of images with these names. */
const storeOf = (names: readonly string[]) => async (keys: readonly string[]) => {
  const stored = names.map((name) => blobKeyOf(imageNamed(name)));
  return new Map(
    keys.filter((key) => stored.includes(key)).map((key) => [key, { key, sizeBytes: 1, version: 'new' }] as const),
  );
};

/** All rows, without the versions of blobs, and those versions. */
async function contentsOf({ run }: Database): Promise<{ rows: string[]; versions: unknown[] }> {
  const [rows, versions]: [string[], unknown[]] = [[], []];
  for (const table of Object.keys(TABLES) as (keyof Schema)[]) {
    for (const row of await run(sql<Record<string, unknown>>`select * from ${sql.table(table)}`)) {
      const { blob_version, ...others } = row;
      if ('blob_version' in row) versions.push(blob_version);
      rows.push(`${table} ${JSON.stringify(Object.entries(others).sort())}`);
    }
  }
  return { rows: rows.sort(), versions };
}

onEach(catalogs, (open) => {
  test('a copy of a catalog has all its rows, with the versions that the new store has', async () => {
    const { accountId, catalog, database } = await open();
    await new Jobs(database).ensure([{ kind: 'prune-tokens', key: '', accountId: INSTALLATION, dueAt: 7 }]);
    for (const id of ['d', 'control']) {
      await catalog.createDataset({ accountId, id, name: id, role: id === 'd' ? 'training' : 'control', createdAt: 1 });
    }
    // The third replaces the first, which only the history has then.
    for (const [now, [name, id]] of (
      [
        ['a', 'a'],
        ['b', 'b'],
        ['a', 'c'],
      ] as const
    ).entries()) {
      const author = { ...laptop, changeId: id };
      const change = { datasetId: 'd', filenames: [`${name}.jpg`], now: now + 1, isActivity: true, author };
      await catalog.change(change, (group) => store(group, { ...imageNamed(id), filename: `${name}.jpg` }, undefined));
    }
    const recheck = startRecheck({ datasetId: 'd', now: 5, ifRunning: 'continue' });
    await database.transact({ isDurable: true }, ({ commit }) => commit(recheck));
    const { signal } = new AbortController();

    const target = await emptyCatalog();
    expect(await isEmptyCatalog(target)).toBe(true);
    const incomplete = copyCatalog(database, target, { find: storeOf(['a', 'b']), signal });
    await expect(incomplete).rejects.toThrow(BlobMissing);
    expect((await contentsOf(target)).rows).toEqual([]);
    await copyCatalog(database, target, { find: storeOf(['a', 'b', 'c']), signal });
    const [before, copied] = [await contentsOf(database), await contentsOf(target)];
    expect(copied.rows).toEqual(before.rows);
    expect(new Set(copied.rows.map((row) => row.split(' ')[0]))).toEqual(
      new Set(['account', 'dataset', 'file', 'past_file', 'revision', 'recheck', 'job', 'token']),
    );
    expect([before.versions, copied.versions]).toEqual([
      [null, null, null],
      ['new', 'new', 'new'],
    ]);

    // Another copy needs no blob of a file that is known to be lost.
    const file = (await fileWithBlob(database, 'c'))!;
    await catalog.recordBytes(file, LOST, 9);
    const known = [];
    for await (const page of referencedBlobs(database.run)) known.push(...page.filter((blob) => blob.isKnownLost));
    expect(known).toMatchObject([{ filename: 'a.jpg', fileId: 'c' }]);
    await copyCatalog(database, await emptyCatalog(), { find: storeOf(['a', 'b']), signal });
  });
});
