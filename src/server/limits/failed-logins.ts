import { isIPv6 } from 'node:net';
import { setTimeout as wait } from 'node:timers/promises';
import { ServiceError } from '../../dataset/errors.js';
import { RateLimiter } from '../../service/limits/rate-limiter.js';

/** A client with a wrong token gets this many seconds' worth of answers at once. */
const BURST_SECONDS = 5;
const MAX_DELAY_MS = 2000;

/** Requests that wait for their answer; each holds a connection. */
const MAX_DELAYED = 200;

/**
 * Limits wrong tokens, and codes that sign in, by address. It slows down the answers to wrong tokens. A token is always looked
 * up first, so that a valid one is never slowed down, even if it comes from the same address: behind a proxy that is not trusted,
 * all clients share one. Codes are counted before they are looked up, the valid ones too: a browser sends one when a person
 * opens a link.
 */
export class FailedLogins {
  readonly #failures: RateLimiter;
  readonly #codes: RateLimiter;
  #delayed = 0;

  constructor(perSecond: number) {
    const rate = { perSecond, burst: perSecond * BURST_SECONDS };
    this.#failures = new RateLimiter(rate);
    this.#codes = new RateLimiter(rate);
  }

  /** Counts a code that is to be looked up. @throws ServiceError `too_many_requests` */
  admitCode(address: string): void {
    const delayMs = this.#codes.take(networkOf(address));
    if (delayMs === 0) return;
    const message =
      'Too many codes that sign in come from this address (--failed-logins-per-second). Try again, or sign in with a token.';
    throw new ServiceError('too_many_requests', message, { retryAfterSeconds: Math.ceil(delayMs / 1000) });
  }

  /** Resolves when a request with a wrong token may be answered. @throws ServiceError `too_many_requests` */
  async delay(address: string): Promise<void> {
    const delayMs = this.#failures.queue(networkOf(address), MAX_DELAY_MS);
    if (delayMs === 0) return;
    if (this.#delayed >= MAX_DELAYED) {
      const message =
        'Too many requests have a wrong token (--failed-logins-per-second). Check the token, then try again.';
      throw new ServiceError('too_many_requests', message, { retryAfterSeconds: MAX_DELAY_MS / 1000 });
    }
    this.#delayed++;
    await wait(delayMs).finally(() => this.#delayed--);
  }
}

/** The first 64 bits of an IPv6 address: one host usually has all the addresses that begin with them. */
function networkOf(address: string): string {
  if (!isIPv6(address) || address.startsWith('::ffff:')) return address;
  const [head = '', tail] = address.split('::');
  const groups = head === '' ? [] : head.split(':');
  const tailGroups = tail === undefined || tail === '' ? [] : tail.split(':');
  const zeros = tail === undefined ? [] : Array(Math.max(0, 8 - groups.length - tailGroups.length)).fill('0');
  return [...groups, ...zeros, ...tailGroups].slice(0, 4).join(':');
}
