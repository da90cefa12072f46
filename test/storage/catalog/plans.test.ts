import type { CompiledQuery } from 'kysely';
import { expect, test } from 'vitest';
import { Catalog } from '../../../src/storage/catalog/catalog.js';
import { Revisions } from '../../../src/storage/catalog/history/revisions.js';
import { datasetsBy } from '../../../src/storage/catalog/statements.js';
import type { Database } from '../../../src/storage/database/database.js';
import { onCatalogs } from '../../harness/backends.js';
import { planOf, plansOfReads, raw } from '../../harness/query-plans.js';

/* A read of a few rows must not look at those of a whole dataset, of all revisions or of all accounts. */

const CAPTIONS = 3000;
const PAST_FILES = 50;
const REVISIONS = 100;

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

  test('a page of files is found by the index of names, without sorting', async () => {
    const { database } = await openLarge();
    const plans = await plansOf(database, (watched) =>
      catalogOver(watched).storedFilesAfter({ datasetId: 'd', after: '2', limit: 6 }),
    );
    expect(plans).toEqual([expect.stringContaining('file_finalized')]);
    expect(plans[0]).not.toMatch(/sort|b-tree/i);
  });

  test('uploads that are not stored are found by an index of their own', async () => {
    const { database, accountId } = await openLarge();
    const plans = await plansOf(database, (watched) => catalogOver(watched).contents({ accountId, id: 'd' }));
    expect(plans.filter((plan) => plan.includes('file_not_stored'))).toHaveLength(1);
    // The order of ids is that of no status.
    expect(plans.filter((plan) => plan.includes('file_stored'))).toEqual([]);
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

  /** A dataset of which each revision has replaced all files. */
  const openLong = async () => {
    const { catalog, accountId, database } = await open();
    await catalog.createDataset({ id: 'd', accountId, name: 'd', createdAt: 1 });
    const fill = `
      with recursive file(f) as (select 1 union all select f + 1 from file where f < ${PAST_FILES}),
        number(n) as (select 1 union all select n + 1 from number where n < ${REVISIONS})
      insert into past_file (id, dataset_id, filename, kind, created_at, finalized_at, size_bytes, sha256, content_type, facts, warnings,
        added_in, removed_in)
      select 'f' || f || '-' || n, 'd', f || '.txt', 'caption', 1, 1, 1, 'x', 'text/plain', '{}', '[]', n, n + 1 from file, number`;
    await database.query.executeQuery(raw(fill).compile());
    // Postgres keeps statistics by itself, some time after a change. Those of SQLite are not kept.
    if (database.hasRowLocks) await database.query.executeQuery(raw('analyze past_file').compile());
    return database;
  };
  /** How the database finds the past files for a read. */
  const plansOfPast = async (database: Database, read: (revisions: Revisions) => Promise<unknown>) => {
    const statements: CompiledQuery[] = [];
    const watched: Database = {
      ...database,
      read: (sent) => {
        statements.push(...sent.map((each) => each.compile()));
        return database.read(sent);
      },
    };
    await read(new Revisions(watched));
    const plans: string[] = [];
    for (const { sql, parameters } of statements.filter((each) => each.sql.includes('"past_file"'))) {
      // Without other columns, SQLite says whether the index has all columns of the conditions.
      const ofConditions = sql.replace(/^select .* from "past_file"/, 'select 1 from "past_file"');
      plans.push(await planOf(database, { sql: ofConditions, parameters }));
    }
    return plans;
  };

  test('files by name are found by their names', async () => {
    const database = await openLong();
    const wanted = { datasetId: 'd', number: REVISIONS / 2, filenames: ['1.txt', '2.txt', '3.txt'] };
    const plans = await plansOfPast(database, (revisions) => revisions.files(wanted));
    expect(plans).toEqual([expect.stringContaining('past_file_name')]);
  });

  test('the files of a revision, and of the difference of two, are found in the index alone', async () => {
    const database = await openLong();
    const index = database.hasRowLocks
      ? /past_file_removed.*Index Cond: [^"]*removed_in > [^"]*added_in <= /
      : /COVERING INDEX past_file_removed/;
    for (const range of [
      { from: 2, to: 2 },
      { from: 2, to: 3 },
    ]) {
      const plans = await plansOfPast(database, (revisions) => revisions.versions({ datasetId: 'd', ...range }));
      expect(plans).toEqual([expect.stringMatching(index)]);
    }
  });
});
