import type { CompiledQuery } from 'kysely';
import { expect, test } from 'vitest';
import { Revisions } from '../../../../src/storage/catalog/history/revisions.js';
import type { Database } from '../../../../src/storage/database/database.js';
import { catalogs, onEach } from '../../../harness/backends.js';
import { planOf, raw } from '../../../harness/query-plans.js';

/* With hundreds of revisions of thousands of files, a read of one of them must not look at the rows of all past files. */

const FILES = 50;
const REVISIONS = 100;

onEach(catalogs, (open) => {
  /** A dataset of which each revision has replaced all files. */
  const openLong = async () => {
    const { catalog, accountId, database } = await open();
    await catalog.createDataset({ id: 'd', accountId, name: 'd', createdAt: 1 });
    const fill = `
      with recursive file(f) as (select 1 union all select f + 1 from file where f < ${FILES}),
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
  const plansOf = async (database: Database, read: (revisions: Revisions) => Promise<unknown>) => {
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
    const plans = await plansOf(database, (revisions) => revisions.files(wanted));
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
      const plans = await plansOf(database, (revisions) => revisions.versions({ datasetId: 'd', ...range }));
      expect(plans).toEqual([expect.stringMatching(index)]);
    }
  });
});
