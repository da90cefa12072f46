import { setTimeout as wait } from 'node:timers/promises';
import { type Compilable, Kysely, PostgresDialect, type PostgresPoolClient, sql } from 'kysely';
import pg from 'pg';
import { ServiceError } from '../../dataset/errors.js';
import { BackendUnusable } from '../backend-unusable.js';
import {
  catalogUnavailable,
  type Database,
  databaseError,
  migrateSchema,
  type RowsOf,
  sqlStateOf,
  type Transaction,
} from './database.js';
import type { Schema } from './schema.js';

const OLDEST_VERSION = 15;
const DEFAULT_POOL_SIZE = 10;
/** For a connection, be it a new one or one of the pool that somebody else has to give back first. */
const CONNECT_MS = 10_000;
/** The server gives up on a statement after this; the client, which must not give up first, on a server that is silent. */
const STATEMENT_MS = 15_000;
const SILENCE_MS = 20_000;
/** What an instance that stalls in the middle of a transaction may hold up others. */
const IDLE_IN_TRANSACTION_MS = 20_000;
/** The `application_name` of a serving process and of a command beside it, as the database lists it. */
const INSTANCE = 'trainyard';
const KEEPALIVE_MS = 10_000;
const GOODBYE_MS = 3000;

/** A transaction that the database broke off in favour of another is begun again so often. */
const MAX_ATTEMPTS = 5;

/** The settings of every connection to the database behind a URL, its password included. */
export function clientConfigOf(url: string): pg.ClientConfig {
  const connectionUrl = new URL(url);
  connectionUrl.searchParams.delete('pool_size');
  return {
    connectionString: connectionUrl.href,
    application_name: INSTANCE,
    connectionTimeoutMillis: CONNECT_MS,
    keepAlive: true,
    keepAliveInitialDelayMillis: KEEPALIVE_MS,
    types: { getTypeParser: parserOf },
  };
}

/** Our integers are counts, sizes and microseconds, all of them exact as JavaScript's numbers. */
function parserOf(oid: number, format?: 'text' | 'binary') {
  return oid === pg.types.builtins.INT8 ? Number : pg.types.getTypeParser(oid, format as 'text');
}

/**
 * A Postgres database through a pool of connections. Statements are written without waiting for the answers to those
 * before them (`pipeline`), so that a transaction costs as many round trips as it has groups of statements. A connection
 * that breaks is replaced when the next one is needed.
 *
 * @param url `postgres://user:password@host:port/database`, with `sslmode` and whatever else
 * https://node-postgres.com/features/connecting knows, and `pool_size`
 * @throws BackendUnusable where it doesn't answer, doesn't let us in or is too old
 */
export async function openPostgres(url: string): Promise<Database> {
  const connection = clientConfigOf(url);
  await prepare(connection).catch((error) => {
    const fault = error instanceof ServiceError ? error : databaseError(error);
    throw new BackendUnusable(`The database ${databaseNameOf(url)} can't be used: ${reasonOf(error)}`, {
      cause: error,
      isTemporary: fault?.code === 'unavailable',
    });
  });
  const pool = poolOf({
    ...connection,
    pipeline: true,
    max: Number(new URL(url).searchParams.get('pool_size') ?? DEFAULT_POOL_SIZE),
    query_timeout: SILENCE_MS,
    statement_timeout: STATEMENT_MS,
    idle_in_transaction_session_timeout: IDLE_IN_TRANSACTION_MS,
  });
  const query = queryOver(pool);
  return {
    query,
    hasRowLocks: true,
    transact: async (options, work) => {
      for (let attempt = 1; ; attempt++) {
        try {
          return await transact(pool, options.isDurable ? 'begin' : 'begin; set local synchronous_commit = off', work);
        } catch (error) {
          if (attempt === MAX_ATTEMPTS || !isBrokenOff(error)) throw error;
        }
      }
    },
    // By default each statement would see what was committed before it alone.
    read: (statements) =>
      transact(pool, 'begin isolation level repeatable read read only', ({ commit }) => commit(statements)),
    // Saying goodbye to a server that is silent would take for ever.
    close: () => Promise.race([query.destroy(), wait(GOODBYE_MS, undefined, { ref: false })]),
  };
}

/** Checks the version and brings the tables up to date, which may take longer than a request may. */
async function prepare(connection: pg.ClientConfig): Promise<void> {
  const pool = poolOf({ ...connection, max: 1 });
  const query = queryOver(pool);
  try {
    const version = await versionOf(pool);
    if (version < OLDEST_VERSION) {
      throw new Error(`it is PostgreSQL ${version}, and trainyard needs ${OLDEST_VERSION} or later.`);
    }
    await migrateSchema(query);
  } finally {
    await query.destroy();
  }
}

/** The major version of the server, which has to answer in time. */
async function versionOf(pool: pg.Pool): Promise<number> {
  const client = await checkOut(pool);
  let isBroken = true;
  try {
    const { rows } = await send(client, { text: 'show server_version_num', query_timeout: SILENCE_MS });
    isBroken = false;
    return Math.floor(Number(rows[0].server_version_num) / 10_000);
  } finally {
    client.release(isBroken);
  }
}

/** The URL of a database as it may be shown: without its password and its parameters. */
export function databaseNameOf(url: string): string {
  const { protocol, username, host, pathname } = new URL(url);
  return `${protocol}//${username === '' ? '' : `${username}@`}${host}${pathname}`;
}

/** The URL with which a transfer connects, so that `isServed` does not take it for a serving process. */
export function transferUrlOf(url: string): string {
  const transferUrl = new URL(url);
  transferUrl.searchParams.set('application_name', 'trainyard-transfer');
  return transferUrl.href;
}

/** True while a serving process is connected to the database; a connection pooler may hide one. */
export async function isServed({ query }: Database): Promise<boolean> {
  const { rows } = await sql<unknown>`
    select 1 from pg_stat_activity
    where datname = current_database() and application_name = ${INSTANCE} and pid <> pg_backend_pid() limit 1
  `.execute(query);
  return rows.length > 0;
}

/** The innermost cause has the words of Postgres or of the operating system. */
function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  if (error.cause !== undefined) return reasonOf(error.cause);
  return error.message || String((error as NodeJS.ErrnoException).code);
}

function poolOf(config: pg.PoolConfig): pg.Pool {
  const pool = new pg.Pool(config);
  // A connection that breaks fails what is being asked through it and leaves the pool; there is nothing else to do about
  // it, and an event of this name that nobody hears would end the process.
  pool.on('error', () => {});
  pool.on('connect', (client) => client.on('error', () => {}));
  return pool;
}

function queryOver(pool: pg.Pool): Kysely<Schema> {
  const connect = async () => {
    const client = await checkOut(pool);
    return {
      query: (text: string, values: readonly unknown[]) => send(client, { text, values: values.map(storable) }),
      release: (isBroken: boolean) => client.release(isBroken),
    } as unknown as PostgresPoolClient;
  };
  return new Kysely<Schema>({ dialect: new PostgresDialect({ pool: { connect, end: () => pool.end() } }) });
}

async function checkOut(pool: pg.Pool): Promise<pg.PoolClient> {
  return pool.connect().catch(unanswered);
}

function send(client: pg.PoolClient, statement: pg.QueryConfig & { query_timeout?: number }): Promise<pg.QueryResult> {
  return client.query(statement).catch(unanswered);
}

/**
 * Text in Postgres has no NUL (https://www.postgresql.org/docs/current/datatype-character.html). None of our names has a
 * control character, so what is looked for with another one is found as little.
 */
function storable(value: unknown): unknown {
  return typeof value === 'string' && value.includes('\0') ? value.replaceAll('\0', '\u0001') : value;
}

/** What Postgres itself refuses goes on as it is; without an answer of its own, it can't be reached. */
function unanswered(error: unknown): never {
  throw sqlStateOf(error) === undefined ? catalogUnavailable(error) : error;
}

/** A deadlock, or a serialisation failure (https://www.postgresql.org/docs/current/mvcc-serialization-failure-handling.html). */
function isBrokenOff(error: unknown): boolean {
  return ['40001', '40P01'].includes(sqlStateOf(error) ?? '');
}

async function transact<T>(pool: pg.Pool, begin: string, work: (transaction: Transaction) => Promise<T>): Promise<T> {
  const client = await checkOut(pool);
  let state: 'unbegun' | 'open' | 'committed' = 'unbegun';
  const pipeline = async <const S extends readonly Compilable<unknown>[]>(statements: S, end: 'commit' | undefined) => {
    const queries: pg.QueryConfig[] = statements.map((statement) => {
      const { sql, parameters } = statement.compile();
      return { text: sql, values: parameters.map(storable) };
    });
    const first = state === 'unbegun' ? 1 : 0;
    if (first === 1) queries.unshift({ text: begin });
    if (end !== undefined) queries.push({ text: end });
    state = 'open';
    const answers = await all(queries.map((query) => send(client, query)));
    // What failed unseen makes of a commit a rollback.
    if (end !== undefined && answers.at(-1)?.command !== 'COMMIT')
      throw new Error('The transaction was not committed.');
    if (end !== undefined) state = 'committed';
    return answers.slice(first, first + statements.length).map((answer) => answer.rows) as RowsOf<S>;
  };
  let isBroken = false;
  try {
    return await work({
      send: (statements) => pipeline(statements, undefined),
      commit: (statements) => pipeline(statements, 'commit'),
    });
  } finally {
    if ((state as string) === 'open') {
      await send(client, { text: 'rollback' }).catch(() => {
        isBroken = true;
      });
    }
    client.release(isBroken);
  }
}

/** As `Promise.all`, but waits for all of them; the first that failed is the cause of the others' failing. */
async function all<T>(promises: readonly Promise<T>[]): Promise<T[]> {
  const settled = await Promise.allSettled(promises);
  return settled.map((outcome) => {
    if (outcome.status === 'rejected') throw outcome.reason;
    return outcome.value;
  });
}
