import { type Compilable, type Kysely, Migrator } from 'kysely';
import { ServiceError } from '../../dataset/errors.js';
import { MIGRATIONS, type Schema } from './schema.js';

/** Builds statements and, used by itself, runs single ones, each a transaction of its own. */
export type Query = Kysely<Schema>;

/** A database with our tables, whichever it is. */
export interface Database {
  readonly query: Query;
  /**
   * Several writers may have a transaction open at once, so that whoever reads in order to write must lock the row first.
   * Without it there is one writer at a time.
   */
  readonly hasRowLocks: boolean;

  /**
   * Runs work as one transaction; without a call of its `commit` nothing has changed. The work may be run again, where the
   * database broke a transaction off in favour of another.
   *
   * @param options.isDurable false where a power cut may take the commit back, together with all that came after it: what
   * only a crash could lose needs not wait for the disk
   */
  transact<T>(options: { isDurable: boolean }, work: (transaction: Transaction) => Promise<T>): Promise<T>;

  /**
   * Runs statements that change nothing, all of them on one and the same state of the database, in one round trip.
   *
   * @returns the rows that each statement gave
   */
  read<const S extends readonly Compilable<unknown>[]>(statements: S): Promise<RowsOf<S>>;

  close(): Promise<void>;
}

/** Statements of a transaction go out in groups, none of a group waiting for the answer to the one before it. */
export interface Transaction {
  /** @returns the rows that each statement gave */
  send<const S extends readonly Compilable<unknown>[]>(statements: S): Promise<RowsOf<S>>;
  /** The last group, and the commit right behind it. */
  commit<const S extends readonly Compilable<unknown>[]>(statements: S): Promise<RowsOf<S>>;
}

export type RowsOf<S extends readonly Compilable<unknown>[]> = {
  -readonly [I in keyof S]: S[I] extends Compilable<infer Row> ? Row[] : never;
};

/** Brings the tables up to date; of several processes that do so at once, one does it and the others wait. */
export async function migrateSchema(query: Query): Promise<void> {
  const migrator = new Migrator({ db: query, provider: { getMigrations: async () => MIGRATIONS } });
  const { error } = await migrator.migrateToLatest();
  if (error !== undefined) throw error;
}

/** True for a unique constraint's refusal, in the words of SQLite and of Postgres. */
export function isUniqueViolation(error: unknown): boolean {
  return error instanceof Error && (/UNIQUE constraint failed/.test(error.message) || sqlStateOf(error) === '23505');
}

/** The five characters by which Postgres names what went wrong; `undefined` for errors that are not its own. */
export function sqlStateOf(error: unknown): string | undefined {
  if (!(error instanceof Error) || !('severity' in error) || !('code' in error)) return undefined;
  return String(error.code);
}

const SQLITE_BUSY = 5;
const SQLITE_IOERR = 10;
const SQLITE_FULL = 13;

/**
 * What Postgres says where nothing is wrong with what it was asked, but it can't do it now
 * (https://www.postgresql.org/docs/current/errcodes-appendix.html): connections (08), too few of something (53), an
 * operator at work (57), trouble with files (58), a lock or an idle transaction over its time, a transaction broken off in
 * favour of another, and, behind a failover, a server that takes no writes.
 */
const POSTGRES_UNAVAILABLE = /^(08|53|57|58|55P03|25P03|25006|40001|40P01)/;
const POSTGRES_DISK_FULL = '53100';

/** What a database's own error means to somebody who asked for something; `undefined` where it means a fault of ours. */
export function databaseError(error: unknown): ServiceError | undefined {
  if (!(error instanceof Error)) return undefined;
  const sqlite = 'errcode' in error ? Number(error.errcode) & 0xff : undefined;
  const postgres = sqlStateOf(error) ?? '';
  if (sqlite === SQLITE_FULL || postgres === POSTGRES_DISK_FULL) {
    return new ServiceError('no_space', 'The server has no space left. Free some and try again.', { cause: error });
  }
  if (sqlite === SQLITE_BUSY || sqlite === SQLITE_IOERR || POSTGRES_UNAVAILABLE.test(postgres)) {
    return catalogUnavailable(error);
  }
  return undefined;
}

export function catalogUnavailable(cause: unknown): ServiceError {
  return new ServiceError('unavailable', 'The catalog does not answer right now. Try again.', { cause });
}
