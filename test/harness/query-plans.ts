import { CompiledQuery } from 'kysely';
import type { Database } from '../../src/storage/database/database.js';

/** A statement of this text. */
export const raw = (text: string, parameters: readonly unknown[] = []) => ({
  compile: () => CompiledQuery.raw(text, [...parameters]),
});

/** How the database would find the rows of a statement, as JSON. */
export async function planOf(
  { hasRowLocks, transact }: Database,
  { sql, parameters }: Pick<CompiledQuery, 'sql' | 'parameters'>,
): Promise<string> {
  const explain = raw(`explain ${hasRowLocks ? '' : 'query plan'} ${sql}`, parameters);
  // With few rows, a sequential scan could be the best plan of Postgres.
  const settings = raw(hasRowLocks ? 'set local enable_seqscan = off' : 'select 1');
  const [, plan] = await transact({ isDurable: false }, ({ send }) => send([settings, explain]));
  return JSON.stringify(plan);
}
