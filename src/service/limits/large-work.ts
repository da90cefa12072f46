import { setImmediate as turn } from 'node:timers/promises';
import type { Pieces } from '../../pieces.js';
import { AccountQueue } from './account-queue.js';

/** A request of another account waits for so long in each of its turns of the event loop. */
const MAX_PIECE_MS = 5;

/**
 * Runs work about many files in pieces, one such work at a time, of one account after the other: a dataset of fifty thousand
 * files would block the event loop for a second, and several at once would need the memory of each.
 */
export class LargeWork {
  readonly #waiting = new AccountQueue();
  #isBusy = false;

  /** Runs work, which counts as large once it has called `begin`. It must not wait for other work of this kind. */
  readonly run = async <T>(accountId: string, work: (pieces: Pieces) => Promise<T>): Promise<T> => {
    let isLarge = false;
    let startedAt = 0;
    const begin = async () => {
      if (isLarge) return;
      if (this.#isBusy) await new Promise<void>((resolve) => this.#waiting.add(accountId, resolve));
      this.#isBusy = true;
      isLarge = true;
      startedAt = performance.now();
    };
    const pause = async () => {
      if (!isLarge || performance.now() - startedAt < MAX_PIECE_MS) return;
      await turn();
      startedAt = performance.now();
    };
    try {
      return await work({ begin, pause });
    } finally {
      if (isLarge) this.#end();
    }
  };

  /** Begins the next work, if there is one: then the place does not become free. */
  #end(): void {
    const begin = this.#waiting.next();
    if (begin === undefined) this.#isBusy = false;
    else begin();
  }
}
