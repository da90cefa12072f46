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
