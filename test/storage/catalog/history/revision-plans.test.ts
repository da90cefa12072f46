import type { CompiledQuery } from 'kysely';
import { expect, test } from 'vitest';
import { Retention } from '../../../../src/storage/catalog/history/retention.js';
import { DownloadFiles } from '../../../../src/storage/catalog/history/download-files.js';
import { Revisions } from '../../../../src/storage/catalog/history/revisions.js';
import type { Database, Transaction } from '../../../../src/storage/database/database.js';
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
  /** Adds revisions without changes, of which all are pinned but the latest. */
  const addRevisions = async (database: Database, numbers: readonly number[]) => {
    const latest = Math.max(...numbers);
    const rows = numbers.map((number) => ({
      ...{ dataset_id: 'd', number, started_at: 1, changed_at: 1, how: 'edit', token_id: null, token_name: null },
      ...{ added: 0, removed: 0, changed: 0, files: 0, bytes: 0, change_id: null, restored_from: null, digest: null },
      ...{ ready: null, pinned_at: number === latest ? null : 1, pinned_by: null, pin_note: null },
    }));
    await database.query.insertInto('revision').values(rows).execute();
    await database.query.updateTable('dataset').set({ revision: latest, history_due: 0 }).execute();
  };
  const KEEP_ALL = { rules: { count: 1e6, lifetime: 1e15 }, maxBytes: 1e15, blobGrace: 0 };
  /** How the database finds the past files for a read. */
  const plansOf = async (
    database: Database,
    read: (revisions: Revisions, downloadFiles: DownloadFiles) => Promise<unknown>,
  ) => {
    const statements: CompiledQuery[] = [];
    const watched: Database = {
      ...database,
      read: (sent) => {
        statements.push(...sent.map((each) => each.compile()));
        return database.read(sent);
      },
    };
    await read(new Revisions(watched), new DownloadFiles(watched));
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
    for (const plans of [
      await plansOf(database, (revisions) => revisions.files(wanted)),
      await plansOf(database, (_, downloadFiles) => downloadFiles.namedInRevision(wanted)),
    ]) {
      expect(plans).toEqual([expect.stringContaining('past_file_name')]);
    }
  });

  test('the files of a revision, and of the difference of two, are found in the index alone', async () => {
    const database = await openLong();
    const index = database.hasRowLocks
      ? /past_file_removed.*Index Cond: [^"]*removed_in > [^"]*added_in <= /
      : /COVERING INDEX past_file_removed/;
    for (const range of [
      { from: 2, to: 2 },
      { from: 2, to: 3, isDifference: true },
    ]) {
      const plans = await plansOf(database, (revisions) => revisions.range('d', range));
      expect(plans).toEqual([expect.stringMatching(index)]);
    }
    const plans = await plansOf(database, (_, downloadFiles) =>
      downloadFiles.ofRevision({ datasetId: 'd', number: 2 }),
    );
    expect(plans).toEqual([expect.stringMatching(index)]);
  });

  test('past files that no revision has are found without a look at those of pinned revisions', async () => {
    const database = await openLong();
    await addRevisions(
      database,
      [...Array(REVISIONS + 1).keys()].map((i) => i + 1).filter((number) => number !== 7),
    );
    const sent: CompiledQuery[] = [];
    const watched: Database = {
      ...database,
      transact: (options, work) =>
        database.transact(options, (transaction) => {
          const send: Transaction['send'] = (statements) => {
            sent.push(...statements.map((each) => each.compile()));
            return transaction.send(statements);
          };
          return work({ ...transaction, send });
        }),
    };
    const retention = new Retention(watched, KEEP_ALL);
    await retention.run(10);
    const left = await database.query.selectFrom('past_file').select('added_in').execute();
    expect([left.length, left.filter((file) => file.added_in === 7)]).toEqual([FILES * (REVISIONS - 1), []]);
    const unneeded = sent.find(({ sql }) => sql.includes('"past_file"'))!;
    const index = database.hasRowLocks
      ? /Index Cond: [^"]*removed_in = removal[^"]*added_in > /
      : /past_file_removed \(dataset_id=\? AND removed_in=\? AND added_in>\?\)/;
    expect(await planOf(database, unneeded)).toMatch(index);
  });

  test('past files that a pinned revision has are kept', async () => {
    const { catalog, accountId, database } = await open();
    await catalog.createDataset({ id: 'd', accountId, name: 'd', createdAt: 1 });
    const numbers = [1, 2, 3, 4, 5, 6, 7, 8];
    const spans = numbers.flatMap((to) => numbers.filter((from) => from < to).map((from) => [from, to] as const));
    const past = spans.map(([added_in, removed_in]) => ({
      ...{ id: `${added_in}-${removed_in}`, dataset_id: 'd', filename: 'a.txt', kind: 'caption', created_at: 1 },
      ...{ finalized_at: 1, size_bytes: 1, sha256: 'ab', content_type: 'text/plain', facts: '{}', warnings: '[]' },
      ...{ blob_version: null, problem: null, added_in, removed_in },
    }));
    await database.query.insertInto('past_file').values(past).execute();
    await addRevisions(database, [2, 5, 8]);
    await new Retention(database, KEEP_ALL).run(10);
    const left = await database.query.selectFrom('past_file').select('id').execute();
    const needed = spans.filter(([from, to]) => [2, 5].some((pinned) => from <= pinned && pinned < to));
    expect(left.map(({ id }) => id).toSorted()).toEqual(needed.map((span) => span.join('-')).toSorted());
  });
});
