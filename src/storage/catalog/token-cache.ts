/** If the notification of a revocation is lost, the revocation takes effect after this time. */
const LIFETIME_MS = 5000;
const MAX_TOKENS = 10_000;

/**
 * Caches the accounts of valid tokens, by their digests, for a few seconds. Each notification of a revocation clears it. It
 * stays empty while it is not connected, because revocations are then not notified.
 */
export class TokenCache {
  readonly #accounts = new Map<string, { accountId: string; until: number }>();
  #isConnected = false;
  #clearings = 0;

  async get(digest: string, lookUp: () => Promise<string | undefined>): Promise<string | undefined> {
    const cached = this.#accounts.get(digest);
    if (cached !== undefined && cached.until > performance.now()) return cached.accountId;
    const clearings = this.#clearings;
    const accountId = await lookUp();
    // If the cache was cleared during the lookup, the token may have been revoked after it was read.
    if (accountId !== undefined && this.#isConnected && clearings === this.#clearings) {
      if (this.#accounts.size >= MAX_TOKENS) this.#accounts.clear();
      this.#accounts.set(digest, { accountId, until: performance.now() + LIFETIME_MS });
    }
    return accountId;
  }

  clear(): void {
    this.#clearings++;
    this.#accounts.clear();
  }

  set isConnected(isConnected: boolean) {
    this.#isConnected = isConnected;
    this.clear();
  }
}
