/** A signal that fires once one of others does. */
interface CombinedSignal {
  readonly signal: AbortSignal;
  /** Stops listening to the others; the signal does not fire later. */
  readonly release: () => void;
}

/** The signals that a signal is combined into. One listener aborts all of them: Node warns of more than ten. */
interface Dependents {
  readonly controllers: Set<AbortController>;
  readonly onAbort: () => void;
}

const dependentsOf = new WeakMap<AbortSignal, Dependents>();

/**
 * Combines signals into one, which fires with the reason of the first that fires, until it is released. `AbortSignal.any` is not
 * for this: signals that outlive the work would keep memory for every call (https://github.com/nodejs/node/issues/64476).
 */
export function anySignal(signals: readonly (AbortSignal | undefined)[]): CombinedSignal {
  const combined = new AbortController();
  const sources = signals.filter((signal) => signal !== undefined);
  const aborted = sources.find((signal) => signal.aborted);
  if (aborted === undefined) for (const signal of sources) addDependent(signal, combined);
  else combined.abort(aborted.reason);
  const release = () => {
    for (const signal of sources) removeDependent(signal, combined);
  };
  return { signal: combined.signal, release };
}

/** Runs `work` with a signal that fires once one of `signals` does, with its reason. @throws what `work` throws */
export async function withAnySignal<T>(
  signals: readonly (AbortSignal | undefined)[],
  work: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const { signal, release } = anySignal(signals);
  try {
    return await work(signal);
  } finally {
    release();
  }
}

function addDependent(signal: AbortSignal, controller: AbortController): void {
  let dependents = dependentsOf.get(signal);
  if (dependents === undefined) {
    const controllers = new Set<AbortController>();
    const onAbort = () => {
      for (const each of controllers) each.abort(signal.reason);
    };
    dependents = { controllers, onAbort };
    dependentsOf.set(signal, dependents);
    signal.addEventListener('abort', onAbort);
  }
  dependents.controllers.add(controller);
}

function removeDependent(signal: AbortSignal, controller: AbortController): void {
  const dependents = dependentsOf.get(signal);
  if (dependents === undefined) return;
  const { controllers, onAbort } = dependents;
  controllers.delete(controller);
  if (controllers.size > 0) return;
  signal.removeEventListener('abort', onAbort);
  dependentsOf.delete(signal);
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
