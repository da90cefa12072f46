import { statSync } from 'node:fs';
import { DatabaseSync, type DatabaseSyncInstance } from '@photostructure/sqlite';
import { withoutNul } from './prepared-statement.js';
import { NOT_IN_PLACE, type SentStatement, type StatementResult, type ThreadOptions } from './sqlite-messages.js';

/** Longer JSON is moved to the main thread as bytes: as a text, it would be copied several times, of up to twice the size. */
const MAX_TEXT_BYTES = 64 * 1024;

/** The catalog has a few dozen statements, and bulk inserts of different lengths add more. */
const MAX_PREPARED_STATEMENTS = 200;

/** How long a statement waits for a lock that another process holds. */
const MAX_BUSY_MS = 10_000;

/** A SQLite file, open in a thread that may wait for locks and for the disk. */
export class SqliteFile {
  readonly #db: DatabaseSyncInstance;
  readonly #path: string;
  readonly #inode: number;
  readonly #isReader: boolean;
  /** By their text, the oldest first. */
  readonly #prepared = new Map<string, PreparedStatement>();
  #isFsynced = true;

  /**
   * WAL lets the command line read and write while a server runs, and a reader read while the writer writes. With
   * `synchronous=FULL`, a commit is durable when it returns.
   */
  constructor({ path, role, journalMode }: ThreadOptions) {
    this.#isReader = role === 'reader';
    this.#db = new DatabaseSync(path, { readOnly: this.#isReader });
    this.#db.exec(`pragma busy_timeout = ${MAX_BUSY_MS}`);
    if (!this.#isReader) {
      this.#db.exec(`pragma journal_mode = ${journalMode}`);
      this.#db.exec('pragma synchronous = full');
      this.#db.exec('pragma foreign_keys = on');
      // The pages that a savepoint may have to restore would be written to a temporary file.
      this.#db.exec('pragma temp_store = memory');
    }
    this.#path = path;
    this.#inode = statSync(path).ino;
  }

  run(statements: readonly SentStatement[]): StatementResult[] {
    return statements.map(([sql, parameters]) => {
      const { columns, run } = this.#prepare(sql);
      const rows = run(parameters.map(withoutNul) as never[]);
      return columns.length === 0 ? undefined : { columns, rows };
    });
  }

  /** Runs statements on one snapshot. */
  read(statements: readonly SentStatement[]): StatementResult[] {
    if (statements.length === 1) return this.run(statements);
    this.#db.exec('begin');
    try {
      return this.run(statements);
    } finally {
      this.#db.exec('rollback');
    }
  }

  #prepare(sql: string): PreparedStatement {
    const found = this.#prepared.get(sql);
    if (found !== undefined) return found;
    const prepared = prepareStatement(this.#db, sql);
    const [oldest = ''] = this.#prepared.keys();
    if (this.#prepared.size === MAX_PREPARED_STATEMENTS) this.#prepared.delete(oldest);
    this.#prepared.set(sql, prepared);
    return prepared;
  }

  /** False when SQLite has rolled back, which it does by itself after some errors (https://sqlite.org/lang_transaction.html). */
  get isInTransaction(): boolean {
    return this.#db.isTransaction;
  }

  /**
   * Begins with the write lock: a transaction that takes it after a read fails if another process has written in between.
   *
   * @param isDurable false if the commit need not wait for the disk: a power cut may undo it, until the next durable commit
   * (https://sqlite.org/pragma.html#pragma_synchronous)
   */
  begin(isDurable: boolean): void {
    if (isDurable !== this.#isFsynced) {
      // A prepared statement would take effect only once, when it is compiled.
      this.#db.exec(`pragma synchronous = ${isDurable ? 'full' : 'normal'}`);
      this.#isFsynced = isDurable;
    }
    this.#db.exec('begin immediate');
  }

  /** @throws Error with the code `NOT_IN_PLACE` */
  commit(): void {
    // SQLite continues to write to a file whose folder was deleted or replaced.
    if (statSync(this.#path, { throwIfNoEntry: false })?.ino !== this.#inode) {
      const message = `The catalog is no longer at ${this.#path}. Restore it and restart the server.`;
      throw Object.assign(new Error(message), { code: NOT_IN_PLACE });
    }
    this.#db.exec('commit');
  }

  rollback(): void {
    if (this.#db.isTransaction) this.#db.exec('rollback');
  }

  savepoint(): void {
    this.#db.exec('savepoint one_transaction');
  }

  releaseSavepoint(): void {
    this.#db.exec('release one_transaction');
  }

  rollbackToSavepoint(): void {
    this.#db.exec('rollback to one_transaction; release one_transaction');
  }

  close(): void {
    this.#prepared.clear();
    if (!this.#isReader) {
      // Moves the write-ahead log into the database, so that a copy of this one file is complete, unless another process reads it.
      this.#db.exec('pragma busy_timeout = 0');
      this.#db.exec('pragma wal_checkpoint(truncate)');
    }
    this.#db.close();
  }
}

interface PreparedStatement {
  readonly columns: readonly string[];
  /** @returns the rows as arrays, as JSON */
  readonly run: (parameters: never[]) => string | Uint8Array<ArrayBuffer>;
}

function prepareStatement(db: DatabaseSyncInstance, sql: string): PreparedStatement {
  // Finds out that another connection has changed the tables, which would not show before the statement runs.
  db.exec('select 1 from sqlite_schema limit 1');
  const statement = db.prepare(sql);
  const columns = statement.columns().map(({ name }) => name);
  if (!/^\s*select\b/i.test(sql)) {
    statement.setReturnArrays(true);
    return { columns, run: (parameters) => JSON.stringify(statement.all(...parameters)) };
  }
  // SQLite makes the JSON of rows in a quarter of the time of fetching each value. All columns are text or integers.
  const names = columns.map((column) => `"${column.replaceAll('"', '""')}"`).join();
  const toJson = db.prepare(`select cast(json_group_array(json_array(${names})) as blob) from (${sql})`);
  toJson.setReturnArrays(true);
  const run = (parameters: never[]) => {
    const [json] = toJson.get(...parameters) as unknown as [Uint8Array<ArrayBuffer>];
    return json.length > MAX_TEXT_BYTES ? json : Buffer.from(json.buffer, json.byteOffset, json.length).toString();
  };
  return { columns, run };
}
