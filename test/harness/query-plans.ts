import { CompiledQuery, type RootOperationNode } from 'kysely';
import type { Database } from '../../src/storage/database/database.js';
import type { Schema } from '../../src/storage/database/schema.js';

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

/** How the database finds the rows of a table for some reads: the plans of the statements that they send. */
export async function plansOfReads(
  database: Database,
  table: keyof Schema,
  read: (watched: Database) => Promise<unknown>,
): Promise<string[]> {
  const sent: CompiledQuery[] = [];
  const transformQuery = ({ node, queryId }: { node: RootOperationNode; queryId: { queryId: string } }) => {
    const compiled = database.query.getExecutor().compileQuery(node, queryId);
    // The parameters of a prepared statement have values only when it is sent.
    if (compiled.parameters.every((value) => value === null || typeof value !== 'object')) sent.push(compiled);
    return node;
  };
  const query = database.query.withPlugin({ transformQuery, transformResult: async ({ result }) => result });
  const watched: Database = {
    ...database,
    query,
    read: (statements) => {
      sent.push(...statements.map((each) => each.compile()));
      return database.read(statements);
    },
  };
  await read(watched);
  const plans: string[] = [];
  const isOfTable = new RegExp(`(from|join) "?${table}\\b`);
  // A statement may be compiled several times.
  const statements = new Map(sent.map((each) => [each.sql, each]));
  for (const [text, each] of statements) if (isOfTable.test(text)) plans.push(await planOf(database, each));
  return plans;
}
