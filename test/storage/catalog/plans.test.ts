import { expect, test } from 'vitest';
import { Catalog } from '../../../src/storage/catalog/catalog.js';
import { datasetsBy } from '../../../src/storage/catalog/statements.js';
import type { Database } from '../../../src/storage/database/database.js';
import { onCatalogs } from '../../harness/backends.js';
import { planOf, plansOfReads, raw } from '../../harness/query-plans.js';

/* A read of a few rows must not look at those of a whole dataset or of all accounts. */

const CAPTIONS = 3000;

/** From some ids on, SQLite would read all datasets of the account, if it had the choice. */
const IDS = Array.from({ length: 200 }, (_, i) => `d${i}`);

const BY_ID = expect.stringMatching(/sqlite_autoindex_dataset_1 \(id=|dataset_key/);

onCatalogs((open) => {
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
    return database;
  };
  const catalogOver = (database: Database) => new Catalog(database, { blobGrace: 1 });

  test('files are found by an index: by their names, by their kind, and page by page', async () => {
    const database = await openLarge();
    const plansOf = (read: (catalog: Catalog) => Promise<readonly { filename: string }[]>) =>
      plansOfReads(database, 'file', async (watched) => {
        expect((await read(catalogOver(watched))).length).toBeGreaterThan(0);
      });
    const byName = await plansOf((catalog) =>
      catalog.storedFiles({ datasetId: 'd', filenames: ['1.txt', '2.txt', '6.txt'] }),
    );
    expect(byName).toEqual([expect.stringMatching(/file_finalized.*filename\)? ?=/)]);
    const byKind = await plansOf((catalog) =>
      catalog.storedFilesAfter({ datasetId: 'd', after: '', kind: 'video', limit: 1 }),
    );
    expect(byKind).toEqual([expect.stringContaining('file_kind')]);
    const page = await plansOf((catalog) => catalog.storedFilesAfter({ datasetId: 'd', after: '2', limit: 6 }));
    expect(page).toEqual([expect.stringContaining('file_finalized')]);
    expect(`${byKind} ${page}`).not.toMatch(/sort|b-tree/i);
  });

  test('datasets are found by their names, and those of an account by their ids, none of another account', async () => {
    const { catalog, accounts, accountId, database } = await open();
    expect(await planOf(database, datasetsBy(database.query, { name: 'a' }).compile())).toMatch(/dataset_name\b/);
    const { token } = await accounts.createToken('stranger', 1);
    const strangerId = (await accounts.grantOf(token))!.accountId;
    const owners = { d1: accountId, d2: accountId, other: accountId, d3: strangerId };
    for (const [id, owner] of Object.entries(owners)) {
      await catalog.createDataset({ id, accountId: owner, name: id, createdAt: 1 });
    }
    const plans = await plansOfReads(database, 'dataset', async (watched) => {
      for (const filter of [{}, { limit: 500 }]) {
        const found = await catalogOver(watched).datasets({ accountId, ids: IDS, ...filter });
        expect(found.map(({ id }) => id)).toEqual(['d2', 'd1']);
      }
    });
    expect(plans).toEqual([BY_ID, BY_ID]);
  });
});
