/* What the main thread and a thread of SQLite send each other. */

/** A statement: its text and its parameters. */
export type SentStatement = readonly [sql: string, parameters: readonly unknown[]];

/** A group of statements. To the writer, the groups of one transaction have the same id, which the first one begins. */
export interface ThreadRequest {
  readonly id: number;
  readonly statements: readonly SentStatement[];
  readonly isDurable: boolean;
  /** Ends the transaction after the statements; `close` ends the thread when all transactions have ended. */
  readonly end?: 'commit' | 'rollback' | 'close' | undefined;
}

/** The rows of a statement as arrays, as JSON; in UTF-8 if they are long. `undefined` if it has no columns. */
export type StatementResult =
  | { readonly columns: readonly string[]; readonly rows: string | Uint8Array<ArrayBuffer> }
  | undefined;

/** An error, with what `backend-unusable.ts` distinguishes errors by. */
export interface ThreadError {
  readonly message: string;
  readonly code?: unknown;
  /** The extended result code (https://sqlite.org/rescode.html). */
  readonly errcode?: unknown;
}

export type ThreadAnswer =
  | { readonly id: number; readonly results: readonly StatementResult[] }
  | { readonly id: number; readonly error: ThreadError };

/** The id of the request that a thread answers when it has opened the file. */
export const OPENING = 0;

/** The `code` of the error of a file that was moved or deleted while it was open. */
export const NOT_IN_PLACE = 'NOT_IN_PLACE';

export interface ThreadOptions {
  readonly path: string;
  /** A reader has its own connection, and reads committed data only. */
  readonly role: 'writer' | 'reader';
  readonly journalMode: 'wal' | 'delete';
}
