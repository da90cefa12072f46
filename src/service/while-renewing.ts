import { withAnySignal } from '../abort-signals.js';
import type { Micros } from '../dataset/dataset.js';

const RENEWALS_PER_LEASE = 5;

export class LeaseLost extends Error {
  constructor() {
    super('The lease was lost.');
  }
}

/**
 * Runs `work` and renews a lease until it ends. A failed renewal is ignored, since the lease outlives several of them.
 *
 * @param options.renew returns false if the lease is lost; then the signal of `work` fires with `LeaseLost`
 */
export async function whileRenewing<T>(
  { leaseDuration, renew, signal }: { leaseDuration: Micros; renew: () => Promise<boolean>; signal?: AbortSignal },
  work: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const lost = new AbortController();
  const heartbeat = setInterval(
    () =>
      renew().then(
        (isHeld) => {
          if (!isHeld) lost.abort(new LeaseLost());
        },
        () => {},
      ),
    leaseDuration / 1000 / RENEWALS_PER_LEASE,
  );
  try {
    return await withAnySignal([signal, lost.signal], work);
  } finally {
    clearInterval(heartbeat);
  }
}
