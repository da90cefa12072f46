/** A queue of callbacks that takes from one account after the other. */
export class AccountQueue {
  /** By account, the one whose turn is next first. */
  readonly #waiting = new Map<string, (() => void)[]>();

  add(accountId: string, begin: () => void): void {
    const others = this.#waiting.get(accountId);
    if (others === undefined) this.#waiting.set(accountId, [begin]);
    else others.push(begin);
  }

  /** Removes the next callback; `undefined` if none waits. */
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
