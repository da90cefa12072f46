import type { ServerResponse } from 'node:http';
import { onceClosed } from '../bodies.js';
import type { App } from '../context.js';

/** Smaller answers don't count: the kernel takes them. */
const LARGE_BYTES = 64 * 1024;

/** Of one account, and of all. An answer about a dataset of ten thousand files has some megabytes. */
const MAX_BYTES_OF_ACCOUNT = 128 * 1024 * 1024;
const MAX_BYTES = 256 * 1024 * 1024;

interface Unsent {
  readonly accountId: string;
  readonly bytes: number;
}

/**
 * Limits the memory of answers that wait for their clients to read them: of those that were made as a whole, and of the
 * pages of those that are made page by page. Beyond it, the connection whose answer or page has waited for longest is reset: of
 * the account that has reached its limit, or else of the one that holds most.
 */
export class UnsentAnswers {
  /** In the order in which they were made. */
  readonly #answers = new Map<ServerResponse, Unsent>();
  /** Those that are removed when they close. */
  readonly #known = new WeakSet<ServerResponse>();
  readonly #ofAccounts = new Map<string, number>();
  #total = 0;

  /** The bytes of all such answers. */
  get bytes(): number {
    return this.#total;
  }

  /** Counts what of an answer is not sent, instead of what was counted before, until the response is closed. */
  hold(response: ServerResponse, { accountId, bytes }: Unsent): void {
    if (response.destroyed) return;
    if (!this.#known.has(response)) {
      this.#known.add(response);
      onceClosed(response, () => this.#remove(response));
    }
    this.#remove(response);
    if (bytes === 0) return;
    while (this.#ofAccounts.has(accountId) && this.#bytesOf(accountId) + bytes > MAX_BYTES_OF_ACCOUNT) {
      this.#endOldestOf(accountId);
    }
    while (this.#ofAccounts.size > 0 && this.#total + bytes > MAX_BYTES) {
      const [most] = [...this.#ofAccounts].reduce((one, other) => (other[1] > one[1] ? other : one));
      this.#endOldestOf(most);
    }
    this.#answers.set(response, { accountId, bytes });
    this.#add(accountId, bytes);
  }

  #bytesOf(accountId: string): number {
    return this.#ofAccounts.get(accountId) ?? 0;
  }

  #add(accountId: string, bytes: number): void {
    const sum = this.#bytesOf(accountId) + bytes;
    if (sum === 0) this.#ofAccounts.delete(accountId);
    else this.#ofAccounts.set(accountId, sum);
    this.#total += bytes;
  }

  #remove(response: ServerResponse): void {
    const answer = this.#answers.get(response);
    if (answer === undefined) return;
    this.#answers.delete(response);
    this.#add(answer.accountId, -answer.bytes);
  }

  #endOldestOf(accountId: string): void {
    for (const [response, answer] of this.#answers) {
      if (answer.accountId !== accountId) continue;
      this.#remove(response);
      response.socket?.resetAndDestroy();
      return;
    }
  }
}

/** Counts the answers of an app that were made as a whole. */
export function countUnsentAnswers(app: App, answers: UnsentAnswers): void {
  app.addHook('onSend', async ({ accountId = '' }, { raw }, payload) => {
    const bytes = typeof payload === 'string' || Buffer.isBuffer(payload) ? Buffer.byteLength(payload) : 0;
    if (bytes >= LARGE_BYTES) answers.hold(raw, { accountId, bytes });
  });
}
