import { setImmediate as turn, setTimeout as wait } from 'node:timers/promises';
import type { Pieces } from '../pieces.js';

/** Divides long work into slices of time: other requests are served between two of them. */
export class TimeSlice {
  readonly #maxMs: number;
  #startedAt = performance.now();

  constructor(maxMs: number) {
    this.#maxMs = maxMs;
  }

  /** Resolves in a later turn of the event loop if the slice is over; then the next one begins. */
  async pause(): Promise<void> {
    if (performance.now() - this.#startedAt < this.#maxMs) return;
    await turn();
    this.#startedAt = performance.now();
  }
}

/** The pieces of work that never waits for other large work. @param maxMs the longest time between two pauses */
export function timeSliced(maxMs: number): Pieces {
  const slice = new TimeSlice(maxMs);
  return { begin: async () => {}, pause: () => slice.pause() };
}

/**
 * Runs the pieces of work in the background, until one returns false or the signal fires. Each is followed by a pause as long as it
 * took: a request waits for several pieces, since it has several transactions, and in the pauses for none.
 */
export async function runWithPauses(piece: () => Promise<boolean>, signal?: AbortSignal): Promise<void> {
  while (!signal?.aborted) {
    const beganAt = performance.now();
    if (!(await piece())) return;
    await wait(performance.now() - beganAt);
  }
}
