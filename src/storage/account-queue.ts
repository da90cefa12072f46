/** A queue of callbacks that takes from one account after the other. */
export class AccountQueue {
  /** By account, the one whose turn is next first. */
  readonly #waiting = new Map<string, Set<() => void>>();

  add(accountId: string, begin: () => void): void {
    const others = this.#waiting.get(accountId);
    if (others === undefined) this.#waiting.set(accountId, new Set([begin]));
    else others.add(begin);
  }

  remove(accountId: string, begin: () => void): void {
    const others = this.#waiting.get(accountId);
    others?.delete(begin);
    if (others?.size === 0) this.#waiting.delete(accountId);
  }

  /**
   * Removes the next callback; `undefined` if none waits.
   *
   * @param mayBegin leaves out the accounts for which it returns false
   */
  next(mayBegin: (accountId: string) => boolean = () => true): (() => void) | undefined {
    for (const [accountId, callbacks] of this.#waiting) {
      if (!mayBegin(accountId)) continue;
      const [begin] = callbacks;
      this.#waiting.delete(accountId);
      callbacks.delete(begin!);
      if (callbacks.size > 0) this.#waiting.set(accountId, callbacks);
      return begin;
    }
    return undefined;
  }
}
