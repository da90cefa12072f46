import { AccountQueue } from './account-queue.js';

/** Slots for tasks. Those that wait for one get it in turns, one account after the other. */
export class AccountSlots {
  readonly #waiting = new AccountQueue();
  #free: number;

  constructor(slots: number) {
    this.#free = slots;
  }

  /** Resolves when the account has a slot, until it calls `release`. */
  async take(accountId: string): Promise<void> {
    if (this.#free > 0) this.#free--;
    else await new Promise<void>((resolve) => this.#waiting.add(accountId, resolve));
  }

  /** The slot goes to the next task that waits, so that no other task takes it before. */
  release(): void {
    const begin = this.#waiting.next();
    if (begin === undefined) this.#free++;
    else begin();
  }
}
