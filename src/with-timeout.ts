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
