/** The controllers that a signal aborts. One listener aborts all of them: Node warns of more than ten. */
const dependentsOf = new WeakMap<AbortSignal, Set<AbortController>>();

/**
 * Runs `work` with a signal that fires once one of `signals` does, with its reason, and not after `work`. `AbortSignal.any` is not
 * for this: signals that outlive the work would keep memory for every call (https://github.com/nodejs/node/issues/64476).
 *
 * @throws what `work` throws
 */
export async function withAnySignal<T>(
  signals: readonly (AbortSignal | undefined)[],
  work: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const combined = new AbortController();
  const sources = signals.filter((signal) => signal !== undefined);
  const aborted = sources.find((signal) => signal.aborted);
  if (aborted === undefined) for (const signal of sources) dependentsOn(signal).add(combined);
  else combined.abort(aborted.reason);
  try {
    return await work(combined.signal);
  } finally {
    for (const signal of sources) dependentsOf.get(signal)?.delete(combined);
  }
}

function dependentsOn(signal: AbortSignal): Set<AbortController> {
  const known = dependentsOf.get(signal);
  if (known !== undefined) return known;
  const dependents = new Set<AbortController>();
  dependentsOf.set(signal, dependents);
  const onAbort = () => {
    for (const each of dependents) each.abort(signal.reason);
  };
  signal.addEventListener('abort', onAbort, { once: true });
  return dependents;
}

/**
 * Runs `work` with a signal that fires after a time. `AbortSignal.timeout` is not for this: where it is combined with other
 * signals, Node may lose it to the garbage collector (https://github.com/nodejs/node/issues/57736).
 *
 * @throws what `work` throws; the reason of the signal is a DOMException `TimeoutError`
 */
export async function withTimeout<T>(ms: number, work: (signal: AbortSignal) => Promise<T>): Promise<T> {
  const timeout = new AbortController();
  const timer = setTimeout(() => {
    timeout.abort(new DOMException('The operation was aborted due to timeout', 'TimeoutError'));
  }, ms);
  try {
    return await work(timeout.signal);
  } finally {
    clearTimeout(timer);
  }
}
