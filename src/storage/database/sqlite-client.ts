import { once } from 'node:events';
import { Worker } from 'node:worker_threads';
import type { Compilable } from 'kysely';
import { ServiceError } from '../../dataset/errors.js';
import { programFile } from '../../program-file.js';
import { catalogUnavailable, type RowsOf, type Transaction } from './database.js';
import {
  NOT_IN_PLACE,
  OPENING,
  type SentStatement,
  type StatementResult,
  type ThreadAnswer,
  type ThreadError,
  type ThreadOptions,
  type ThreadRequest,
} from './sqlite-messages.js';

const PROGRAM = programFile('storage/database/sqlite-thread');

interface InFlight {
  readonly resolve: (rows: unknown[][]) => void;
  readonly reject: (error: unknown) => void;
}

/**
 * A thread that has a SQLite file open. It keeps the process alive only while a request is in flight. If it ends unexpectedly,
 * these and all later requests fail with `unavailable`.
 */
export class SqliteClient {
  /** Rejects if the file can't be opened. */
  readonly opened: Promise<unknown>;
  readonly #worker: Worker;
  readonly #inFlight = new Map<number, InFlight>();
  /** Requests of this iteration of the event loop, which are sent in one message: each message wakes the thread. */
  #outbox: ThreadRequest[] = [];
  #lastId = OPENING;
  #closing: Promise<unknown> | undefined;
  #ended: unknown;

  constructor(options: ThreadOptions) {
    this.#worker = new Worker(PROGRAM, { workerData: options, execArgv: [] });
    this.#worker.on('message', (answers: readonly ThreadAnswer[]) => {
      for (const answer of answers) this.#settle(answer);
    });
    this.#worker.on('error', (error) => this.#fail(error));
    this.#worker.on('exit', (code) => this.#fail(new Error(`The thread of the catalog ended with ${code}.`)));
    this.opened = new Promise<unknown>((resolve, reject) => {
      this.#inFlight.set(OPENING, { resolve, reject });
    });
  }

  /** Makes the id of a transaction or a read, which has one request in flight at a time. */
  newId(): number {
    return ++this.#lastId;
  }

  /** @returns the rows of each statement */
  async request<const S extends readonly Compilable<unknown>[]>(
    statements: S,
    request: Omit<ThreadRequest, 'statements'>,
  ): Promise<RowsOf<S>> {
    if (this.#ended !== undefined) throw catalogUnavailable(this.#ended);
    const sent = statements.map((statement): SentStatement => {
      const { sql, parameters } = statement.compile();
      return [sql, parameters];
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

  /** Closes the file after all requests in flight, and ends the thread. */
  async close(): Promise<void> {
    if (this.#ended === undefined) this.#closing ??= this.#close();
    await this.#closing;
  }

  #close(): Promise<unknown> {
    const exited = once(this.#worker, 'exit');
    return Promise.all([this.request([], { id: this.newId(), isDurable: false, end: 'close' }), exited]);
  }

  #settle(answer: ThreadAnswer): void {
    const request = this.#inFlight.get(answer.id);
    this.#inFlight.delete(answer.id);
    if (this.#inFlight.size === 0 && this.#closing === undefined) this.#worker.unref();
    if ('error' in answer) request?.reject(errorOf(answer.error));
    else request?.resolve(answer.results.map(rowsOf));
  }

  #fail(cause: unknown): void {
    this.#ended ??= cause;
    for (const { reject } of this.#inFlight.values()) reject(catalogUnavailable(this.#ended));
    this.#inFlight.clear();
  }
}

function rowsOf(result: StatementResult): unknown[] {
  if (result === undefined) return [];
  const { columns, rows } = result;
  const json = typeof rows === 'string' ? rows : Buffer.from(rows.buffer, rows.byteOffset, rows.length).toString();
  return (JSON.parse(json) as unknown[][]).map((row) => objectOf(columns, row));
}

function objectOf(columns: readonly string[], row: readonly unknown[]): Record<string, unknown> {
  const object: Record<string, unknown> = {};
  for (let i = 0; i < columns.length; i++) object[columns[i]!] = row[i];
  return object;
}

function errorOf({ message, code, errcode }: ThreadError): Error {
  if (code === NOT_IN_PLACE) return new ServiceError('unavailable', message);
  return Object.assign(new Error(message), code !== undefined && { code }, errcode !== undefined && { errcode });
}

/** A transaction of the writer. It begins with the first group of statements, and ends with an error of any of them. */
export class SqliteTransaction implements Transaction {
  readonly #writer: SqliteClient;
  readonly #id: number;
  readonly #isDurable: boolean;
  #state: 'not begun' | 'open' | 'ended' = 'not begun';

  constructor(writer: SqliteClient, { isDurable }: { isDurable: boolean }) {
    this.#writer = writer;
    this.#id = writer.newId();
    this.#isDurable = isDurable;
  }

  // Called without their object, as the functions of `Postgres`.
  readonly send = <const S extends readonly Compilable<unknown>[]>(statements: S) => this.#request(statements);

  readonly commit = <const S extends readonly Compilable<unknown>[]>(statements: S) =>
    this.#request(statements, 'commit');

  /** Rolls back if the transaction is open. @throws if what it may have read could not be committed */
  async rollback(): Promise<void> {
    if (this.#state === 'open') await this.#request([], 'rollback');
  }

  async #request<const S extends readonly Compilable<unknown>[]>(
    statements: S,
    end?: 'commit' | 'rollback',
  ): Promise<RowsOf<S>> {
    if (this.#state === 'ended') throw new Error('The transaction has ended.');
    this.#state = end === undefined ? 'open' : 'ended';
    try {
      return await this.#writer.request(statements, { id: this.#id, isDurable: this.#isDurable, end });
    } catch (error) {
      this.#state = 'ended';
      throw error;
    }
  }
}
