/** What waits to begin, of one account after the other. */
export class AccountQueue {
  /** By account, beginning with the one whose turn is next. */
  readonly #waiting = new Map<string, (() => void)[]>();

  add(accountId: string, begin: () => void): void {
    const others = this.#waiting.get(accountId);
    if (others === undefined) this.#waiting.set(accountId, [begin]);
    else others.push(begin);
  }

  /** Removes what begins next; `undefined` if nothing waits. */
  next(): (() => void) | undefined {
    const [first] = this.#waiting;
    if (first === undefined) return undefined;
    const [accountId, pieces] = first;
    const begin = pieces.shift();
    this.#waiting.delete(accountId);
    if (pieces.length > 0) this.#waiting.set(accountId, pieces);
    return begin;
  }
}
