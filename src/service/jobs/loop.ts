interface LoopOptions {
  /** The longest time between two runs. */
  readonly pauseMs: number;
  readonly onError: (error: unknown) => void;
}

/** Runs work again and again, one run at a time. */
export class Loop {
  readonly #stopping = new AbortController();
  readonly #running: Promise<void>;
  /** The next run, on the clock of `performance`. */
  #dueAt = 0;
  #timer: NodeJS.Timeout | undefined;
  /** Present while the loop sleeps. */
  #endSleep: (() => void) | undefined;

  /**
   * Runs `work` at once, and then `pauseMs` after each end, or earlier if `work` returns a shorter pause or the loop is woken.
   * Errors are reported.
   */
  constructor(work: (signal: AbortSignal) => Promise<unknown>, options: LoopOptions) {
    this.#running = this.#run(work, options);
  }

  /** Runs the work after a delay at the latest, once no run is in flight. */
  wake(delayMs = 0): void {
    this.#dueAt = Math.min(this.#dueAt, performance.now() + delayMs);
    if (this.#endSleep === undefined) return;
    clearTimeout(this.#timer);
    this.#timer = setTimeout(this.#endSleep, this.#dueAt - performance.now());
  }

  stop(): Promise<void> {
    this.#stopping.abort();
    this.wake();
    return this.#running;
  }

  async #run(work: (signal: AbortSignal) => Promise<unknown>, { pauseMs, onError }: LoopOptions): Promise<void> {
    const { signal } = this.#stopping;
    while (!signal.aborted) {
      // Before the work, so that a call during the work causes another run.
      this.#dueAt = Number.POSITIVE_INFINITY;
      const next = await work(signal).catch(onError);
      await new Promise<void>((resolve) => {
        this.#endSleep = resolve;
        this.wake(typeof next === 'number' ? Math.min(Math.max(next, 1), pauseMs) : pauseMs);
      });
      this.#endSleep = undefined;
    }
  }
}
