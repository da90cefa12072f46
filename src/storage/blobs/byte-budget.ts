import { ServiceError } from '../../dataset/errors.js';

/** A request that waits longer is answered with 503. Clients wait longer than this. */
const MAX_WAIT_MS = 90_000;

interface Waiter {
  readonly bytes: number;
  readonly grant: () => void;
}

/**
 * A weighted semaphore that limits the disk or memory of concurrent work. It grants permits in FIFO order, so that small
 * requests can't starve a large one. A caller that waits for a second permit before it releases the first may deadlock.
 */
export class ByteBudget {
  readonly bytes: number;
  readonly #resource: string;
  #used = 0;
  readonly #queue: Waiter[] = [];

  /** @param resource the name of the resource in the error message: `memory` */
  constructor(bytes: number, resource: string) {
    this.bytes = bytes;
    this.#resource = resource;
  }

  get used(): number {
    return this.#used;
  }

  /**
   * Waits for a permit for this many bytes, at most the whole budget.
   *
   * @throws the signal's reason; ServiceError `unavailable` after 90 seconds
   */
  async acquire(bytes: number, signal: AbortSignal): Promise<Permit> {
    signal.throwIfAborted();
    if (bytes > this.bytes) throw new Error(`${bytes} bytes exceed the budget of ${this.bytes}.`);
    if (this.#queue.length > 0 || this.#used + bytes > this.bytes) await this.#wait(bytes, signal);
    else this.#used += bytes;
    return new Permit(bytes, (released) => {
      this.#used -= released;
      this.#grantNext();
    });
  }

  #wait(bytes: number, signal: AbortSignal): Promise<void> {
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
      const waiter = { bytes, grant };
      signal.addEventListener('abort', onAbort, { once: true });
      this.#queue.push(waiter);
    });
  }

  #grantNext(): void {
    for (let next = this.#queue[0]; next !== undefined; next = this.#queue[0]) {
      if (this.#used + next.bytes > this.bytes) return;
      this.#queue.shift();
      this.#used += next.bytes;
      next.grant();
    }
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
