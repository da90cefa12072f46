import type { ServerResponse } from 'node:http';
import { Quota } from '../../service/limits/quota.js';
import { onceClosed } from '../bodies.js';
import type { App, HoldUnsent } from '../context.js';

/** Smaller answers don't count: the kernel takes them. */
const LARGE_BYTES = 64 * 1024;

/** Of one account, and of all. An answer about a dataset of ten thousand files has some megabytes. */
const MAX_BYTES_OF_ACCOUNT = 128 * 1024 * 1024;
const MAX_BYTES = 256 * 1024 * 1024;

/**
 * Limits the memory of answers that wait for their clients to read them: of those that are made as a whole, and of the pages of those
 * that are made page by page.
 *
 * @returns `hold` throws as a Quota does
 */
export function limitUnsentAnswers(app: App): { quota: Quota; hold: HoldUnsent } {
  const quota = new Quota({
    ofAccount: MAX_BYTES_OF_ACCOUNT,
    ofAll: MAX_BYTES,
    what: 'bytes of answers that clients have not read yet',
  });
  const releases = new WeakMap<ServerResponse, () => void>();
  const hold: HoldUnsent = (response, { accountId, bytes }) => {
    if (response.destroyed) return;
    const release = releases.get(response);
    if (release === undefined) onceClosed(response, () => releases.get(response)?.());
    release?.();
    releases.set(response, bytes === 0 ? () => {} : quota.hold(accountId, bytes));
  };
  app.addHook('onSend', async ({ accountId = '' }, { raw }, payload) => {
    if (typeof payload !== 'string' && !Buffer.isBuffer(payload)) return payload;
    const bytes = Buffer.byteLength(payload);
    if (bytes < LARGE_BYTES) return payload;
    hold(raw, { accountId, bytes });
    // Of a text, Node would keep both the text and its bytes until the client has read them.
    return typeof payload === 'string' ? Buffer.from(payload) : payload;
  });
  return { quota, hold };
}
