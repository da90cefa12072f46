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
  #isWoken = false;
  #isContinued = false;
  /** Ends a sleep that is over. */
  #onChange: () => void = () => {};

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
    this.#isWoken = true;
    this.#onChange();
  }

  /** Runs the work as soon as no run is in flight, and returns at once. */
  continue(): void {
    this.#isContinued = true;
    this.wake();
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
      // Before the work, so that a call meanwhile causes another run.
      this.#isWoken = false;
      this.#isContinued = false;
      const next = await this.#work(signal).catch(onError);
      const sleepMs = typeof next === 'number' ? Math.min(Math.max(next, 1), pauseMs) : pauseMs;
      await this.#sleep(minPauseMs, () => this.#isContinued);
      await this.#sleep(sleepMs, () => this.#isWoken);
    }
  }

  /** Resolves after a time, or as soon as the sleep is over. */
  #sleep(ms: number, isOver: () => boolean): Promise<void> {
    if (isOver()) return Promise.resolve();
    return new Promise((resolve) => {
      const end = () => {
        clearTimeout(timer);
        this.#onChange = () => {};
        resolve();
      };
      const timer = setTimeout(end, ms);
      this.#onChange = () => {
        if (isOver()) end();
      };
    });
  }
}
