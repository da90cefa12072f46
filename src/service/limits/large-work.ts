import type { Pieces } from '../../pieces.js';
import { TimeSlice } from '../../storage/time-slice.js';
import { AccountQueue } from './account-queue.js';

/** The longest that a request of another account waits in each turn of the event loop. */
const MAX_SLICE_MS = 5;

/**
 * Runs tasks about many files in slices of time, one task at a time, of one account after the other: a dataset of fifty thousand
 * files would block the event loop for a second, and several at once would need the memory of each.
 */
export class LargeWork {
  readonly #waiting = new AccountQueue();
  #isBusy = false;

  /** Runs a task, which counts as large once it has called `begin`. It must not wait for another task of this kind. */
  readonly run = async <T>(accountId: string, task: (pieces: Pieces) => Promise<T>): Promise<T> => {
    let slice: TimeSlice | undefined;
    const begin = async () => {
      if (slice !== undefined) return;
      if (this.#isBusy) await new Promise<void>((resolve) => this.#waiting.add(accountId, resolve));
      this.#isBusy = true;
      slice = new TimeSlice(MAX_SLICE_MS);
    };
    const pause = async () => {
      await slice?.pause();
    };
    try {
      return await task({ begin, pause });
    } finally {
      if (slice !== undefined) this.#end();
    }
  };

  /** Lets the next task begin. If there is one, `#isBusy` stays true, so that no other task begins before it. */
  #end(): void {
    const begin = this.#waiting.next();
    if (begin === undefined) this.#isBusy = false;
    else begin();
  }
}
