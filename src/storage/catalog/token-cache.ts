/** A revocation that somehow is not heard of counts after so long. */
const LIFETIME_MS = 5000;
const MAX_TOKENS = 10_000;

/**
 * Whose token it is, for a moment: so that not every request of a burst asks the database. It keeps only good tokens, by
 * their digests, and only while revocations are heard of (`isConnected`), which clear it.
 */
export class TokenCache {
  readonly #accounts = new Map<string, { accountId: string; until: number }>();
  #isHearing = false;
  #clearings = 0;

  async get(digest: string, lookUp: () => Promise<string | undefined>): Promise<string | undefined> {
    const kept = this.#accounts.get(digest);
    if (kept !== undefined && kept.until > performance.now()) return kept.accountId;
    const clearings = this.#clearings;
    const accountId = await lookUp();
    // Revoked while it was being looked up: the answer may be of before.
    if (accountId !== undefined && this.#isHearing && clearings === this.#clearings) {
      if (this.#accounts.size >= MAX_TOKENS) this.#accounts.clear();
      this.#accounts.set(digest, { accountId, until: performance.now() + LIFETIME_MS });
    }
    return accountId;
  }

  clear(): void {
    this.#clearings++;
    this.#accounts.clear();
  }

  set isConnected(isHearing: boolean) {
    this.#isHearing = isHearing;
    this.clear();
  }
}
