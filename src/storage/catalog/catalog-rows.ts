import { type Compilable, sql } from 'kysely';
import { type Database, type Query, type Transaction, WITHOUT_TIMEOUTS } from '../database/database.js';
import { statementOf } from './statements.js';

/** Runs one statement, alone or within a transaction. */
export type RunStatement = <Row>(statement: Compilable<Row>) => Promise<Row[]>;

/** Runs each statement as its own transaction. */
export function runOn(query: Query): RunStatement {
  return async (statement) => (await query.executeQuery(statement.compile())).rows;
}

/** Runs work in one transaction that reads one snapshot, without timeouts. Without a `commit` it is rolled back. */
export function inSnapshot<T>(
  { hasRowLocks, query, transact }: Database,
  work: (run: RunStatement, transaction: Transaction) => Promise<T>,
): Promise<T> {
  // SQLite needs no settings. On Postgres the transaction must not time out while the other database works.
  const settings = hasRowLocks
    ? [statementOf(query, sql`set transaction isolation level repeatable read`), statementOf(query, WITHOUT_TIMEOUTS)]
    : [];
  return transact({ isDurable: true, hasDeadline: false }, async (transaction) => {
    await transaction.send(settings);
    return work(async (statement) => (await transaction.send([statement]))[0], transaction);
  });
}
