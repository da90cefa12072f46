/** The program of the thread that has a SQLite file open, and the types of its messages. */
import { statSync } from 'node:fs';
import { parentPort, receiveMessageOnPort, workerData } from 'node:worker_threads';
import { DatabaseSync, type DatabaseSyncInstance } from '@photostructure/sqlite';

/** Longer JSON is moved as bytes: a text would be copied several times. */
const MAX_TEXT_BYTES = 64 * 1024;

/** The catalog has a few dozen statements; bulk inserts of different lengths add more. */
const MAX_PREPARED_STATEMENTS = 200;

/** The wait for a lock of another process. */
const MAX_BUSY_MS = 10_000;

/** A group is committed after so many transactions, since the first ones wait for their answers. */
const MAX_GROUP = 32;

type SentStatement = readonly [sql: string, parameters: readonly unknown[]];

/** A group of statements. The groups of a transaction have one id. */
export interface ThreadRequest {
  readonly id: number;
  readonly statements: readonly SentStatement[];
  readonly isDurable: boolean;
  /** After the statements; `close` ends the thread when all transactions have ended. */
  readonly end?: 'commit' | 'rollback' | 'close' | undefined;
}

/** The rows as a JSON array of objects, in UTF-8 if it is long. */
export type StatementResult = string | Uint8Array<ArrayBuffer>;

/** The code is Node's, or `NOT_IN_PLACE` if the open file was moved or deleted. */
interface ThreadError {
  readonly message: string;
  readonly code?: unknown;
  /** The extended result code (https://sqlite.org/rescode.html). */
  readonly errcode?: unknown;
}

export type ThreadAnswer =
  | { readonly id: number; readonly results: readonly StatementResult[] }
  | { readonly id: number; readonly error: ThreadError };

export interface ThreadOptions {
  readonly path: string;
  /** A reader has its own connection, and reads committed data. */
  readonly role: 'writer' | 'reader';
  readonly journalMode: 'wal' | 'delete';
}

class SqliteFile {
  readonly #db: DatabaseSyncInstance;
  readonly #path: string;
  readonly #inode: number;
  readonly #isReader: boolean;
  /** By text, the oldest first. */
  readonly #prepared = new Map<string, PreparedStatement>();
  #isFsynced = true;

  /** With WAL, commands and the reader work while the server writes. With `synchronous=FULL`, a commit is durable. */
  constructor({ path, role, journalMode }: ThreadOptions) {
    this.#isReader = role === 'reader';
    this.#db = new DatabaseSync(path, { readOnly: this.#isReader });
    this.#db.exec(`pragma busy_timeout = ${MAX_BUSY_MS}`);
    if (!this.#isReader) {
      this.#db.exec(`pragma journal_mode = ${journalMode}`);
      this.#db.exec('pragma synchronous = full');
      this.#db.exec('pragma foreign_keys = on');
      // A savepoint's pages would go to a temporary file.
      this.#db.exec('pragma temp_store = memory');
    }
    this.#path = path;
    this.#inode = statSync(path).ino;
  }

  run(statements: readonly SentStatement[]): StatementResult[] {
    return statements.map(([sql, parameters]) => this.#prepare(sql)(parameters as never[]));
  }

  read(statements: readonly SentStatement[]): StatementResult[] {
    if (statements.length === 1) return this.run(statements);
    this.#db.exec('begin');
    try {
      return this.run(statements);
    } finally {
      this.rollback();
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

  /** SQLite rolls back by itself after some errors (https://sqlite.org/lang_transaction.html). */
  get isInTransaction(): boolean {
    return this.#db.isTransaction;
  }

  /** Begins with the write lock, which can't be had after a read if another process has written since. */
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
      throw Object.assign(new Error(message), { code: 'NOT_IN_PLACE' });
    }
    this.#db.exec('commit');
  }

  rollback(): void {
    if (this.#db.isTransaction) this.#db.exec('rollback');
  }

  savepoint(): void {
    this.#db.exec('savepoint one_transaction');
  }

  endSavepoint(end: NonNullable<ThreadRequest['end']>): void {
    if (end === 'rollback') this.#db.exec('rollback to one_transaction');
    this.#db.exec('release one_transaction');
  }

  close(): void {
    this.#prepared.clear();
    if (!this.#isReader) {
      // Moves the log into the database, so that a copy of this one file is complete, unless another process reads it.
      this.#db.exec('pragma busy_timeout = 0');
      this.#db.exec('pragma wal_checkpoint(truncate)');
    }
    this.#db.close();
  }
}

type PreparedStatement = (parameters: never[]) => StatementResult;

function prepareStatement(db: DatabaseSyncInstance, sql: string): PreparedStatement {
  // Notices that another connection has changed the tables.
  db.exec('select 1 from sqlite_schema limit 1');
  const statement = db.prepare(sql);
  if (!/^\s*select\b/i.test(sql)) return (parameters) => JSON.stringify(statement.all(...parameters));
  // SQLite makes JSON in a quarter of the time of fetching each value, and V8 parses objects faster than it makes them from arrays.
  // All columns are text or integers.
  const values = statement.columns().map(({ name }) => `'${name}', "${name}"`);
  const toJson = db.prepare(`select cast(json_group_array(json_object(${values})) as blob) from (${sql})`);
  toJson.setReturnArrays(true);
  return (parameters) => {
    const [json] = toJson.get(...parameters) as unknown as [Uint8Array<ArrayBuffer>];
    return json.length > MAX_TEXT_BYTES ? json : Buffer.from(json.buffer, json.byteOffset, json.length).toString();
  };
}

const port = parentPort!;

/** Long rows are moved, not copied. */
function send(answers: readonly ThreadAnswer[]): void {
  const results = answers.flatMap((answer) => ('results' in answer ? answer.results : []));
  port.postMessage(
    answers,
    results.flatMap((result) => (typeof result === 'string' ? [] : [result.buffer])),
  );
}

function errorAnswer(id: number, error: unknown): ThreadAnswer {
  const { message = String(error), code, errcode } = error as Partial<ThreadError>;
  return { id, error: { message, ...(code !== undefined && { code }), ...(errcode !== undefined && { errcode }) } };
}

function answer({ id }: ThreadRequest, work: () => readonly StatementResult[]): void {
  let answered: ThreadAnswer;
  try {
    answered = { id, results: work() };
  } catch (error) {
    answered = errorAnswer(id, error);
  }
  send([answered]);
}

function close(file: SqliteFile, request: ThreadRequest): void {
  answer(request, () => {
    file.close();
    return [];
  });
  // What arrives from now on fails when the thread has ended.
  port.removeAllListeners('message').close();
}

/** Transactions that share a commit: savepoints in one transaction of SQLite. */
interface Group {
  readonly isDurable: boolean;
  /** Answers that wait for the commit. */
  readonly ended: ThreadAnswer[];
}

/**
 * Runs transactions in FIFO order with group commit: all are answered when SQLite commits, or fail together. A rolled back
 * one is answered then too, since it may have read what others wrote.
 */
class GroupCommit {
  readonly #file: SqliteFile;
  readonly #waiting: ThreadRequest[] = [];
  #group: Group | undefined;
  /** The transaction that has not ended; only its requests are taken meanwhile. */
  #open: number | undefined;
  #closing: ThreadRequest | undefined;

  constructor(file: SqliteFile) {
    this.#file = file;
  }

  /** Commits what has arrived, unless a transaction is open. */
  run(requests: readonly ThreadRequest[]): void {
    this.#add(requests);
    do {
      for (let request = this.#next(); request !== undefined; request = this.#next()) this.#runGroupOf(request);
    } while (this.#receive());
    if (this.#open !== undefined) return;
    this.#commit();
    if (this.#closing !== undefined) close(this.#file, this.#closing);
  }

  #add(requests: readonly ThreadRequest[]): void {
    for (const request of requests) {
      if (request.end === 'close') this.#closing = request;
      else this.#waiting.push(request);
    }
  }

  /** Takes requests that have arrived meanwhile. */
  #receive(): boolean {
    let hasArrived = false;
    for (let next = receiveMessageOnPort(port); next !== undefined; next = receiveMessageOnPort(port)) {
      this.#add(next.message);
      hasArrived = true;
    }
    return hasArrived;
  }

  #next(): ThreadRequest | undefined {
    if (this.#open === undefined) return this.#waiting.shift();
    const index = this.#waiting.findIndex(({ id }) => id === this.#open);
    return index < 0 ? undefined : this.#waiting.splice(index, 1)[0];
  }

  #runGroupOf(request: ThreadRequest): void {
    const { id, statements, end } = request;
    if (this.#open === undefined && !this.#begin(request)) return;
    let done: ThreadAnswer;
    try {
      done = { id, results: this.#file.run(statements) };
    } catch (error) {
      if (this.#file.isInTransaction) this.#end(errorAnswer(id, error), 'rollback');
      else this.#fail([{ id }], error);
      return;
    }
    if (end === undefined) send([done]);
    else this.#end(done, end);
  }

  /** @returns false if it failed and was answered */
  #begin({ id, isDurable }: ThreadRequest): boolean {
    if (isDurable && this.#group?.isDurable === false) this.#commit();
    try {
      if (this.#group !== undefined) {
        this.#file.savepoint();
      } else {
        const isGroupDurable = isDurable || this.#waiting.some((waiting) => waiting.isDurable);
        this.#file.begin(isGroupDurable);
        this.#group = { isDurable: isGroupDurable, ended: [] };
      }
    } catch (error) {
      // Another process has the lock, for which the others have waited too.
      this.#receive();
      this.#fail([{ id }, ...this.#waiting.splice(0)], error);
      return false;
    }
    this.#open = id;
    return true;
  }

  #end(done: ThreadAnswer, end: NonNullable<ThreadRequest['end']>): void {
    const group = this.#group!;
    const isAlone = group.ended.length === 0;
    this.#open = undefined;
    if (end === 'rollback' && isAlone) {
      this.#file.rollback();
      this.#group = undefined;
      send([done]);
      return;
    }
    if (!isAlone) this.#file.endSavepoint(end);
    if (group.ended.push(done) === MAX_GROUP) this.#commit();
  }

  #commit(): void {
    if (this.#group === undefined) return;
    try {
      this.#file.commit();
      send(this.#group.ended);
      this.#group = undefined;
    } catch (error) {
      this.#fail([], error);
    }
  }

  /** Rolls back the group, and answers it and the others with the error. */
  #fail(others: readonly { readonly id: number }[], error: unknown): void {
    const failed = [...(this.#group?.ended ?? []), ...others];
    this.#group = undefined;
    this.#open = undefined;
    this.#file.rollback();
    send(failed.map(({ id }) => errorAnswer(id, error)));
  }
}

const options = workerData as ThreadOptions;
try {
  const file = new SqliteFile(options);
  const transactions = new GroupCommit(file);
  send([{ id: 0, results: [] }]);
  port.on('message', (requests: readonly ThreadRequest[]) => {
    if (options.role === 'writer') return transactions.run(requests);
    for (const request of requests) {
      if (request.end === 'close') close(file, request);
      else answer(request, () => file.read(request.statements));
    }
  });
} catch (error) {
  send([errorAnswer(0, error)]);
}
