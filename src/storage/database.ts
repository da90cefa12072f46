import { type Dialect, Kysely, Migrator, sql } from 'kysely';
import { ServiceError } from '../dataset/errors.js';
import { MIGRATIONS, type Schema } from './schema.js';

export type Database = Kysely<Schema>;

/** Opens the database behind a dialect and brings its tables up to date. */
export async function openDatabase(dialect: Dialect): Promise<Database> {
  const db = new Kysely<Schema>({ dialect });
  const migrator = new Migrator({ db, provider: { getMigrations: async () => MIGRATIONS } });
  const { error } = await migrator.migrateToLatest();
  if (error !== undefined) {
    await db.destroy();
    throw error;
  }
  return db;
}

/**
 * Runs work on one connection. Without durability a power cut may take its commits back, all together and in order, and
 * never half of one; the next durable commit makes them durable too (https://sqlite.org/pragma.html#pragma_synchronous).
 */
export async function inDurability<T>(
  connection: Database,
  isDurable: boolean,
  work: (db: Database) => Promise<T>,
): Promise<T> {
  if (isDurable) return work(connection);
  await sql`pragma synchronous = normal`.execute(connection);
  try {
    return await work(connection);
  } finally {
    await sql`pragma synchronous = full`.execute(connection);
  }
}

/** True for a unique constraint's refusal, in the words of SQLite and of Postgres. */
export function isUniqueViolation(error: unknown): boolean {
  return error instanceof Error && (/UNIQUE constraint failed/.test(error.message) || hasSqlState(error, '23505'));
}

function hasSqlState(error: Error, state: string): boolean {
  return 'code' in error && error.code === state;
}

const SQLITE_BUSY = 5;
const SQLITE_IOERR = 10;
const SQLITE_FULL = 13;

/** What a database's own error means to somebody who asked for something; `undefined` where it means a fault of ours. */
export function databaseFault(error: unknown): ServiceError | undefined {
  if (!(error instanceof Error) || !('errcode' in error)) return undefined;
  switch (Number(error.errcode) & 0xff) {
    case SQLITE_FULL:
      return new ServiceError('no_space', 'The server has no space left. Free some and try again.', { cause: error });
    case SQLITE_BUSY:
    case SQLITE_IOERR:
      return new ServiceError('unavailable', 'The catalog does not answer right now. Try again.', { cause: error });
    default:
      return undefined;
  }
}
