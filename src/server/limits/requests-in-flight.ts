import type { ServerResponse } from 'node:http';
import { ServiceError } from '../../dataset/errors.js';
import { onceClosed } from '../bodies.js';

const RETRY_AFTER_SECONDS = 2;

/** At once. */
export interface RequestLimits {
  readonly ofAccount: number;
  readonly ofAll: number;
  /** Completes "The account has 50 ". */
  readonly what: string;
}

/** Limits the requests of each account, or some of them, that are being answered, so that one account can't take what all need. */
export class RequestsInFlight {
  readonly #limits: RequestLimits;
  readonly #ofAccounts = new Map<string, number>();
  #total = 0;

  constructor(limits: RequestLimits) {
    this.#limits = limits;
  }

  /** Counts a request until its response is closed. @throws ServiceError `too_many_requests`, `overloaded` */
  admit(accountId: string, response: ServerResponse): void {
    const { ofAccount, ofAll, what } = this.#limits;
    const retryAfterSeconds = RETRY_AFTER_SECONDS;
    const inFlight = this.#ofAccounts.get(accountId) ?? 0;
    if (inFlight >= ofAccount) {
      const message = `The account has ${inFlight} ${what}. Wait until one of them ends.`;
      throw new ServiceError('too_many_requests', message, { retryAfterSeconds });
    }
    if (this.#total >= ofAll) {
      throw new ServiceError('overloaded', `The server has ${this.#total} ${what}. Try again soon.`, {
        retryAfterSeconds,
      });
    }
    this.#ofAccounts.set(accountId, inFlight + 1);
    this.#total++;
    onceClosed(response, () => {
      this.#total--;
      const left = (this.#ofAccounts.get(accountId) ?? 1) - 1;
      if (left === 0) this.#ofAccounts.delete(accountId);
      else this.#ofAccounts.set(accountId, left);
    });
  }
}
