/** A queue of callbacks that takes from one account after the other. */
export class AccountQueue {
  /** By account, the one whose turn is next first. */
  readonly #waiting = new Map<string, (() => void)[]>();

  add(accountId: string, begin: () => void): void {
    const others = this.#waiting.get(accountId);
    if (others === undefined) this.#waiting.set(accountId, [begin]);
    else others.push(begin);
  }

  /**
   * Removes the next callback; `undefined` if none waits.
   *
   * @param mayBegin leaves out the accounts for which it returns false
   */
  next(mayBegin: (accountId: string) => boolean = () => true): (() => void) | undefined {
    for (const [accountId, pieces] of this.#waiting) {
      if (!mayBegin(accountId)) continue;
      const begin = pieces.shift();
      this.#waiting.delete(accountId);
      if (pieces.length > 0) this.#waiting.set(accountId, pieces);
      return begin;
    }
    return undefined;
  }
}
