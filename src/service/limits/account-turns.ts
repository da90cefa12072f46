import { AccountQueue } from './account-queue.js';

/**
 * Begins the work of accounts in turns: one piece in each turn of the event loop, from one account after the other. A piece
 * ends when it first waits for a file, a connection or a timer. With SQLite that is often its end, so that without turns, a
 * hundred requests of one account that arrive at the same moment would be answered before anything else, such as `/healthz`.
 */
export class AccountTurns {
  readonly #waiting = new AccountQueue();
  #isTaken = false;

  /** Resolves when the account may begin another piece of work: at once if none has begun in this turn of the loop. */
  readonly take = async (accountId: string): Promise<void> => {
    if (!this.#isTaken) {
      this.#isTaken = true;
      setImmediate(() => this.#next());
      return;
    }
    await new Promise<void>((begin) => this.#waiting.add(accountId, begin));
  };

  /** A callback that `setImmediate` is given within another one runs after the loop has looked for connections and timers. */
  #next(): void {
    const begin = this.#waiting.next();
    if (begin === undefined) {
      this.#isTaken = false;
      return;
    }
    setImmediate(() => this.#next());
    begin();
  }
}
