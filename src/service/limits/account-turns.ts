import { setTimeout as wait } from 'node:timers/promises';
import { FairQueue } from '../../storage/fair-queue.js';
import { turn } from '../../storage/time-slice.js';

/** An account whose last piece of work began longer ago waits for nothing. */
const RECENT_MS = 1000;

/**
 * Begins the work of accounts in turns: one piece in each turn of the event loop, from one account after the other. A piece
 * ends when it first waits for a file, a connection or a timer. With SQLite that is often its end, so that without turns, a
 * hundred requests of one account that arrive at the same moment would be answered before anything else, such as `/healthz`.
 */
export class AccountTurns {
  readonly #turns = new FairQueue(1);
  readonly #nowMs: () => number;
  readonly #wait: (ms: number) => Promise<unknown>;
  /** When the last two accounts that took a turn did so, the latest at the end. */
  readonly #latest = new Map<string, number>();

  constructor({ nowMs = () => performance.now(), waitMs = (ms: number) => wait(ms) } = {}) {
    this.#nowMs = nowMs;
    this.#wait = waitMs;
  }

  /**
   * Resolves when the account may begin another piece of work: at once if none has begun in this turn of the loop. With SQLite, a
   * large write of one account goes before each of the small writes of another's request, unless it pauses between its pieces.
   *
   * @param tookMs of the piece before, for as long as which others go first if there are any
   */
  readonly take = async (accountId: string, tookMs = 0): Promise<void> => {
    if (tookMs > 0 && this.#othersAreActive(accountId)) await this.#wait(tookMs);
    this.#remember(accountId);
    const release = await this.#turns.acquire(accountId);
    void turn().then(() => release());
  };

  #othersAreActive(accountId: string): boolean {
    const since = this.#nowMs() - RECENT_MS;
    return [...this.#latest].some(([other, at]) => other !== accountId && at >= since);
  }

  #remember(accountId: string): void {
    this.#latest.delete(accountId);
    this.#latest.set(accountId, this.#nowMs());
    const [oldest] = this.#latest.keys();
    if (this.#latest.size > 2 && oldest !== undefined) this.#latest.delete(oldest);
  }
}
