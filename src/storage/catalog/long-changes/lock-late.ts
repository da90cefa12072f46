import { isDeepStrictEqual } from 'node:util';
import { ONE_PIECE } from '../../../pieces.js';
import type { Database, Query } from '../../database/database.js';

const CHANGED = Symbol('changed');

/** Retention changes the row of a dataset too, some time after a change of its files. */
const MAX_LATE_ATTEMPTS = 2;

/**
 * The database of a change of one dataset that reads and computes for long. SQLite has one write lock for all datasets: the
 * change takes it when it has computed what to write, and keeps it only while that is written. If the dataset has changed
 * since it was read, the change runs again, with the lock from its beginning.
 */
export function lockingLate(db: Database, datasetId: string): Database {
  const state = stateOf(db.query, datasetId);
  const transact: Database['transact'] = async (options, work) => {
    for (let attempt = 1; attempt <= MAX_LATE_ATTEMPTS; attempt++) {
      const before = await db.read(state);
      try {
        return await work({
          send: (statements) => db.read(statements, ONE_PIECE),
          commit: (statements) => {
            // Before the lock: those of fifty thousand files take half a second.
            const compiled = statements.map((statement) => statement.compile());
            return db.transact(options, async ({ send, commit }) => {
              if (!isDeepStrictEqual(await send(state), before)) throw CHANGED;
              return commit(compiled.map((each) => ({ compile: () => each })) as unknown as typeof statements);
            });
          },
        });
      } catch (error) {
        if (error !== CHANGED) throw error;
      }
    }
    return db.transact(options, work);
  };
  return { ...db, transact };
}

/**
 * Selects rows that differ once a file of the dataset, or of a dataset across its links, has changed, or a revision or
 * a past file of the dataset was deleted. The version of a dataset grows with each change of its files.
 */
function stateOf(query: Query, id: string) {
  const linked = query.selectFrom('link').select('linked_id').where('dataset_id', '=', id);
  const linking = query.selectFrom('link').select('dataset_id').where('linked_id', '=', id);
  const revisions = query.selectFrom('revision').where('dataset_id', '=', id);
  const past = query.selectFrom('past_file').where('dataset_id', '=', id);
  return [
    query
      .selectFrom('dataset')
      .selectAll()
      .where((eb) => eb.or([eb('id', '=', id), eb('id', 'in', linked), eb('id', 'in', linking)]))
      .orderBy('id'),
    revisions.select(({ fn }) => fn.countAll<number>().as('count')),
    past.select(({ fn }) => fn.countAll<number>().as('count')),
  ] as const;
}
