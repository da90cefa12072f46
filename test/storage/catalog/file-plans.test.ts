import { expect, test } from 'vitest';
import { Catalog } from '../../../src/storage/catalog/catalog.js';
import { Rechecks } from '../../../src/storage/catalog/rechecks.js';
import type { Database } from '../../../src/storage/database/database.js';
import { catalogs, onEach } from '../../harness/backends.js';
import { plansOfReads, raw } from '../../harness/query-plans.js';

/* A read of a few files of a large dataset must not look at the rows of all its files, nor at all those of their stems. */

const CAPTIONS = 3000;

onEach(catalogs, (open) => {
  /** A large dataset of captions, with one video, one damaged file and one upload that was rejected. */
  const openLarge = async () => {
    const { catalog, accountId, database } = await open();
    await catalog.createDataset({ id: 'd', accountId, name: 'd', createdAt: 1 });
    const fill = `
      with recursive number(n) as (select 1 union all select n + 1 from number where n < ${CAPTIONS})
      insert into file (id, dataset_id, filename, stem, kind, state, created_at, finalized_at, size_bytes, sha256, content_type, facts,
        warnings, problem, added_in)
      select 'f' || n, 'd', n || '.txt', cast(n as text), case n when 5 then 'video' else 'caption' end,
        case n when 6 then 'rejected' else 'stored' end, 1, 1, 1, 'x', 'text/plain', '{}', '[]',
        case when n in (6, 7) then '{}' end, 1
      from number`;
    await database.query.executeQuery(raw(fill).compile());
    await database.query.updateTable('dataset').set({ rejected: 2 }).execute();
    // Postgres keeps statistics by itself, some time after a change. Those of SQLite are not kept.
    if (database.hasRowLocks) await database.query.executeQuery(raw('analyze file').compile());
    return { database, accountId };
  };
  const plansOf = (database: Database, read: (watched: Database) => Promise<unknown>) =>
    plansOfReads(database, 'file', read);
  const catalogOver = (database: Database) => new Catalog(database, { blobGrace: 1 });

  test('files of some names are found by their names', async () => {
    const { database } = await openLarge();
    const wanted = { datasetId: 'd', filenames: ['1.txt', '2.txt', '6.txt'] };
    const plans = await plansOf(database, async (watched) => {
      const catalog = catalogOver(watched);
      const found = await catalog.storedFiles(wanted);
      expect(found.map(({ filename }) => filename).toSorted()).toEqual(['1.txt', '2.txt']);
    });
    expect(plans).toEqual([expect.stringMatching(/file_finalized.*filename\)? ?=/)]);
  });

  test('files of a kind are found by their kind, in the order of their names', async () => {
    const { database } = await openLarge();
    const page = { datasetId: 'd', after: '', kind: 'video', limit: 1 } as const;
    const plans = await plansOf(database, async (watched) => {
      expect(await catalogOver(watched).storedFilesAfter(page)).toMatchObject([{ filename: '5.txt' }]);
    });
    expect(plans).toEqual([expect.stringContaining('file_kind')]);
    expect(plans[0]).not.toMatch(/sort|b-tree/i);
  });

  test('damaged files are found by an index of their own', async () => {
    const { database } = await openLarge();
    const plans = await plansOf(database, async (watched) => {
      expect(await new Rechecks(watched).damagedFiles('d', 10)).toMatchObject([{ filename: '7.txt' }]);
    });
    expect(plans).toEqual([expect.stringContaining('file_damaged')]);
  });

  test('a recheck begins without a look at rows of files', async () => {
    const { database } = await openLarge();
    const plans = await plansOf(database, async (watched) => {
      const rechecks = new Rechecks(watched);
      await rechecks.start('d', 5);
      expect(await rechecks.of('d')).toMatchObject({ total: CAPTIONS - 1, remaining: CAPTIONS - 1, startedAt: 5 });
    });
    // Postgres reads an index alone only after a vacuum.
    if (!database.hasRowLocks) for (const plan of plans) expect(plan).toContain('COVERING INDEX file_stored');
  });

  test('uploads that are not stored are found by an index of their own', async () => {
    const { database, accountId } = await openLarge();
    const plans = await plansOf(database, (watched) =>
      catalogOver(watched).contents({ accountId, id: 'd' }, { isAlone: true }),
    );
    expect(plans.filter((plan) => plan.includes('file_not_stored'))).toHaveLength(1);
    // The order of ids is that of no status.
    expect(plans.filter((plan) => plan.includes('file_stored'))).toEqual([]);
  });

  test('pending presigned uploads are found by an index of them alone', async () => {
    const { database } = await openLarge();
    const presigned = { state: 'pending', via: 'presigned', expires_at: 9, created_at: 4 };
    await database.query.updateTable('file').set(presigned).where('id', 'like', 'f1%').execute();
    const plans = await plansOf(database, async (watched) => {
      expect(await catalogOver(watched).lastPresigned({ datasetId: 'd', expiresAfter: 8 })).toBe(4);
    });
    expect(plans).toEqual([expect.stringContaining('file_presigned')]);
  });
});
