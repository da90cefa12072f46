import { type ErrorCode, ServiceError } from '../../dataset/errors.js';
import type { AccountUsage } from '../../storage/catalog/accounts/account-usage.js';

/** The limits of an account, and of this process. */
export interface Limits {
  readonly account: AccountUsage;
  readonly maxDatasetFiles: number;
  readonly accountRequestsPerSecond: number;
}

export interface QuotaLimits {
  readonly ofAccount: number;
  /** Without it, only each account has a limit. */
  readonly ofAll?: number;
  /** Such as `uploads in flight`. */
  readonly what: string;
  readonly retryAfterSeconds?: number;
  /** `too_many_requests` by default. */
  readonly accountError?: ErrorCode;
}

/** Numbers that accounts hold, such as requests or bytes, with a limit for each account and for all. */
export class Quota {
  readonly #limits: QuotaLimits;
  readonly #heldBy = new Map<string, number>();
  #held = 0;

  constructor(limits: QuotaLimits) {
    this.#limits = limits;
  }

  get held(): number {
    return this.#held;
  }

  /** Holds `count` more until the returned function is called. @throws ServiceError `too_many_requests` (429) or `overloaded` (503) */
  hold(accountId: string, count = 1): () => void {
    const { ofAccount, ofAll = Number.POSITIVE_INFINITY, what, retryAfterSeconds = 2 } = this.#limits;
    const held = this.#heldBy.get(accountId) ?? 0;
    const beyond = (who: string, limit: number) =>
      `${who} has ${limit === 1 ? 'a limit of 1' : `at most ${limit}`} ${what}. Wait until others end, then try again.`;
    if (held + count > ofAccount) {
      const { accountError = 'too_many_requests' } = this.#limits;
      throw new ServiceError(accountError, beyond('An account', ofAccount), { retryAfterSeconds });
    }
    if (this.#held + count > ofAll) {
      throw new ServiceError('overloaded', beyond('The server', ofAll), { retryAfterSeconds });
    }
    this.#add(accountId, count);
    let isHeld = true;
    return () => {
      if (isHeld) this.#add(accountId, -count);
      isHeld = false;
    };
  }

  #add(accountId: string, count: number): void {
    const held = (this.#heldBy.get(accountId) ?? 0) + count;
    if (held === 0) this.#heldBy.delete(accountId);
    else this.#heldBy.set(accountId, held);
    this.#held += count;
  }
}

/** A key is forgotten when its allowance is whole again, or for a newer one. */
const MAX_KEYS = 10_000;

/** Limits the rate of events for each key (https://en.wikipedia.org/wiki/Generic_cell_rate_algorithm). */
export class RateLimiter {
  readonly #intervalMs: number;
  readonly #toleranceMs: number;
  readonly #nowMs: () => number;
  /** When the allowance of each key is whole again. */
  readonly #wholeAt = new Map<string, number>();

  /** @param burst how many events may come at once */
  constructor({ perSecond, burst }: { perSecond: number; burst: number }, nowMs = () => performance.now()) {
    this.#intervalMs = 1000 / perSecond;
    this.#toleranceMs = (burst - 1) * this.#intervalMs;
    this.#nowMs = nowMs;
  }

  /** Counts an event if the rate allows it. @returns 0, or the milliseconds until it is allowed */
  take(key: string): number {
    const { delayMs, count } = this.#next(key);
    if (delayMs === 0) count();
    return delayMs;
  }

  /** Counts an event that is delayed by at most `maxMs`. @returns the delay in milliseconds, at most `maxMs` */
  queue(key: string, maxMs: number): number {
    const { delayMs, count } = this.#next(key);
    if (delayMs <= maxMs) count();
    return Math.min(delayMs, maxMs);
  }

  #next(key: string): { delayMs: number; count: () => void } {
    const now = this.#nowMs();
    const wholeAt = Math.max(this.#wholeAt.get(key) ?? 0, now);
    const count = () => {
      this.#forgetSome(now);
      this.#wholeAt.set(key, wholeAt + this.#intervalMs);
    };
    return { delayMs: Math.max(0, wholeAt - now - this.#toleranceMs), count };
  }

  #forgetSome(now: number): void {
    if (this.#wholeAt.size < MAX_KEYS) return;
    for (const [key, wholeAt] of this.#wholeAt) if (wholeAt <= now) this.#wholeAt.delete(key);
    for (const key of this.#wholeAt.keys()) {
      if (this.#wholeAt.size < MAX_KEYS) return;
      this.#wholeAt.delete(key);
    }
  }
}
