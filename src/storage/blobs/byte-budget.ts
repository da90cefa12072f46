import { ServiceError } from '../../dataset/errors.js';
import type { StageOptions } from './blobs.js';

/** A request that waits longer is answered with 503. Clients wait longer than this. */
const MAX_WAIT_MS = 90_000;

interface Waiter {
  readonly accountId: string | undefined;
  readonly bytes: number;
  readonly grant: () => void;
}

export type PermitOptions = Pick<StageOptions, 'accountId' | 'signal'>;

/**
 * A weighted semaphore that limits the disk or memory of concurrent work. An account holds at most half, so that slow clients of
 * one don't block others; a request beyond it waits for permits of its account only. Of the other requests, that of the account
 * that holds least is granted next, in FIFO order; later ones wait until it is, so that small requests can't starve a large one.
 * A caller that waits for a second permit before it releases the first may deadlock.
 */
export class ByteBudget {
  readonly bytes: number;
  readonly #resource: string;
  #used = 0;
  readonly #usedBy = new Map<string | undefined, number>();
  /** In order of arrival. */
  readonly #queue: Waiter[] = [];

  /** @param resource the name of the resource in the error message: `memory` */
  constructor(bytes: number, resource: string) {
    this.bytes = bytes;
    this.#resource = resource;
  }

  get used(): number {
    return this.#used;
  }

  /** The most that an account may hold, and thus the largest permit that it can get; all without an account. */
  maxBytesOf(accountId: string | undefined): number {
    return accountId === undefined ? this.bytes : Math.floor(this.bytes / 2);
  }

  /**
   * Waits for a permit for this many bytes, at most `maxBytesOf` the account.
   *
   * @throws the signal's reason; ServiceError `unavailable` after 90 seconds
   */
  async acquire(bytes: number, { accountId, signal }: PermitOptions): Promise<Permit> {
    signal.throwIfAborted();
    const maxBytes = this.maxBytesOf(accountId);
    if (bytes > maxBytes) throw new Error(`${bytes} bytes exceed the budget of ${maxBytes}.`);
    await this.#wait({ accountId, bytes }, signal);
    return new Permit(bytes, (released) => {
      this.#add(accountId, -released);
      this.#grantNext();
    });
  }

  #wait(request: Omit<Waiter, 'grant'>, signal: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      const stopWaiting = () => {
        clearTimeout(timer);
        signal.removeEventListener('abort', onAbort);
      };
      const fail = (error: unknown) => {
        stopWaiting();
        this.#queue.splice(this.#queue.indexOf(waiter), 1);
        this.#grantNext();
        reject(error);
      };
      const onAbort = () => fail(signal.reason);
      const timer = setTimeout(() => {
        const message = `The server has no ${this.#resource} left for this upload right now. Try again soon.`;
        fail(new ServiceError('unavailable', message));
      }, MAX_WAIT_MS);
      const grant = () => {
        stopWaiting();
        resolve();
      };
      const waiter = { ...request, grant };
      signal.addEventListener('abort', onAbort, { once: true });
      this.#queue.push(waiter);
      this.#grantNext();
    });
  }

  #grantNext(): void {
    for (let next = this.#next(); next !== undefined; next = this.#next()) {
      if (this.#used + next.bytes > this.bytes) return;
      this.#queue.splice(this.#queue.indexOf(next), 1);
      this.#add(next.accountId, next.bytes);
      next.grant();
    }
  }

  /** Of the first requests of each account, without those beyond its half: that of the account that holds least. */
  #next(): Waiter | undefined {
    let next: Waiter | undefined;
    const seen = new Set<string | undefined>();
    for (const waiter of this.#queue) {
      const { accountId, bytes } = waiter;
      if (seen.has(accountId)) continue;
      seen.add(accountId);
      const isWithin = this.#usedOf(accountId) + bytes <= this.maxBytesOf(accountId);
      if (isWithin && (next === undefined || this.#usedOf(accountId) < this.#usedOf(next.accountId))) next = waiter;
    }
    return next;
  }

  #usedOf(accountId: string | undefined): number {
    return this.#usedBy.get(accountId) ?? 0;
  }

  #add(accountId: string | undefined, bytes: number): void {
    const used = this.#usedOf(accountId) + bytes;
    if (used === 0) this.#usedBy.delete(accountId);
    else this.#usedBy.set(accountId, used);
    this.#used += bytes;
  }
}

/** Bytes of a budget, held until they are released. */
export class Permit {
  #bytes: number;
  readonly #release: (bytes: number) => void;

  constructor(bytes: number, release: (bytes: number) => void) {
    this.#bytes = bytes;
    this.#release = release;
  }

  /** Releases all bytes above this number. */
  shrinkTo(bytes: number): void {
    const released = this.#bytes - Math.min(bytes, this.#bytes);
    this.#bytes -= released;
    if (released > 0) this.#release(released);
  }
}
