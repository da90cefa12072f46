import { setImmediate as nextLoopIteration } from 'node:timers/promises';

/** To be called when the process has accepted a connection. */
export function noteConnection(): void {}

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
    await nextLoopIteration();
    this.#startedAt = performance.now();
  }
}
