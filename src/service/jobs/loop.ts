import { setTimeout as wait } from 'node:timers/promises';

export interface LoopOptions {
  /** The longest time between two runs. */
  readonly pauseMs: number;
  /** Runs that follow a call of `wake` begin at least this long after the one before, so that many calls cause few runs. */
  readonly minPauseMs?: number;
  readonly onError: (error: unknown) => void;
}

/** Runs work again and again until it is stopped; one run at a time. */
export class Loop {
  readonly #work: (signal: AbortSignal) => Promise<unknown>;
  readonly #options: LoopOptions;
  readonly #stopping = new AbortController();
  readonly #running: Promise<void>;
  #sleep = new AbortController();
  #pause = new AbortController();

  /**
   * Starts the loop: it runs `work` at once, and then `pauseMs` after each end, or earlier if `work` returns a shorter pause in
   * milliseconds, or when it is woken. An error is reported, and the next run follows after the pause.
   */
  constructor(work: (signal: AbortSignal) => Promise<unknown>, options: LoopOptions) {
    this.#work = work;
    this.#options = options;
    this.#running = this.#run();
  }

  /** Runs the work soon, and returns at once. */
  wake(): void {
    this.#sleep.abort();
  }

  /** Runs the work as soon as no run is in flight, and returns at once. */
  continue(): void {
    this.#pause.abort();
    this.#sleep.abort();
  }

  /** Aborts the signal of the work, and resolves once no run is in flight. */
  stop(): Promise<void> {
    this.#stopping.abort();
    this.continue();
    return this.#running;
  }

  async #run(): Promise<void> {
    const { pauseMs, minPauseMs = 0, onError } = this.#options;
    const { signal } = this.#stopping;
    while (!signal.aborted) {
      // Made before the work, so that a call meanwhile causes another run.
      this.#sleep = new AbortController();
      this.#pause = new AbortController();
      const next = await this.#work(signal).catch(onError);
      const sleepMs = typeof next === 'number' ? Math.min(Math.max(next, 1), pauseMs) : pauseMs;
      await wait(minPauseMs, undefined, { signal: this.#pause.signal }).catch(() => {});
      await wait(sleepMs, undefined, { signal: this.#sleep.signal }).catch(() => {});
    }
  }
}
