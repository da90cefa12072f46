import type { Pieces } from '../../pieces.js';
import { FairQueue } from '../../storage/fair-queue.js';
import { TimeSlice } from '../../storage/time-slice.js';

/** The longest that a request of another account waits in each turn of the event loop. */
const MAX_SLICE_MS = 5;

/**
 * Runs tasks about files: small ones at once, as many as `smallAtOnce` allows, and large ones one at a time, in slices of time; of
 * one account after the other. A dataset of fifty thousand files would block the event loop for a second, and several at once would
 * need the memory of each.
 */
export class LargeWork {
  readonly #small: FairQueue;
  readonly #large = new FairQueue(1);

  constructor({ smallAtOnce = Number.POSITIVE_INFINITY } = {}) {
    this.#small = new FairQueue(smallAtOnce);
  }

  /** Runs a task, which counts as large once it has called `begin`. It must not wait for another task of this kind. */
  readonly run = async <T>(accountId: string, task: (pieces: Pieces) => Promise<T>): Promise<T> => {
    let slice: TimeSlice | undefined;
    let isLarge = false;
    let release = await this.#small.acquire(accountId);
    const begin = async () => {
      if (isLarge) return;
      isLarge = true;
      release();
      release = await this.#large.acquire(accountId);
      slice = new TimeSlice(MAX_SLICE_MS);
    };
    const pause = async () => {
      await slice?.pause();
    };
    try {
      return await task({ accountId, begin, mustWait: () => !isLarge && this.#large.held > 0, pause });
    } finally {
      release();
    }
  };
}
