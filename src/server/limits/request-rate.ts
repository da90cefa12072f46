import { setTimeout as wait } from 'node:timers/promises';
import { ServiceError } from '../../dataset/errors.js';
import { RateLimiter } from '../../service/limits/rate-limiter.js';

/** An account may save up the requests of this many seconds, since clients send many at once and then none. */
const BURST_SECONDS = 10;

/** The longest time that a poll waits for its turn. */
const MAX_POLL_DELAY_MS = 5000;

/** A client polls once a second or less; an account has many of them. */
const MIN_POLLS_PER_SECOND = 50;

/** Limits the requests of each account. Polls of a status have a rate of their own, and are delayed instead of rejected. */
export class RequestRate {
  readonly #perSecond: number;
  readonly #requests: RateLimiter;
  readonly #polls: RateLimiter;

  constructor(perSecond: number) {
    this.#perSecond = perSecond;
    this.#requests = new RateLimiter({ perSecond, burst: perSecond * BURST_SECONDS });
    const pollsPerSecond = Math.max(perSecond, MIN_POLLS_PER_SECOND);
    this.#polls = new RateLimiter({ perSecond: pollsPerSecond, burst: pollsPerSecond * BURST_SECONDS });
  }

  /** @throws ServiceError `too_many_requests` */
  async admit(accountId: string, { isPoll }: { isPoll: boolean }): Promise<void> {
    if (isPoll) {
      const delayMs = this.#polls.queue(accountId, MAX_POLL_DELAY_MS);
      if (delayMs > 0) await wait(delayMs);
      return;
    }
    const delayMs = this.#requests.take(accountId);
    if (delayMs === 0) return;
    const retryAfterSeconds = Math.ceil(delayMs / 1000);
    const message = `The account sends more than ${this.#perSecond} requests a second (--account-requests-per-second). Try again in ${retryAfterSeconds} s.`;
    throw new ServiceError('too_many_requests', message, { retryAfterSeconds });
  }
}
