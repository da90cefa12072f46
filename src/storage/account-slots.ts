import { AccountQueue } from './account-queue.js';

/** Slots for tasks. Those that wait for one get it in turns, one account after the other. */
export class AccountSlots {
  readonly #waiting = new AccountQueue();
  #free: number;

  constructor(slots: number) {
    this.#free = slots;
  }

  /** Whether a task would have to wait for a slot now. */
  get areTaken(): boolean {
    return this.#free === 0;
  }

  /** Runs a task in a slot of its account. @throws what the task throws; the signal's reason if it fires before the task begins */
  async run<T>(accountId: string, task: () => Promise<T>, signal?: AbortSignal): Promise<T> {
    await this.take(accountId, signal);
    try {
      return await task();
    } finally {
      this.release();
    }
  }

  /** Resolves when the account has a slot, until it calls `release`. @throws the signal's reason if it fires before */
  async take(accountId: string, signal?: AbortSignal): Promise<void> {
    signal?.throwIfAborted();
    if (this.#free > 0) {
      this.#free--;
      return;
    }
    await new Promise<void>((resolve, reject) => {
      const begin = () => {
        signal?.removeEventListener('abort', leave);
        resolve();
      };
      const leave = () => {
        this.#waiting.remove(accountId, begin);
        reject(signal?.reason);
      };
      this.#waiting.add(accountId, begin);
      signal?.addEventListener('abort', leave, { once: true });
    });
  }

  /** The slot goes to the next task that waits, so that no other task takes it before. */
  release(): void {
    const begin = this.#waiting.next();
    if (begin === undefined) this.#free++;
    else begin();
  }
}
