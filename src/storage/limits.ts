import { type ErrorCode, ServiceError } from '../dataset/errors.js';

export interface AcquireOptions {
  /** Ends the wait, not the work. */
  readonly signal?: AbortSignal | undefined;
  /** 1 by default. */
  readonly units?: number;
  /** Work of a higher priority goes first; 0 by default. */
  readonly priority?: number;
}

/** Releases so many units, by default all that are left; never more than that. */
export type Release = (units?: number) => void;

interface Waiter {
  readonly key: string;
  readonly units: number;
  readonly priority: number;
  readonly grant: () => void;
}

/**
 * A weighted semaphore: FIFO within a key, such as an account, and round robin between keys. While others wait, a key gets at
 * most half of the units. Work that is next blocks later work, so that large work does not starve.
 */
export class FairQueue {
  readonly #capacity: number;
  readonly #maxUnitsOfKey: number;
  /** By priority and key, in the order in which keys are served. */
  readonly #waiting = new Map<string, Waiter[]>();
  readonly #heldBy = new Map<string, number>();
  #held = 0;

  /** @param options.maxUnitsOfKey the most units that a key may ever hold */
  constructor(capacity: number, { maxUnitsOfKey = capacity }: { maxUnitsOfKey?: number } = {}) {
    this.#capacity = capacity;
    this.#maxUnitsOfKey = maxUnitsOfKey;
  }

  get held(): number {
    return this.#held;
  }

  /** Runs work while it holds its units. @throws as `acquire` and `work` */
  async run<T>(key: string, work: () => Promise<T>, options: AcquireOptions = {}): Promise<T> {
    const release = await this.acquire(key, options);
    try {
      return await work();
    } finally {
      release();
    }
  }

  /**
   * Waits for units, which the caller holds until it releases them. A caller that holds some already may deadlock.
   *
   * @throws RangeError if the key may not hold so many; the signal's reason if it fires during the wait
   */
  async acquire(key: string, { signal, units = 1, priority = 0 }: AcquireOptions = {}): Promise<Release> {
    signal?.throwIfAborted();
    if (units > this.#maxUnitsOfKey) {
      throw new RangeError(`${units} units are more than the ${this.#maxUnitsOfKey} that one key may hold.`);
    }
    await new Promise<void>((resolve, reject) => {
      const onAbort = () => {
        this.#remove(waiter);
        this.#grantNext();
        reject(signal?.reason);
      };
      const grant = () => {
        signal?.removeEventListener('abort', onAbort);
        resolve();
      };
      const waiter: Waiter = { key, units, priority, grant };
      signal?.addEventListener('abort', onAbort, { once: true });
      const id = idOf(waiter);
      this.#waiting.set(id, [...(this.#waiting.get(id) ?? []), waiter]);
      this.#grantNext();
    });
    let left = units;
    return (released = left) => {
      const count = Math.min(released, left);
      left -= count;
      this.#add(key, -count);
      this.#grantNext();
    };
  }

  #grantNext(): void {
    for (let next = this.#next(); next !== undefined; next = this.#next()) {
      if (this.#held + next.units > this.#capacity) return;
      this.#remove(next);
      const others = this.#waiting.get(idOf(next));
      // The key goes to the end.
      this.#waiting.delete(idOf(next));
      if (others !== undefined) this.#waiting.set(idOf(next), others);
      this.#add(next.key, next.units);
      next.grant();
    }
  }

  /** The first waiter of the highest priority whose key may hold its units. */
  #next(): Waiter | undefined {
    const firsts = [...this.#waiting.values()].flatMap(([first]) => first ?? []);
    for (const priority of new Set(firsts.map((first) => first.priority).sort((a, b) => b - a))) {
      const line = firsts.filter((first) => first.priority === priority);
      const shared = line.length > 1 ? Math.ceil(this.#capacity / 2) : this.#capacity;
      const next = line.find(({ key, units }) => {
        const held = this.#heldBy.get(key) ?? 0;
        return held === 0 || held + units <= Math.min(shared, this.#maxUnitsOfKey);
      });
      if (next !== undefined) return next;
    }
    return undefined;
  }

  #remove(waiter: Waiter): void {
    const others = this.#waiting.get(idOf(waiter))?.filter((other) => other !== waiter) ?? [];
    if (others.length === 0) this.#waiting.delete(idOf(waiter));
    else this.#waiting.set(idOf(waiter), others);
  }

  #add(key: string, units: number): void {
    const held = (this.#heldBy.get(key) ?? 0) + units;
    if (held === 0) this.#heldBy.delete(key);
    else this.#heldBy.set(key, held);
    this.#held += units;
  }
}

function idOf({ priority, key }: Waiter): string {
  return `${priority} ${key}`;
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
  /** When the allowance of each key is whole again. */
  readonly #wholeAt = new Map<string, number>();

  /** @param burst how many events may come at once */
  constructor({ perSecond, burst }: { perSecond: number; burst: number }) {
    this.#intervalMs = 1000 / perSecond;
    this.#toleranceMs = (burst - 1) * this.#intervalMs;
  }

  /** Counts an event that is at most `maxDelayMs` too early. @returns the milliseconds until the rate allows it */
  take(key: string, maxDelayMs = 0): number {
    const now = performance.now();
    const wholeAt = Math.max(this.#wholeAt.get(key) ?? 0, now);
    const delayMs = Math.max(0, wholeAt - now - this.#toleranceMs);
    if (delayMs > maxDelayMs) return delayMs;
    this.#forgetSome(now);
    this.#wholeAt.set(key, wholeAt + this.#intervalMs);
    return delayMs;
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
