import type { ServerResponse } from 'node:http';
import { onceClosed } from '../bodies.js';
import type { App } from '../context.js';

/** Smaller answers don't count: the kernel takes them. */
const LARGE_BYTES = 64 * 1024;

/** Of one account, and of all. An answer about a dataset of ten thousand files has some megabytes. */
const MAX_BYTES_OF_ACCOUNT = 128 * 1024 * 1024;
const MAX_BYTES = 256 * 1024 * 1024;

interface UnsentAnswer {
  readonly response: ServerResponse;
  readonly accountId: string;
  readonly bytes: number;
}

/**
 * Limits the memory of answers that were made as a whole and wait for their clients to read them. Beyond it, the connection
 * whose answer has waited for longest is reset: of the account that has reached its limit, or else of the one that holds most.
 */
export function limitUnsentAnswers(app: App): { bytes: () => number } {
  /** In the order in which they were made. */
  const answers = new Set<UnsentAnswer>();
  const ofAccounts = new Map<string, number>();
  let total = 0;
  const add = (accountId: string, bytes: number) => {
    const sum = (ofAccounts.get(accountId) ?? 0) + bytes;
    if (sum === 0) ofAccounts.delete(accountId);
    else ofAccounts.set(accountId, sum);
    total += bytes;
  };
  const remove = (answer: UnsentAnswer) => {
    if (answers.delete(answer)) add(answer.accountId, -answer.bytes);
  };
  const endOldestOf = (accountId: string) => {
    for (const answer of answers) {
      if (answer.accountId !== accountId) continue;
      remove(answer);
      answer.response.socket?.resetAndDestroy();
      return;
    }
  };
  app.addHook('onSend', async ({ accountId = '' }, { raw: response }, payload) => {
    const bytes = typeof payload === 'string' || Buffer.isBuffer(payload) ? payload.length : 0;
    if (bytes < LARGE_BYTES || response.destroyed) return;
    while (ofAccounts.has(accountId) && (ofAccounts.get(accountId) ?? 0) + bytes > MAX_BYTES_OF_ACCOUNT) {
      endOldestOf(accountId);
    }
    while (ofAccounts.size > 0 && total + bytes > MAX_BYTES) {
      const [most] = [...ofAccounts].reduce((one, other) => (other[1] > one[1] ? other : one));
      endOldestOf(most);
    }
    const answer = { response, accountId, bytes };
    answers.add(answer);
    add(accountId, bytes);
    onceClosed(response, () => remove(answer));
  });
  return { bytes: () => total };
}
