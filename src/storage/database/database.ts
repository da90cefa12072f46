import { type Compilable, type CompiledQuery, type Dialect, DummyDriver, Kysely } from 'kysely';
import { type ErrorCode, ServiceError } from '../../dataset/errors.js';
import { type DatabaseFault, databaseFaultOf, sqlStateOf } from '../backend-unusable.js';
import type { Schema } from './schema.js';

/** Builds statements. A statement that is executed directly is its own transaction. */
export type Query = Kysely<Schema>;

export interface Database {
  readonly query: Query;
  /** Whether several write transactions may be open at once. SQLite leaves the lock clauses out. */
  readonly hasRowLocks: boolean;

  /**
   * Runs work as one transaction, which is rolled back unless the work calls `commit`. The work runs again after a conflict.
   *
   * @param options.isDurable false if a power cut may undo the commit, with all later commits that are not durable
   * @param options.hasDeadline false if it may take as long as it needs
   * @param options.isSnapshot true if all its statements see one moment
   */
  transact<T>(
    options: { isDurable: boolean; hasDeadline?: boolean; isSnapshot?: boolean },
    work: (transaction: Transaction) => Promise<T>,
  ): Promise<T>;

  /** Runs read-only statements on one snapshot, in one round trip. @returns the rows of each statement */
  read<const S extends readonly Compilable<unknown>[]>(statements: S): Promise<RowsOf<S>>;

  close(): Promise<void>;
}

/** Sends groups of statements, pipelined: none waits for the answer to another. */
export interface Transaction {
  /** @returns the rows of each statement */
  send<const S extends readonly Compilable<unknown>[]>(statements: S): Promise<RowsOf<S>>;
  /** Sends the last group and the commit. */
  commit<const S extends readonly Compilable<unknown>[]>(statements: S): Promise<RowsOf<S>>;
}

export type RowsOf<S extends readonly Compilable<unknown>[]> = {
  -readonly [I in keyof S]: S[I] extends Compilable<infer Row> ? Row[] : never;
};

export function isUniqueViolation(error: unknown): boolean {
  return error instanceof Error && (/UNIQUE constraint failed/.test(error.message) || sqlStateOf(error) === '23505');
}

/** The column that must not be null and rejects the statement, such as `file.stem`. */
export function nullColumnOf(error: unknown): string | undefined {
  if (!(error instanceof Error)) return undefined;
  // https://www.postgresql.org/docs/current/errcodes-appendix.html: not_null_violation
  if (sqlStateOf(error) === '23502' && 'table' in error && 'column' in error) return `${error.table}.${error.column}`;
  return /NOT NULL constraint failed: (\w+\.\w+)/.exec(error.message)?.[1];
}

/** Makes a `Query` whose statements are run by `execute`. */
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
 * Replaces NUL, which Postgres text can't hold (https://www.postgresql.org/docs/current/datatype-character.html) and at which the
 * SQLite driver cuts. No stored name has a control character, so a search still finds nothing.
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

/** The answer for an error of the database; `undefined` for a bug of ours. */
export function databaseError(error: unknown): ServiceError | undefined {
  const fault = databaseFaultOf(error);
  return fault && new ServiceError(...ANSWERS[fault], { cause: error });
}

export function catalogUnavailable(cause: unknown): ServiceError {
  return new ServiceError(...ANSWERS.unavailable, { cause });
}

/** Each execution supplies a value under this name. */
class Parameter {
  readonly name: PropertyKey;

  constructor(name: PropertyKey) {
    this.name = name;
  }
}

/** Makes a parameter, typed as its value so that the query builder accepts it. */
export type ParameterOf<Values> = <Name extends keyof Values>(name: Name) => Values[Name];

/** Builds and compiles a statement once for each database, which takes longer than to run it in SQLite. */
export function preparedStatement<Values extends object, Row>(
  build: (query: Query, parameter: ParameterOf<Values>) => Compilable<Row>,
): (query: Query, values: Values) => Compilable<Row> {
  const compiledFor = new WeakMap<Query, CompiledQuery<Row>>();
  return (query, values) => {
    const compiled = compiledFor.get(query) ?? build(query, (name) => new Parameter(name) as never).compile();
    compiledFor.set(query, compiled);
    const parameters = compiled.parameters.map((value) =>
      value instanceof Parameter ? values[value.name as keyof Values] : value,
    );
    return { compile: () => ({ ...compiled, parameters }) };
  };
}
