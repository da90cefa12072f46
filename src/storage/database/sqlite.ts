import { once } from 'node:events';
import { Worker } from 'node:worker_threads';
import {
  type OperationNode,
  RawNode,
  type SelectModifierNode,
  SelectQueryNode,
  SqliteQueryCompiler,
  sql,
} from 'kysely';
import { ServiceError } from '../../dataset/errors.js';
import { programFile } from '../../version.js';
import { BackendUnusable, databaseFaultOf, readOnlyFolderIn } from '../backend-unusable.js';
import { catalogUnavailable, compiled, type Database, type RowsOf, type Statement } from './database.js';
import { migrateSchema } from './migrate.js';
import type { StatementResult, ThreadAnswer, ThreadOptions, ThreadRequest } from './sqlite-thread.js';

const PROGRAM = programFile('storage/database/sqlite-thread');

/**
 * Opens a SQLite file and migrates its tables. One thread writes, with group commit; another reads what is committed.
 * `@photostructure/sqlite` has the API of `node:sqlite`, which Node 20 lacks.
 *
 * @param options.isSingleFile without WAL, so that the database is one file, which no other process may have open
 * @throws BackendUnusable if it is damaged, can't be opened, or is newer
 */
export async function openSqlite(path: string, { isSingleFile = false } = {}): Promise<Database> {
  const writer = new SqliteThread({ path, role: 'writer', journalMode: isSingleFile ? 'delete' : 'wal' });
  let reader: SqliteThread | undefined;
  const transact = transactionsOf(writer);
  const read: Database['read'] = (statements) => {
    // Without WAL, reader and writer would wait for each other.
    if (isSingleFile) return transact({ isDurable: false }, ({ commit }) => commit(statements));
    reader ??= new SqliteThread({ path, role: 'reader', journalMode: 'wal' });
    return reader.request(statements, { id: reader.newId(), isDurable: false });
  };
  const database: Database = {
    run: async (statement) => {
      const [rows] = await (isRead(statement.toOperationNode())
        ? read([statement])
        : transact({ isDurable: true }, ({ commit }) => commit([statement])));
      return rows;
    },
    hasRowLocks: false,
    transact,
    read,
    // The last to close must be the writer, so that one file is left.
    close: () => Promise.resolve(reader?.close()).finally(() => writer.close()),
  };
  try {
    await writer.opened;
    // Its transactions are exclusive.
    await migrateSchema(database, {
      tableNamed: (name) => sql`select 1 from sqlite_master where name = ${name}`,
      begin: [],
    });
    return database;
  } catch (error) {
    await database.close().catch(() => {});
    throw unusable(path, error as Error);
  }
}

/** A statement that writes waits for the disk, and holds up others. */
function isRead(node: OperationNode): boolean {
  return SelectQueryNode.is(node) || (RawNode.is(node) && /^\s*select\b/.test(node.sqlFragments[0] ?? ''));
}

function unusable(path: string, error: Error): BackendUnusable {
  const { message } = error;
  const fault = databaseFaultOf(error);
  const reason =
    fault === 'damaged' ? `it is damaged (${message}). Restore a backup.` : (readOnlyFolderIn(error, path) ?? message);
  return new BackendUnusable(`The catalog ${path} can't be used: ${reason}`, {
    cause: error,
    isTemporary: fault === 'busy' || fault === 'full' || fault === 'io',
  });
}

/** A transaction begins with its first group, and ends with an error. */
function transactionsOf(writer: SqliteThread): Database['transact'] {
  return async ({ isDurable }, work) => {
    const id = writer.newId();
    let state: 'not begun' | 'open' | 'ended' = 'not begun';
    const request = async <const S extends readonly Statement[]>(
      statements: S,
      end?: 'commit' | 'rollback',
    ): Promise<RowsOf<S>> => {
      if (state === 'ended') throw new Error('The transaction has ended.');
      state = end === undefined ? 'open' : 'ended';
      return writer.request(statements, { id, isDurable, end }).catch((error) => {
        state = 'ended';
        throw error;
      });
    };
    /** @throws if a commit that the transaction may have read failed */
    const rollback = async () => {
      if (state === 'open') await request([], 'rollback');
    };
    const result = await work({
      send: (statements) => request(statements),
      commit: (statements) => request(statements, 'commit'),
    }).catch(async (error) => {
      await rollback().catch(() => {});
      throw error;
    });
    await rollback();
    return result;
  };
}

/** A thread with an open SQLite file. The process stays alive while a request is in flight. If the thread ends, requests fail. */
class SqliteThread {
  /** Rejects if the file can't be opened. */
  readonly opened: Promise<unknown>;
  readonly #worker: Worker;
  readonly #inFlight = new Map<number, { resolve: (rows: unknown[][]) => void; reject: (error: unknown) => void }>();
  /** Sent in one message for each iteration of the event loop, since each message wakes the thread. */
  #outbox: ThreadRequest[] = [];
  #lastId = 0;
  #closing: Promise<unknown> | undefined;
  #ended: unknown;

  constructor(options: ThreadOptions) {
    this.#worker = new Worker(PROGRAM, { workerData: options, execArgv: [] });
    this.#worker.on('message', (answers: readonly ThreadAnswer[]) => {
      for (const answer of answers) this.#settle(answer);
    });
    this.#worker.on('error', (error) => this.#fail(error));
    this.#worker.on('exit', (code) => this.#fail(new Error(`The thread of the catalog ended with ${code}.`)));
    // When it has opened the file, the thread answers the request 0.
    this.opened = new Promise<unknown>((resolve, reject) => this.#inFlight.set(0, { resolve, reject }));
    this.opened.catch(() => {});
  }

  /** For a transaction or a read, which has one request in flight at a time. */
  newId(): number {
    return ++this.#lastId;
  }

  async request<const S extends readonly Statement[]>(
    statements: S,
    request: Omit<ThreadRequest, 'statements'>,
  ): Promise<RowsOf<S>> {
    if (this.#ended !== undefined) throw catalogUnavailable(this.#ended);
    const sent = statements.map((statement) => {
      const { sql, parameters } = compiled(statement, COMPILER);
      return [sql, parameters] as const;
    });
    this.#send({ ...request, statements: sent });
    const rows = new Promise<unknown[][]>((resolve, reject) => {
      if (this.#inFlight.size === 0) this.#worker.ref();
      this.#inFlight.set(request.id, { resolve, reject });
    });
    return (await rows) as RowsOf<S>;
  }

  #send(request: ThreadRequest): void {
    if (this.#outbox.push(request) > 1) return;
    setImmediate(() => {
      this.#worker.postMessage(this.#outbox);
      this.#outbox = [];
    });
  }

  /** Closes the file after all requests in flight. */
  async close(): Promise<void> {
    if (this.#ended === undefined) {
      this.#closing ??= Promise.all([
        once(this.#worker, 'exit'),
        this.request([], { id: this.newId(), isDurable: false, end: 'close' }),
      ]);
    }
    await this.#closing;
  }

  #settle(answer: ThreadAnswer): void {
    const request = this.#inFlight.get(answer.id);
    this.#inFlight.delete(answer.id);
    if (this.#inFlight.size === 0 && this.#closing === undefined) this.#worker.unref();
    if ('results' in answer) {
      request?.resolve(answer.results.map(rowsOf));
      return;
    }
    const { message, ...codes } = answer.error;
    const isMoved = codes.code === 'NOT_IN_PLACE';
    request?.reject(isMoved ? new ServiceError('unavailable', message) : Object.assign(new Error(message), codes));
  }

  #fail(cause: unknown): void {
    this.#ended ??= cause;
    for (const { reject } of this.#inFlight.values()) reject(catalogUnavailable(this.#ended));
    this.#inFlight.clear();
  }
}

/** SQLite has one writer at a time, and no row locks. */
class CompilerWithoutLocks extends SqliteQueryCompiler {
  protected override visitSelectModifier(node: SelectModifierNode): void {
    if (node.modifier === 'Distinct') super.visitSelectModifier(node);
  }
}

const COMPILER = new CompilerWithoutLocks();

function rowsOf(json: StatementResult): unknown[] {
  const text = typeof json === 'string' ? json : Buffer.from(json.buffer, json.byteOffset, json.length).toString();
  return JSON.parse(text);
}
