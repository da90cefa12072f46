/**
 * Begins the work of accounts in turns: one piece in each turn of the event loop, from one account after the other. A piece
 * ends when it first waits for a file, a connection or a timer. With SQLite that is often its end, so that without turns, a
 * hundred requests of one account that arrive at the same moment would be answered before anything else, such as `/healthz`.
 */
export class AccountTurns {
  /** What waits, by account, beginning with the account whose turn is next. */
  readonly #waiting = new Map<string, (() => void)[]>();
  #isTaken = false;

  /** Resolves when the account may begin another piece of work: at once if none has begun in this turn of the loop. */
  readonly take = async (accountId: string): Promise<void> => {
    if (!this.#isTaken) {
      this.#isTaken = true;
      setImmediate(() => this.#next());
      return;
    }
    await new Promise<void>((begin) => {
      const others = this.#waiting.get(accountId);
      if (others === undefined) this.#waiting.set(accountId, [begin]);
      else others.push(begin);
    });
  };

  /** A callback that `setImmediate` is given within another one runs after the loop has looked for connections and timers. */
  #next(): void {
    const [first] = this.#waiting;
    if (first === undefined) {
      this.#isTaken = false;
      return;
    }
    const [accountId, pieces] = first;
    const begin = pieces.shift();
    this.#waiting.delete(accountId);
    if (pieces.length > 0) this.#waiting.set(accountId, pieces);
    setImmediate(() => this.#next());
    begin?.();
  }
}
