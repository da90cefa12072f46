/**
 * Shares background work between accounts by the time that it takes, so that one with many files, or with clips that take hours,
 * does not keep the others waiting until all of it is done.
 */
export class AccountShares {
  readonly #now: () => number;
  readonly #usedSeconds = new Map<string, number>();
  #waiting = new Set<string>();
  /** What the account had used whose work began last. */
  #reachedSeconds = 0;

  /** @param now a clock in seconds that never goes back */
  constructor(now: () => number = () => performance.now() / 1000) {
    this.#now = now;
  }

  /** Sorts the accounts that have work: the one whose turn is next first. */
  sorted(accountIds: readonly string[]): string[] {
    if (accountIds.length === 0) {
      this.#usedSeconds.clear();
      this.#reachedSeconds = 0;
    }
    // One that had no work before gets no credit for that time.
    for (const id of accountIds) {
      if (!this.#waiting.has(id)) this.#usedSeconds.set(id, Math.max(this.#usedBy(id), this.#reachedSeconds));
    }
    this.#waiting = new Set(accountIds);
    const sorted = accountIds.toSorted((a, b) => this.#usedBy(a) - this.#usedBy(b));
    const [first] = sorted;
    if (first !== undefined) this.#reachedSeconds = this.#usedBy(first);
    return sorted;
  }

  /** Runs a piece of work of an account. */
  async run<T>(accountId: string, work: () => Promise<T>): Promise<T> {
    const startedAt = this.#now();
    try {
      return await work();
    } finally {
      this.#usedSeconds.set(accountId, this.#usedBy(accountId) + this.#now() - startedAt);
    }
  }

  #usedBy(accountId: string): number {
    return this.#usedSeconds.get(accountId) ?? 0;
  }
}
