import { ServiceError } from '../../dataset/errors.js';

const RETRY_AFTER_SECONDS = 2;

/** Limits the uploads that this process receives at once for each account. */
export class UploadSlots {
  readonly #perAccount: number;
  readonly #taken = new Map<string, number>();

  constructor(perAccount: number) {
    this.#perAccount = perAccount;
  }

  /** The uploads of all accounts. */
  get taken(): number {
    return [...this.#taken.values()].reduce((sum, taken) => sum + taken, 0);
  }

  /** Runs `work` in a slot of the account. @throws ServiceError `too_many_uploads` */
  async run<T>(accountId: string, work: () => Promise<T>): Promise<T> {
    const taken = this.#taken.get(accountId) ?? 0;
    if (taken >= this.#perAccount) {
      const message = `The account has ${taken} uploads in flight, the limit of this server (--account-uploads). Wait until one of them ends.`;
      throw new ServiceError('too_many_uploads', message, { retryAfterSeconds: RETRY_AFTER_SECONDS });
    }
    this.#taken.set(accountId, taken + 1);
    try {
      return await work();
    } finally {
      const left = (this.#taken.get(accountId) ?? 1) - 1;
      if (left === 0) this.#taken.delete(accountId);
      else this.#taken.set(accountId, left);
    }
  }
}
