/** One listener for all dependents of a signal, since Node warns of more than ten. */
const dependentsOf = new WeakMap<AbortSignal, Set<AbortController>>();

/**
 * Runs `work` with a signal that fires with the first of `signals`. With `AbortSignal.any`, signals that outlive the work would keep
 * memory for every call (https://github.com/nodejs/node/issues/64476).
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
 * Node may lose a combined `AbortSignal.timeout` to the garbage collector (https://github.com/nodejs/node/issues/57736).
 * The reason of this signal is a DOMException `TimeoutError`.
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

/** Ends the wait for work that may miss the abort, as `fetch` does (see `abortable`). @throws the signal's reason */
export async function untilAborted<T>(work: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (signal === undefined) return work;
  let onAbort = () => {};
  const aborted = new Promise<never>((_, reject) => {
    onAbort = () => reject(signal.reason);
    if (signal.aborted) onAbort();
    else signal.addEventListener('abort', onAbort, { once: true });
  });
  try {
    return await Promise.race([work, aborted]);
  } finally {
    signal.removeEventListener('abort', onAbort);
  }
}
