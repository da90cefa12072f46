import type { ServerResponse } from 'node:http';
import { ServiceError } from '../../dataset/errors.js';
import { onceClosed } from '../bodies.js';

/** Of one account, and of all. A file of an archive or a batch takes some hundred bytes until the answer is sent. */
const MAX_FILES_OF_ACCOUNT = 200_000;
const MAX_FILES = 400_000;

const RETRY_AFTER_SECONDS = 10;

/**
 * Limits the memory of archives, and of answers with many captions, whose clients do not read them: the bytes stream, but
 * which files follow is kept until the end. Also that of batches of upload links, which wait for each other.
 *
 * Accounts can't shut out each other: each of n accounts may have an nth of all files, however many the others have. So they
 * together have at most MAX_FILES × (1 + 1/3 + … + 1/n), twice as many with 6 accounts and four times with 50, and what an
 * account has in its only answer beyond MAX_FILES_OF_ACCOUNT.
 */
export class FilesInFlight {
  readonly #ofAccounts = new Map<string, number>();
  #total = 0;

  /** The files of all such answers. */
  get total(): number {
    return this.#total;
  }

  /** As `hold`, until the response is closed. */
  admit(accountId: string, files: number, response: ServerResponse): void {
    onceClosed(response, this.hold(accountId, files));
  }

  /**
   * Counts the files of an answer until the returned callback is called. The only one of an account may have any number, of
   * which MAX_FILES_OF_ACCOUNT count towards those of all accounts.
   *
   * @throws ServiceError `too_many_requests` if the account has too many; `overloaded` if all accounts have, and this one more
   * than its share
   */
  hold(accountId: string, files: number): () => void {
    const inFlight = this.#ofAccounts.get(accountId) ?? 0;
    const retryAfterSeconds = RETRY_AFTER_SECONDS;
    if (inFlight > 0 && inFlight + files > MAX_FILES_OF_ACCOUNT) {
      const message = `The account has archives and batches of ${inFlight} files in flight, and this one has ${files}; the limit is ${MAX_FILES_OF_ACCOUNT}. Wait until one of them ends.`;
      throw new ServiceError('too_many_requests', message, { retryAfterSeconds });
    }
    const counts = new Map(this.#ofAccounts).set(accountId, inFlight + files);
    const counted = [...counts.values()].reduce((sum, count) => sum + Math.min(count, MAX_FILES_OF_ACCOUNT), 0);
    const share = Math.floor(MAX_FILES / counts.size);
    if (counted > MAX_FILES && inFlight + files > share) {
      const message = `The server has archives and batches of ${this.#total} files in flight, and this one has ${files}; the limit is ${MAX_FILES}, and ${share} for each account. Try again later.`;
      throw new ServiceError('overloaded', message, { retryAfterSeconds });
    }
    this.#add(accountId, files);
    return () => this.#add(accountId, -files);
  }

  #add(accountId: string, files: number): void {
    const sum = (this.#ofAccounts.get(accountId) ?? 0) + files;
    if (sum === 0) this.#ofAccounts.delete(accountId);
    else this.#ofAccounts.set(accountId, sum);
    this.#total += files;
  }
}
