import type { ServerResponse } from 'node:http';
import { ServiceError } from '../../dataset/errors.js';
import { onceClosed } from '../bodies.js';

const RETRY_AFTER_SECONDS = 2;

/**
 * Limits the requests of each account that are being answered, waits and event streams among them, so that one account can't
 * take all connections.
 */
export class RequestsInFlight {
  readonly #perAccount: number;
  readonly #ofAccounts = new Map<string, number>();

  constructor(perAccount: number) {
    this.#perAccount = perAccount;
  }

  /** Counts a request until its response is closed. @throws ServiceError `too_many_requests` */
  admit(accountId: string, response: ServerResponse): void {
    const inFlight = this.#ofAccounts.get(accountId) ?? 0;
    if (inFlight >= this.#perAccount) {
      const message = `The account has ${inFlight} requests in flight, half of the connections that this server takes (--max-connections). Wait until one of them ends.`;
      throw new ServiceError('too_many_requests', message, { retryAfterSeconds: RETRY_AFTER_SECONDS });
    }
    this.#ofAccounts.set(accountId, inFlight + 1);
    onceClosed(response, () => {
      const left = (this.#ofAccounts.get(accountId) ?? 1) - 1;
      if (left === 0) this.#ofAccounts.delete(accountId);
      else this.#ofAccounts.set(accountId, left);
    });
  }
}
