import { EventEmitter } from 'node:events';
import {
  type CompiledQuery,
  createQueryId,
  DummyDriver,
  Kysely,
  type OperationNode,
  type QueryCompiler,
  type QueryExecutorProvider,
  SelectModifierNode,
  SqliteAdapter,
  SqliteQueryCompiler,
} from 'kysely';
import { type ErrorCode, ServiceError } from '../../dataset/errors.js';
import { type DatabaseFault, databaseFaultOf, sqlStateOf } from '../backend-unusable.js';
import type { Schema } from './schema.js';

/** Builds statements, which know nothing of a database until one runs them. */
export const query = new Kysely<Schema>({
  dialect: {
    createAdapter: () => new SqliteAdapter(),
    createQueryCompiler: () => new SqliteQueryCompiler(),
    createDriver: () => Object.assign(new DummyDriver(), { acquireConnection: unsupported }),
    createIntrospector: unsupported,
  },
});

function unsupported(): never {
  throw new Error('A statement is run by a `Database`.');
}

/** A statement of `query`, or one in SQL, which takes much less time to build. */
export interface Statement<Row = unknown> {
  toOperationNode(): OperationNode;
  compile(provider: QueryExecutorProvider): CompiledQuery<Row>;
}

/** Locks the selected rows until the end of the transaction. SQLite, which has one writer at a time, leaves it out. */
export const FOR_UPDATE = { toOperationNode: () => SelectModifierNode.create('ForNoKeyUpdate') };

/** After `FOR_UPDATE`: leaves out rows that another transaction has locked. */
export const SKIP_LOCKED = { toOperationNode: () => SelectModifierNode.create('SkipLocked') };

export interface Database {
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

  /** Runs a statement as its own transaction. */
  run<Row>(statement: Statement<Row>): Promise<Row[]>;

  /** Runs read-only statements on one snapshot, in one round trip. @returns the rows of each statement */
  read<const S extends readonly Statement[]>(statements: S): Promise<RowsOf<S>>;

  close(): Promise<void>;
}

/** Sends groups of statements, pipelined: none waits for the answer to another. */
export interface Transaction {
  /** @returns the rows of each statement */
  send<const S extends readonly Statement[]>(statements: S): Promise<RowsOf<S>>;
  /** Sends the last group and the commit. */
  commit<const S extends readonly Statement[]>(statements: S): Promise<RowsOf<S>>;
}

export type RowsOf<S extends readonly Statement[]> = {
  -readonly [I in keyof S]: S[I] extends Statement<infer Row> ? Row[] : never;
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

/** The text and the parameters of a statement for one kind of database. */
export function compiled(statement: Statement, compiler: QueryCompiler): { sql: string; parameters: unknown[] } {
  const { sql, parameters } = compiler.compileQuery(statement.toOperationNode() as never, createQueryId());
  return { sql, parameters: parameters.map(withoutNul) };
}

/**
 * Replaces NUL, which Postgres text can't hold (https://www.postgresql.org/docs/current/datatype-character.html) and at which the
 * SQLite driver cuts. No stored name has a control character, so a search still finds nothing.
 */
function withoutNul(value: unknown): unknown {
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

export interface AnnouncedChange {
  readonly datasetId: string;
  /** The names of files that may have changed; absent if any may. */
  readonly filenames?: readonly string[] | undefined;
  /** The run of captions whose progress changed, and nothing else. */
  readonly captionRun?: string | undefined;
}

/** The events: a change, and a gap in which changes may be missed. */
const ANY = Symbol('any');
const GAP = Symbol('gap');

/** Announces changes: to this process after the commit, and to others with it. */
export class ChangeFeed {
  /** Makes the statements that announce a change to other processes at the commit. */
  readonly notification: (change: AnnouncedChange) => readonly Statement[];
  readonly #events = new EventEmitter().setMaxListeners(0);

  constructor(notification: ChangeFeed['notification'] = () => []) {
    this.notification = notification;
  }

  /** Calls `listener` after every change, and `onGap` after a gap, until the returned function is called. */
  onAnyChange(
    listener: (datasetId: string, filenames?: readonly string[], captionRun?: string) => void,
    onGap: () => void = () => {},
  ): () => void {
    this.#events.on(ANY, listener).on(GAP, onGap);
    return () => this.#events.off(ANY, listener).off(GAP, onGap);
  }

  announce({ datasetId, filenames, captionRun }: AnnouncedChange): void {
    this.#events.emit(ANY, datasetId, filenames, captionRun);
  }

  /** Tells listeners to read the state again, since changes may have been missed. */
  announceGap(): void {
    this.#events.emit(GAP);
  }
}
