import { useSyncExternalStore } from 'react';

/** Values outside of all components, by a key such as the id of a dataset. They stay while the user visits another page. */
export class Store<T> {
  readonly #values = new Map<string, T>();
  readonly #listeners = new Set<() => void>();

  get(key = ''): T | undefined {
    return this.#values.get(key);
  }

  values(): readonly T[] {
    return [...this.#values.values()];
  }

  /** `undefined` removes the value. */
  set(value: T | undefined, key = ''): void {
    if (value === undefined) this.#values.delete(key);
    else this.#values.set(key, value);
    for (const listener of this.#listeners) listener();
  }

  /** The value in a component, which is rendered again when it changes. */
  useValue(key = ''): T | undefined {
    return this.useSelected((value) => value, key);
  }

  /** What a component needs of the value; it is rendered again when that changes alone. */
  useSelected<S>(select: (value: T | undefined) => S, key = ''): S {
    return useSyncExternalStore(this.#subscribe, () => select(this.get(key)));
  }

  readonly #subscribe = (listener: () => void): (() => void) => {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  };
}

/** Asks before the page is left while work of this tab goes on. Returns what ends it. */
export function warnBeforeLeaving(isWorking: () => boolean): () => void {
  const listening = new AbortController();
  const onLeave = (event: BeforeUnloadEvent) => isWorking() && event.preventDefault();
  addEventListener('beforeunload', onLeave, { signal: listening.signal });
  return () => listening.abort();
}
