import { type ErrorCode, ServiceError } from '../../dataset/errors.js';
import type { AccountUsage } from '../../storage/catalog/accounts/account-usage.js';

interface QuotaLimits {
  readonly ofAccount: number;
  /** Without it, only each account has a limit. */
  readonly ofAll?: number;
  /** Such as `uploads in flight`. */
  readonly what: string;
  readonly retryAfterSeconds?: number;
  /** `too_many_requests` by default. */
  readonly accountError?: ErrorCode;
}

/** Numbers that accounts hold, such as requests or bytes, with a limit for each account and for all. */
export class Quota {
  readonly #limits: QuotaLimits;
  readonly #heldBy = new Map<string, number>();
  #held = 0;

  constructor(limits: QuotaLimits) {
    this.#limits = limits;
  }

  get held(): number {
    return this.#held;
  }

  /** Holds `count` more until the returned function is called. @throws ServiceError `too_many_requests` (429) or `overloaded` (503) */
  hold(accountId: string, count = 1): () => void {
    const { ofAccount, ofAll = Number.POSITIVE_INFINITY, what, retryAfterSeconds = 2 } = this.#limits;
    const held = this.#heldBy.get(accountId) ?? 0;
    const beyond = (who: string, limit: number) =>
      `${who} has ${limit === 1 ? 'a limit of 1' : `at most ${limit}`} ${what}. Wait until others end, then try again.`;
    if (held + count > ofAccount) {
      const { accountError = 'too_many_requests' } = this.#limits;
      throw new ServiceError(accountError, beyond('An account', ofAccount), { retryAfterSeconds });
    }
    if (this.#held + count > ofAll) {
      throw new ServiceError('overloaded', beyond('The server', ofAll), { retryAfterSeconds });
    }
    this.#add(accountId, count);
    let isHeld = true;
    return () => {
      if (isHeld) this.#add(accountId, -count);
      isHeld = false;
    };
  }

  #add(accountId: string, count: number): void {
    const held = (this.#heldBy.get(accountId) ?? 0) + count;
    if (held === 0) this.#heldBy.delete(accountId);
    else this.#heldBy.set(accountId, held);
    this.#held += count;
  }
}

/** The limits of an account, and of this process. */
export interface Limits {
  readonly account: AccountUsage;
  readonly maxDatasetFiles: number;
  readonly accountRequestsPerSecond: number;
}
