import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { Retention } from '../../../../src/storage/catalog/history/retention.js';
import type { Database } from '../../../../src/storage/database/database.js';
import { catalogs, onEach } from '../../../harness/backends.js';
import { Gate, pausedBeforeCommit, untilLockWait } from '../../../harness/paused-database.js';

/* Several instances delete old revisions at once, and a new rule concerns many datasets. */

const BLOB_BYTES = 100;
const NOW = 1_000_000;

const KEEP_ALL = { rules: { count: 100, lifetime: 1e15 }, blobGrace: 0 };

onEach(catalogs, (open) => {
  const openAccount = async () => {
    const opened = await open();
    const { accountId, catalog, database } = opened;
    const { query } = database;
    const account = query.selectFrom('account').select('history_bytes').where('id', '=', accountId);
    const historyBytes = async () => (await account.executeTakeFirstOrThrow()).history_bytes;
    /** A dataset whose revisions each replace one file. */
    const add = async (id: string, { since, revisions }: { since: number; revisions: number }) => {
      await catalog.createDataset({ id, accountId, name: id, createdAt: 1 });
      const numbers = Array.from({ length: revisions }, (_, i) => i + 1);
      const none = {
        token_id: null,
        token_name: null,
        change_id: null,
        restored_from: null,
        digest: null,
        ready: null,
      };
      const counts = { added: 0, removed: 0, changed: 1, files: 1, bytes: BLOB_BYTES };
      const noPin = { pinned_at: null, pinned_by: null, pin_note: null };
      const rows = numbers.map((number) => ({
        ...{ dataset_id: id, number, started_at: since + number, changed_at: since + number, how: 'edit' },
        ...{ ...counts, ...none, ...noPin },
      }));
      await query.insertInto('revision').values(rows).execute();
      const past = numbers.slice(1).map((number) => ({
        ...{
          id: `${id}-${number}`,
          dataset_id: id,
          filename: 'a.txt',
          kind: 'caption',
          created_at: 1,
          finalized_at: 1,
        },
        ...{ size_bytes: BLOB_BYTES, sha256: 'ab', content_type: 'text/plain', facts: '{}', warnings: '[]' },
        ...{ blob_version: null, problem: null, added_in: number - 1, removed_in: number },
      }));
      if (past.length > 0) await query.insertInto('past_file').values(past).execute();
      await query.updateTable('dataset').set({ revision: revisions }).where('id', '=', id).execute();
      const total = (await historyBytes()) + past.length * BLOB_BYTES;
      await query.updateTable('account').set({ history_bytes: total }).where('id', '=', accountId).execute();
    };
    const numbersOf = (id: string) => catalog.revisions.numbers(id, 100).then((numbers) => numbers.reverse());
    return { ...opened, add, historyBytes, numbersOf };
  };

  describe('an account whose history has too many bytes', () => {
    test('loses no revision while another instance frees the bytes of one', async () => {
      const { add, database, openAnother, historyBytes, numbersOf } = await openAccount();
      await add('d', { since: 0, revisions: 5 });
      await new Retention(database, { ...KEEP_ALL, maxBytes: 4 * BLOB_BYTES }).run(NOW);
      await add('due', { since: 100, revisions: 1 });
      await database.query.updateTable('dataset').set({ history_due: 0 }).where('id', '=', 'due').execute();
      const options = { ...KEEP_ALL, maxBytes: 3 * BLOB_BYTES };
      const [deleted, resume] = [new Gate(), new Gate()];
      const pausing: Database = {
        ...database,
        transact: async (durability, work) => {
          const result = await database.transact(durability, work);
          if ((await numbersOf('d')).length < 5) {
            deleted.open();
            await resume.opened;
          }
          return result;
        },
      };
      const another = (await openAnother()).database;
      let first: Promise<void> | undefined;
      // It has read which datasets are due before the first instance deletes a revision.
      const second: Database = {
        ...another,
        transact: async (durability, work) => {
          first ??= new Retention(pausing, options).run(NOW);
          await deleted.opened;
          return another.transact(durability, work);
        },
      };
      await new Retention(second, options).run(NOW);
      resume.open();
      await first;
      expect(await numbersOf('d')).toEqual([2, 3, 4, 5]);
      expect(await historyBytes()).toBe(3 * BLOB_BYTES);
    });

    test('loses no revision if its bytes are freed before one is deleted', async () => {
      const { accountId, add, catalog, database, numbersOf } = await openAccount();
      await add('d', { since: 0, revisions: 5 });
      await add('newer', { since: 100, revisions: 3 });
      const freeing: Database = {
        ...database,
        read: async (...args) => {
          const rows = await database.read(...args);
          await catalog.deleteDataset({ accountId, id: 'newer' }, NOW);
          return rows;
        },
      };
      await new Retention(freeing, { ...KEEP_ALL, maxBytes: 4 * BLOB_BYTES }).run(NOW);
      expect(await numbersOf('d')).toEqual([1, 2, 3, 4, 5]);
    });
  });

  test('the oldest revisions of an account are looked for some at a time, and deleted one by one', async () => {
    const { add, database, historyBytes, numbersOf } = await openAccount();
    await add('d', { since: 0, revisions: 30 });
    await add('newer', { since: 20, revisions: 30 });
    let searches = 0;
    const counting: Database = {
      ...database,
      read: async (statements) => {
        const compiled = statements.map((statement) => statement.compile());
        searches += compiled.filter(
          ({ sql, parameters }) => /order by "changed_at"/.test(sql) && parameters.at(-1) !== 0,
        ).length;
        return database.read(statements);
      },
    };
    await new Retention(counting, { ...KEEP_ALL, maxBytes: 28 * BLOB_BYTES }).run(NOW);
    expect(await historyBytes()).toBe(28 * BLOB_BYTES);
    const left = [await numbersOf('d'), await numbersOf('newer')];
    expect(left.map((numbers) => numbers[0])).toEqual([26, 6]);
    expect(searches).toBe(1);
  });

  test('new rules make some datasets due at a time, and are saved when all are', async () => {
    const { accountId, catalog, database } = await open();
    const { query } = database;
    await catalog.createDataset({ id: 'd0', accountId, name: 'd0', createdAt: 1 });
    await query.updateTable('dataset').set({ revision: 1 }).execute();
    const template = await query.selectFrom('dataset').selectAll().executeTakeFirstOrThrow();
    const copies = Array.from({ length: 249 }, (_, i) => ({ ...template, id: `d${i + 1}`, name: `d${i + 1}` }));
    await query.insertInto('dataset').values(copies).execute();
    const due = query.selectFrom('dataset').select('id').where('history_due', '=', 0);
    const rules = query.selectFrom('setting').select('value').where('name', '=', 'history-rules');
    /** The number of datasets that are due, and of saved rules, after each of the first transactions of a run. */
    const countedAfter = async (transactions: number) => {
      const stopping = new AbortController();
      const counts: [due: number, rules: number][] = [];
      const watched: Database = {
        ...database,
        transact: async (options, work) => {
          const result = await database.transact(options, work);
          counts.push([(await due.execute()).length, (await rules.execute()).length]);
          if (counts.length === transactions) stopping.abort();
          return result;
        },
      };
      await new Retention(watched, { ...KEEP_ALL, maxBytes: 1e12 }).run(NOW, stopping.signal);
      return counts;
    };
    expect(await countedAfter(2)).toEqual([
      [100, 0],
      [200, 0],
    ]);
    expect(await countedAfter(4)).toEqual([
      [200, 0],
      [200, 0],
      [250, 0],
      [250, 1],
    ]);
  });

  test('exactly the past files stay that a revision has, those from before the history too', async () => {
    const { add, database } = await openAccount();
    const { query } = database;
    const latest = 6;
    const span = fc.tuple(fc.integer({ min: 0, max: latest - 1 }), fc.integer({ min: 1, max: latest }));
    const spans = fc.array(
      span.filter(([addedIn, removedIn]) => addedIn < removedIn),
      { maxLength: 12 },
    );
    let datasets = 0;
    await fc.assert(
      fc.asyncProperty(spans, fc.subarray([1, 2, 3, 4, 5]), async (past, pinned) => {
        const id = `d${++datasets}`;
        await add(id, { since: 0, revisions: latest });
        const revisions = query.updateTable('revision').where('dataset_id', '=', id);
        if (pinned.length > 0) await revisions.set({ pinned_at: 1 }).where('number', 'in', pinned).execute();
        const files = query.selectFrom('past_file').selectAll().where('dataset_id', '=', id);
        const template = (await files.execute())[0]!;
        await query.deleteFrom('past_file').where('dataset_id', '=', id).execute();
        const rows = past.map(([added_in, removed_in], i) => ({
          ...template,
          ...{ id: `${id}-of-${i}`, added_in, removed_in },
        }));
        if (rows.length > 0) await query.insertInto('past_file').values(rows).execute();
        await query.updateTable('dataset').set({ history_due: 0 }).where('id', '=', id).execute();
        await new Retention(database, { rules: { count: 0, lifetime: 0 }, blobGrace: 0, maxBytes: 1e12 }).run(NOW);
        const kept = [...pinned, latest];
        const needed = rows.filter((row) => kept.some((n) => row.added_in <= n && n < row.removed_in));
        const names = (all: readonly { id: string }[]) => all.map((row) => row.id).sort();
        expect(names(await files.execute())).toEqual(names(needed));
      }),
      { numRuns: 30 },
    );
  });

  test('a dataset that was deleted, and whose files are still removed, is not due', async () => {
    const { accountId, add, catalog, database } = await openAccount();
    await add('d', { since: 0, revisions: 2 });
    await catalog.deleteDataset({ accountId, id: 'd' }, NOW);
    await new Retention(database, { ...KEEP_ALL, maxBytes: 1e12 }).run(NOW);
    await catalog.trashDeleted();
    expect(await catalog.expiredTrash(Number.MAX_SAFE_INTEGER)).toEqual(['d/d-2']);
  });

  if (open !== catalogs[1]?.open) return;

  test('two instances that choose different revisions delete one of them', async () => {
    const { add, catalog, database, openAnother, numbersOf } = await openAccount();
    await add('oldest', { since: 0, revisions: 2 });
    await catalog.revisions.setPin('oldest', 1, { at: 1, by: 'laptop', note: null });
    await add('newer', { since: 100, revisions: 3 });
    const options = { ...KEEP_ALL, maxBytes: 2 * BLOB_BYTES };
    const another = pausedBeforeCommit((await openAnother()).database, /delete from "revision"/);
    let second: Promise<void> | undefined;
    const first: Database = {
      ...database,
      read: async (...args) => {
        const rows = await database.read(...args);
        if (second === undefined) {
          await catalog.revisions.setPin('oldest', 1, null);
          second = new Retention(another.database, options).run(NOW);
          await another.reached;
        }
        return rows;
      },
    };
    const running = new Retention(first, options).run(NOW);
    await another.reached;
    await untilLockWait(database, running);
    another.resume();
    await Promise.all([running, second]);
    expect([await numbersOf('oldest'), await numbersOf('newer')]).toEqual([[2], [1, 2, 3]]);
  });
});
