import { setImmediate as turn } from 'node:timers/promises';

/** Divides long work into slices of time: other requests are served between two of them. */
export class TimeSlice {
  readonly #maxMs: number;
  #startedAt = performance.now();

  constructor(maxMs: number) {
    this.#maxMs = maxMs;
  }

  get isOver(): boolean {
    return performance.now() - this.#startedAt >= this.#maxMs;
  }

  /** Resolves in a later turn of the event loop, when the next slice begins. */
  async next(): Promise<void> {
    await turn();
    this.#startedAt = performance.now();
  }
}
