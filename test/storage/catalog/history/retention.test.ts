import fc from 'fast-check';
import { expect, test } from 'vitest';
import { Retention } from '../../../../src/storage/catalog/history/retention.js';
import { catalogs, onEach } from '../../../harness/backends.js';

const LATEST = 6;

onEach(catalogs, (open) => {
  test('exactly the past files stay that a kept revision has', async () => {
    const { accountId, catalog, database } = await open();
    const { query } = database;
    const numbers = Array.from({ length: LATEST }, (_, i) => i + 1);
    const span = fc.tuple(fc.integer({ min: 1, max: LATEST - 1 }), fc.integer({ min: 2, max: LATEST }));
    const spans = fc.array(
      span.filter(([addedIn, removedIn]) => addedIn < removedIn),
      { maxLength: 12 },
    );
    let datasets = 0;
    await fc.assert(
      fc.asyncProperty(spans, fc.subarray(numbers.slice(0, -1)), async (past, pinned) => {
        const id = `d${++datasets}`;
        await catalog.createDataset({ id, accountId, name: id, createdAt: 1 });
        await query.updateTable('dataset').set({ revision: LATEST }).where('id', '=', id).execute();
        const revisions = numbers.map((number) => ({
          ...{ dataset_id: id, number, started_at: number, changed_at: number, how: 'edit', change_id: null },
          ...{ token_id: null, token_name: null, added: 0, removed: 0, changed: 1, files: 1, bytes: 1 },
          ...{ restored_from: null, digest: null, ready_as: null, pinned_by: null, pin_note: null },
          pinned_at: pinned.includes(number) ? 1 : null,
        }));
        await query.insertInto('revision').values(revisions).execute();
        const rows = past.map(([added_in, removed_in], i) => ({
          ...{ id: `${id}-of-${i}`, dataset_id: id, filename: 'a.txt', kind: 'caption', created_at: 1 },
          ...{ finalized_at: 1, size_bytes: 1, sha256: 'ab', content_type: 'text/plain', facts: '{}', warnings: '[]' },
          ...{ blob_version: null, problem: null, added_in, removed_in },
        }));
        if (rows.length > 0) await query.insertInto('past_file').values(rows).execute();
        await new Retention(database, { lifetime: 0, blobGrace: 0, maxBytes: 1e12 }).run(LATEST);
        const kept = [...pinned, LATEST];
        const needed = rows.filter((row) => kept.some((n) => row.added_in <= n && n < row.removed_in));
        const left = await query.selectFrom('past_file').select('id').where('dataset_id', '=', id).execute();
        const names = (all: readonly { id: string }[]) => all.map((row) => row.id).sort();
        expect(names(left)).toEqual(names(needed));
      }),
      { numRuns: 30 },
    );
  });
});
