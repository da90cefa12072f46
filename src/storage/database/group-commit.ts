import type { SqliteFile } from './sqlite-file.js';
import type { ThreadAnswer, ThreadError, ThreadRequest } from './sqlite-messages.js';

/** A group is committed after so many transactions, even if others wait: the first ones wait for their answers. */
const MAX_GROUP = 32;

/** What the main thread sends and is sent. */
export interface RequestPort {
  /** Takes the requests that have arrived. */
  readonly receive: () => readonly ThreadRequest[];
  readonly send: (answers: readonly ThreadAnswer[]) => void;
}

/** Transactions that share one commit: savepoints in an open transaction of SQLite. */
interface Group {
  readonly isDurable: boolean;
  /** The answers to transactions that wait for the commit. */
  readonly ended: ThreadAnswer[];
}

/**
 * Runs transactions on a file, first in, first out, with group commit: SQLite commits, and waits for the disk, when no
 * transaction waits or `MAX_GROUP` have ended, and only then all of them are answered. A failed commit fails all of them. A
 * transaction that is rolled back, or whose statement fails, is answered then too: it may have read what others wrote.
 */
export class GroupCommit {
  readonly #file: SqliteFile;
  readonly #port: RequestPort;
  readonly #waiting: ThreadRequest[] = [];
  #group: Group | undefined;
  /** The transaction that has begun and not ended; only its own requests are taken meanwhile. */
  #open: number | undefined;

  constructor(file: SqliteFile, port: RequestPort) {
    this.#file = file;
    this.#port = port;
  }

  get isIdle(): boolean {
    return this.#open === undefined && this.#waiting.length === 0;
  }

  /** Runs and commits what has arrived, up to an open transaction whose next request has not. That joins the group. */
  run(): void {
    while (this.#receive()) {
      for (let request = this.#next(); request !== undefined; request = this.#next()) this.#runGroupOf(request);
    }
    if (this.#open === undefined) this.#commit();
  }

  /** @returns false if nothing has arrived */
  #receive(): boolean {
    const arrived = this.#port.receive();
    this.#waiting.push(...arrived);
    return arrived.length > 0;
  }

  #next(): ThreadRequest | undefined {
    if (this.#open === undefined) return this.#waiting.shift();
    const index = this.#waiting.findIndex(({ id }) => id === this.#open);
    return index < 0 ? undefined : this.#waiting.splice(index, 1)[0];
  }

  /** Runs a group of statements. */
  #runGroupOf(request: ThreadRequest): void {
    const { id, statements, end } = request;
    if (this.#open === undefined && !this.#begin(request)) return;
    let answer: ThreadAnswer;
    try {
      answer = { id, results: this.#file.run(statements) };
    } catch (error) {
      if (this.#file.isInTransaction) this.#end(errorAnswer(id, error), 'rollback');
      else this.#fail([{ id }], error);
      return;
    }
    if (end === undefined) this.#port.send([answer]);
    else this.#end(answer, end);
  }

  /** @returns false if that failed, and the transaction was answered */
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
      // Another process has the lock. Those that wait have waited for it too.
      this.#receive();
      this.#fail([{ id }, ...this.#waiting.splice(0)], error);
      return false;
    }
    this.#open = id;
    return true;
  }

  #end(answer: ThreadAnswer, end: ThreadRequest['end']): void {
    const group = this.#group!;
    const isAlone = group.ended.length === 0;
    this.#open = undefined;
    if (end === 'rollback' && isAlone) {
      this.#file.rollback();
      this.#group = undefined;
      this.#port.send([answer]);
      return;
    }
    if (!isAlone) {
      if (end === 'commit') this.#file.releaseSavepoint();
      else this.#file.rollbackToSavepoint();
    }
    if (group.ended.push(answer) === MAX_GROUP) this.#commit();
  }

  #commit(): void {
    if (this.#group === undefined) return;
    try {
      this.#file.commit();
      this.#port.send(this.#group.ended);
      this.#group = undefined;
    } catch (error) {
      this.#fail([], error);
    }
  }

  /** Rolls back the group. Its transactions, and some others, are answered with the error. */
  #fail(others: readonly { readonly id: number }[], error: unknown): void {
    const failed = [...(this.#group?.ended ?? []), ...others];
    this.#group = undefined;
    this.#open = undefined;
    this.#file.rollback();
    this.#port.send(failed.map(({ id }) => errorAnswer(id, error)));
  }
}

export function errorAnswer(id: number, error: unknown): ThreadAnswer {
  const { message = String(error), code, errcode } = error as Partial<ThreadError>;
  return { id, error: { message, code, errcode } };
}
