import type { Grant } from './grant.js';

/** If the notification of a revocation is lost, the revocation takes effect after this time. */
const LIFETIME_MS = 5000;
const MAX_TOKENS = 10_000;

/**
 * Caches what valid tokens allow, by their digests, for a few seconds. Each notification of a revocation clears it. It
 * stays empty while it is not connected, because revocations are then not notified. A grant has its expiry,
 * so that no token outlives that here.
 */
export class TokenCache {
  readonly #grants = new Map<string, { grant: Grant; until: number }>();
  #isConnected = false;
  #clearings = 0;

  async get(digest: string, lookUp: () => Promise<Grant | undefined>): Promise<Grant | undefined> {
    const cached = this.#grants.get(digest);
    if (cached !== undefined && cached.until > performance.now()) return cached.grant;
    const clearings = this.#clearings;
    const grant = await lookUp();
    // If the cache was cleared during the lookup, the token may have been revoked after it was read.
    if (grant !== undefined && this.#isConnected && clearings === this.#clearings) {
      if (this.#grants.size >= MAX_TOKENS) this.#grants.clear();
      this.#grants.set(digest, { grant, until: performance.now() + LIFETIME_MS });
    }
    return grant;
  }

  clear(): void {
    this.#clearings++;
    this.#grants.clear();
  }

  set isConnected(isConnected: boolean) {
    this.#isConnected = isConnected;
    this.clear();
  }
}
