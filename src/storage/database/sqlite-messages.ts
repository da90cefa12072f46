/* What the main thread and a thread of SQLite send each other, as JSON. */

/** JSON in parts: those that may be long are in UTF-8, which takes less memory than a text, and is moved to the main thread. */
export type JsonParts = readonly (string | Uint8Array)[];

/** A statement: its number, its parameters, and its text until an answer has told its columns. */
export type SentStatement = readonly [number: number, parameters: readonly unknown[], sql?: string];

/** A group of statements. To the writer, the groups of one transaction have the same id, which the first one begins. */
export interface ThreadRequest {
  readonly id: number;
  readonly statements: readonly SentStatement[];
  readonly isDurable: boolean;
  /** Ends the transaction after the statements; `close` ends the thread when all transactions have ended. */
  readonly end?: 'commit' | 'rollback' | 'close' | undefined;
}

/** The rows of a statement as arrays, with the names of the columns if its text was sent; `null` if it has no columns. */
export type StatementResult = readonly [rows: readonly (readonly unknown[])[], columns?: readonly string[]] | null;

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

/** The parts of a list, between commas. */
export function joined(list: readonly JsonParts[]): JsonParts {
  return list.flatMap((parts, i) => (i === 0 ? parts : [',', ...parts]));
}

export function answerOf(id: number, results: readonly JsonParts[]): JsonParts {
  return [`{"id":${id},"results":[`, ...joined(results), ']}'];
}

export function errorAnswer(id: number, error: unknown): JsonParts {
  const { message, code, errcode } = error as ThreadError;
  const answer: ThreadAnswer = { id, error: { message: message ?? String(error), code, errcode } };
  return [JSON.stringify(answer)];
}
