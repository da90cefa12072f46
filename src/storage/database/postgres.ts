import { setTimeout as wait } from 'node:timers/promises';
import { PostgresQueryCompiler, sql } from 'kysely';
import pg from 'pg';
import { microsClock, monotonicTime } from '../../clock.js';
import type { Micros } from '../../dataset/dataset.js';
import { ServiceError } from '../../dataset/errors.js';
import { BackendUnusable, databaseFaultOf, sqlStateOf } from '../backend-unusable.js';
import {
  catalogUnavailable,
  compiled,
  type Database,
  databaseError,
  type RowsOf,
  type Statement,
  type Transaction,
} from './database.js';
import { migrateSchema } from './migrate.js';

const MIN_VERSION = 14;
const DEFAULT_POOL_SIZE = 10;
/** The wait for a new connection or one of the pool. */
const CONNECT_TIMEOUT_MS = 7_000;
const STATEMENT_TIMEOUT_MS = 12_000;
/** The limits of a read and of a transaction, with the wait for a connection. A poll is two reads. */
const DEADLINES = { readMs: 7_000, transactionMs: 25_000 };
/** Limits how long an instance that stalls in a transaction blocks others. */
const IDLE_TRANSACTION_TIMEOUT_MS = 20_000;
/** The `application_name` of a serving process and of a command beside it. */
const INSTANCE = 'trainyard';
const KEEPALIVE_MS = 10_000;
const CLOSE_TIMEOUT_MS = 3000;
/** The advisory lock for migrations. */
const MIGRATION_LOCK = 7_287_246_925;
const MAX_TIMER_MS = 2 ** 31 - 1;

/** Ends all timeouts of a transaction. `transaction_timeout` is new in Postgres 17. */
const WITHOUT_TIMEOUTS = `select set_config(name, '0', true) from pg_settings where name in
  ('statement_timeout', 'lock_timeout', 'idle_in_transaction_session_timeout', 'transaction_timeout')`;

/** Attempts of a transaction with deadlocks or serialization failures. */
const MAX_ATTEMPTS = 5;

/** The settings of every connection, password included. */
export function clientConfigOf(url: string): pg.ClientConfig {
  const connectionUrl = new URL(url);
  connectionUrl.searchParams.delete('pool_size');
  return {
    connectionString: connectionUrl.href,
    application_name: INSTANCE,
    connectionTimeoutMillis: CONNECT_TIMEOUT_MS,
    keepAlive: true,
    keepAliveInitialDelayMillis: KEEPALIVE_MS,
    types: { getTypeParser: parserOf },
  };
}

/** Parses bigints as numbers: our counts, sizes and microseconds stay below 2^53. */
function parserOf(oid: number, format?: 'text' | 'binary') {
  return oid === pg.types.builtins.INT8 ? Number : pg.types.getTypeParser(oid, format as 'text');
}

/**
 * Opens a Postgres database with a pool of connections and pipelined statements. A broken connection is replaced, and so is one
 * to a read-only server: after a failover, a new one may lead to the primary.
 *
 * @param url with the parameters of https://node-postgres.com/features/connecting, and `pool_size`
 * @throws BackendUnusable if it does not answer, rejects the credentials or is too old
 */
export async function openPostgres(url: string, { readMs, transactionMs } = DEADLINES): Promise<Database> {
  const settings = {
    statement_timeout: STATEMENT_TIMEOUT_MS,
    idle_in_transaction_session_timeout: IDLE_TRANSACTION_TIMEOUT_MS,
  };
  const pool = poolOf({
    ...clientConfigOf(url),
    ...settings,
    pipeline: true,
    max: Number(new URL(url).searchParams.get('pool_size') ?? DEFAULT_POOL_SIZE),
  });
  const database = databaseOver(pool, { readMs, transactionMs });
  try {
    await requireVersion(database);
    await migrateSchema(database, {
      // `to_regclass` may not see a table that another process has created since the transaction began.
      tableNamed: (name) => sql`select 1 from pg_class where relname = ${name} and pg_table_is_visible(oid)`,
      begin: [sql`select pg_advisory_xact_lock(${MIGRATION_LOCK})`],
    });
    return database;
  } catch (error) {
    await database.close();
    const serviceError = error instanceof ServiceError ? error : databaseError(error);
    const reason = reasonOf(error);
    // PgBouncer rejects settings that it does not know (https://www.pgbouncer.org/config.html).
    const isRefusal = /unsupported startup parameter/.test(reason);
    const advice = isRefusal
      ? `. For PgBouncer, set ignore_startup_parameters = ${Object.keys(settings).join(', ')}; see docs/scaling.md.`
      : '';
    throw new BackendUnusable(`The database ${databaseNameOf(url)} can't be used: ${reason}${advice}`, {
      cause: error,
      isTemporary: serviceError?.code === 'unavailable' && !isRefusal && databaseFaultOf(error) !== 'rejected',
    });
  }
}

function databaseOver(pool: pg.Pool, { readMs, transactionMs }: typeof DEADLINES): Database {
  return {
    run: async (statement) => {
      const deadline = performance.now() + readMs;
      return (await withClient(pool, (client) => send(client, compiledQuery(statement), deadline))).rows;
    },
    hasRowLocks: true,
    transact: async ({ isDurable, hasDeadline = true, isSnapshot = false }, work) => {
      // A transaction reads again what it has locked; the role may have another default level.
      const settings = [
        ...(isDurable ? [] : ['set local synchronous_commit = off']),
        ...(hasDeadline ? [] : [WITHOUT_TIMEOUTS]),
      ];
      const level = isSnapshot ? 'repeatable read' : 'read committed';
      const begin = [`begin isolation level ${level}`, ...settings].join('; ');
      const deadlineMs = hasDeadline ? transactionMs : Number.POSITIVE_INFINITY;
      for (let attempt = 1; ; attempt++) {
        try {
          return await transact(pool, { begin, deadline: performance.now() + deadlineMs }, work);
        } catch (error) {
          if (attempt === MAX_ATTEMPTS || !isConflict(error)) throw error;
        }
      }
    },
    // At the default isolation level, each statement would read its own snapshot.
    read: (statements) => {
      const begin = 'begin isolation level repeatable read read only';
      return transact(pool, { begin, deadline: performance.now() + readMs }, ({ commit }) => commit(statements));
    },
    // A silent server would block the end of its connections forever.
    close: () => Promise.race([pool.end(), wait(CLOSE_TIMEOUT_MS, undefined, { ref: false })]),
  };
}

async function requireVersion({ run }: Database): Promise<void> {
  const [setting] = await run(sql<{ server_version_num: string }>`show server_version_num`);
  const version = Math.floor(Number(setting?.server_version_num) / 10_000);
  if (version < MIN_VERSION) {
    throw new Error(`it is PostgreSQL ${version}, and trainyard needs ${MIN_VERSION} or later.`);
  }
}

/** The URL without password and parameters, for messages. */
export function databaseNameOf(url: string): string {
  const { protocol, username, host, pathname } = new URL(url);
  return `${protocol}//${username === '' ? '' : `${username}@`}${host}${pathname}`;
}

/** The URL for a transfer, whose connections `isServed` does not count. */
export function transferUrlOf(url: string): string {
  const transferUrl = new URL(url);
  transferUrl.searchParams.set('application_name', 'trainyard-transfer');
  return transferUrl.href;
}

/** Whether a serving process is connected; a connection pooler may hide one. */
export async function isServed({ run }: Database): Promise<boolean> {
  const others = await run(sql`
    select 1 from pg_stat_activity
    where datname = current_database() and application_name = ${INSTANCE} and pid <> pg_backend_pid() limit 1`);
  return others.length > 0;
}

/** The message of the innermost cause: of Postgres or of the operating system. */
function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  if (error.cause !== undefined) return reasonOf(error.cause);
  return error.message || String((error as NodeJS.ErrnoException).code);
}

function poolOf(config: pg.PoolConfig): pg.Pool {
  const pool = new pg.Pool(config);
  // A broken connection rejects its queries. Without a listener its event would end the process.
  pool.on('error', () => {});
  pool.on('connect', (client) => client.on('error', () => {}));
  return pool;
}

/** A connection that is silent or read-only is not used again. */
async function withClient<T>(
  pool: pg.Pool,
  work: (client: pg.PoolClient, markBroken: () => void) => Promise<T>,
): Promise<T> {
  const client = await pool.connect().catch(throwUnavailable);
  let isBroken = false;
  const markBroken = () => {
    isBroken = true;
  };
  try {
    return await work(client, markBroken);
  } catch (error) {
    if (isConnectionUnusable(error)) markBroken();
    throw error;
  } finally {
    client.release(isBroken);
  }
}

function isConnectionUnusable(error: unknown): boolean {
  return (error instanceof ServiceError && error.code === 'unavailable') || databaseFaultOf(error) === 'read_only';
}

/** @param deadline as `performance.now()` counts */
function send(client: pg.PoolClient, statement: pg.QueryConfig, deadline: number): Promise<pg.QueryResult> {
  return client
    .query({ ...statement, query_timeout: millisecondsUntil(deadline) } as pg.QueryConfig)
    .catch(throwUnavailable);
}

function millisecondsUntil(deadline: number): number {
  return Math.min(Math.max(deadline - performance.now(), 1), MAX_TIMER_MS);
}

/** An error that Postgres did not report means that it can't be reached. */
function throwUnavailable(error: unknown): never {
  throw sqlStateOf(error) === undefined ? catalogUnavailable(error) : error;
}

/** https://www.postgresql.org/docs/current/mvcc-serialization-failure-handling.html */
function isConflict(error: unknown): boolean {
  return ['40001', '40P01'].includes(sqlStateOf(error) ?? '');
}

async function transact<T>(
  pool: pg.Pool,
  { begin, deadline }: { begin: string; deadline: number },
  work: (transaction: Transaction) => Promise<T>,
): Promise<T> {
  return withClient(pool, async (client, markBroken) => {
    let state: 'not begun' | 'open' | 'committed' = 'not begun';
    const pipeline = async <const S extends readonly Statement[]>(statements: S, end?: 'commit') => {
      const first = state === 'not begun' ? 1 : 0;
      state = 'open';
      const all = [
        ...(first === 1 ? [{ text: begin }] : []),
        ...statements.map(compiledQuery),
        ...(end === undefined ? [] : [{ text: end }]),
      ];
      const answers = await sendAll(client, all, deadline);
      // Postgres answers COMMIT with ROLLBACK if a statement before it failed.
      if (end !== undefined) {
        if (answers.at(-1)?.command !== 'COMMIT') throw new Error('The transaction was not committed.');
        state = 'committed';
      }
      return answers.slice(first, first + statements.length).map((answer) => answer.rows) as RowsOf<S>;
    };
    const rollback = async () => {
      // A failure must not replace the outcome: Postgres rolls back when the connection ends.
      if ((state as string) === 'open') await send(client, { text: 'rollback' }, deadline).catch(markBroken);
    };
    const result = await work({
      send: (statements) => pipeline(statements),
      commit: (statements) => pipeline(statements, 'commit'),
    }).catch(async (error) => {
      // A silent server would not answer the rollback, and rolls back when the connection ends.
      if (!isConnectionUnusable(error)) await rollback();
      throw error;
    });
    await rollback();
    return result;
  });
}

/** @throws the first error, once all statements are answered */
async function sendAll(
  client: pg.PoolClient,
  statements: readonly pg.QueryConfig[],
  deadline: number,
): Promise<pg.QueryResult[]> {
  const sent = statements.map((statement) => send(client, statement, deadline));
  // Not `Promise.all`: the first error makes the later statements fail too, and all must be answered.
  const settled = await Promise.allSettled(sent);
  return settled.map((outcome) => {
    if (outcome.status === 'rejected') throw outcome.reason;
    return outcome.value;
  });
}

const COMPILER = new PostgresQueryCompiler();

function compiledQuery(statement: Statement): pg.QueryConfig {
  const { sql: text, parameters } = compiled(statement, COMPILER);
  return { text, values: parameters };
}

const MEASURE_INTERVAL_MS = 30_000;
const MEASUREMENTS = 3;

/**
 * Estimates the time of the database: local time plus an offset. A measurement assumes that the database read its clock
 * halfway through the round trip.
 */
export async function openDatabaseClock({ run }: Database, local: () => Micros = monotonicTime) {
  let offset: Micros = 0;
  /** Takes the offset of the fastest round trip, which is the most exact. */
  const measure = async () => {
    let fastest = Number.POSITIVE_INFINITY;
    for (let i = 0; i < MEASUREMENTS; i++) {
      const sentAt = local();
      const [time] = await run(
        sql<{ micros: Micros }>`select (extract(epoch from clock_timestamp()) * 1000000)::bigint as micros`,
      );
      const receivedAt = local();
      if (receivedAt - sentAt >= fastest) continue;
      fastest = receivedAt - sentAt;
      offset = Math.round(time!.micros - (sentAt + receivedAt) / 2);
    }
  };
  await measure();
  // While the database does not answer, the last offset stays in use.
  const timer = setInterval(() => measure().catch(() => {}), MEASURE_INTERVAL_MS).unref();
  /** May be earlier than the estimate before. */
  const estimate = () => local() + offset;
  return { estimate, now: microsClock(estimate, local), close: () => clearInterval(timer) };
}
