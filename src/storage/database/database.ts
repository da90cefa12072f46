import { type Compilable, type CompiledQuery, type Dialect, DummyDriver, Kysely, sql } from 'kysely';
import { type ErrorCode, ServiceError } from '../../dataset/errors.js';
import { type DatabaseFault, databaseFaultOf, sqlStateOf } from '../backend-unusable.js';
import type { Schema } from './schema.js';

/** Builds statements. Executed directly, each statement is its own transaction. */
export type Query = Kysely<Schema>;

/** A database with the tables of `Schema`: SQLite or Postgres. */
export interface Database {
  readonly query: Query;
  /** True if several write transactions may be open at once. Statements lock rows in any case; SQLite leaves the clause out. */
  readonly hasRowLocks: boolean;

  /**
   * Runs work as one transaction, which is rolled back unless the work calls `commit`. The work runs again if the database
   * aborts the transaction because of a conflict.
   *
   * @param options.isDurable false if the commit need not wait for the disk: a power cut may undo it, together with all
   * later commits that are not durable either
   * @param options.hasDeadline false if it may take as long as it needs
   */
  transact<T>(
    options: { isDurable: boolean; hasDeadline?: boolean },
    work: (transaction: Transaction) => Promise<T>,
  ): Promise<T>;

  /**
   * Runs read-only statements on one snapshot of the database, in one round trip.
   *
   * @returns the rows of each statement
   */
  read<const S extends readonly Compilable<unknown>[]>(statements: S): Promise<RowsOf<S>>;

  close(): Promise<void>;
}

/** Sends statements in groups. The statements of a group are pipelined: none waits for the answer to another. */
export interface Transaction {
  /** @returns the rows of each statement */
  send<const S extends readonly Compilable<unknown>[]>(statements: S): Promise<RowsOf<S>>;
  /** Sends the last group, followed by the commit. */
  commit<const S extends readonly Compilable<unknown>[]>(statements: S): Promise<RowsOf<S>>;
}

export type RowsOf<S extends readonly Compilable<unknown>[]> = {
  -readonly [I in keyof S]: S[I] extends Compilable<infer Row> ? Row[] : never;
};

/** Ends the timeouts of a Postgres transaction, also those of its role. `transaction_timeout` is new in Postgres 17. */
export const WITHOUT_TIMEOUTS = sql<unknown>`select set_config(name, '0', true) from pg_settings where name in
  ('statement_timeout', 'lock_timeout', 'idle_in_transaction_session_timeout', 'transaction_timeout')`;

/** True if a unique constraint of SQLite or Postgres rejected the statement. */
export function isUniqueViolation(error: unknown): boolean {
  return error instanceof Error && (/UNIQUE constraint failed/.test(error.message) || sqlStateOf(error) === '23505');
}

/** The table and column that reject the statement because they must not be null, such as `file.stem`; `undefined` of other errors. */
export function nullColumnOf(error: unknown): string | undefined {
  if (!(error instanceof Error)) return undefined;
  // https://www.postgresql.org/docs/current/errcodes-appendix.html: not_null_violation
  if (sqlStateOf(error) === '23502' && 'table' in error && 'column' in error) return `${error.table}.${error.column}`;
  return /NOT NULL constraint failed: (\w+\.\w+)/.exec(error.message)?.[1];
}

/** Makes a `Query` whose statements, when they are executed directly, are run by `execute`, which returns their rows. */
export function queryOver(
  dialect: Pick<Dialect, 'createAdapter' | 'createQueryCompiler'>,
  execute: (statement: CompiledQuery<unknown>) => Promise<unknown[]>,
): Query {
  const unsupported = () => {
    throw new Error('The catalog does not use this.');
  };
  const connection = {
    executeQuery: async <Row>(statement: CompiledQuery) => ({ rows: (await execute(statement)) as Row[] }),
    streamQuery: unsupported,
  };
  const driver = Object.assign(new DummyDriver(), { acquireConnection: async () => connection });
  return new Kysely<Schema>({ dialect: { ...dialect, createDriver: () => driver, createIntrospector: unsupported } });
}

/**
 * Replaces NUL, which text in Postgres can't hold (https://www.postgresql.org/docs/current/datatype-character.html), and at
 * which the SQLite driver cuts a text off. No stored name has a control character, so a search with another control character
 * finds nothing either.
 */
export function withoutNul(value: unknown): unknown {
  return typeof value === 'string' && value.includes('\0') ? value.replaceAll('\0', '\u0001') : value;
}

const UNREADABLE = "The disk of the server's catalog can't be read or written. Its log has the reason.";
const NO_ANSWER = 'The catalog does not answer right now. Try again.';

const ANSWERS: Record<DatabaseFault, readonly [code: ErrorCode, message: string]> = {
  full: ['no_space', 'The server has no space left. Free some and try again.'],
  no_access: ['unavailable', UNREADABLE],
  io: ['unavailable', UNREADABLE],
  damaged: ['unavailable', "The server's catalog is damaged. Its log has the reason. Restore a backup."],
  read_only: [
    'unavailable',
    'The database is read-only now: nothing can be changed until it is the primary server again.',
  ],
  rejected: ['unavailable', 'The database rejects the server. Its log has the reason.'],
  busy: ['unavailable', NO_ANSWER],
  unavailable: ['unavailable', NO_ANSWER],
};

/** The answer to a client for an error of the database; `undefined` if the error is a bug of ours. */
export function databaseError(error: unknown): ServiceError | undefined {
  const fault = databaseFaultOf(error);
  return fault && new ServiceError(...ANSWERS[fault], { cause: error });
}

export function catalogUnavailable(cause: unknown): ServiceError {
  return new ServiceError(...ANSWERS.unavailable, { cause });
}
