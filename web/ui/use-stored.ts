import { useSyncExternalStore } from 'react';

const listeners = new Set<() => void>();

function subscribe(listener: () => void): () => void {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

/** A choice that this browser keeps, and all parts of the page share. `initial` is used until the user has chosen. */
export function useStored<T extends string>(
  key: string,
  choices: readonly T[],
  initial: T,
): readonly [T, (choice: T) => void] {
  const stored = useSyncExternalStore(subscribe, () => localStorage.getItem(key));
  const choose = (next: T) => {
    localStorage.setItem(key, next);
    for (const listener of listeners) listener();
  };
  return [choices.find((each) => each === stored) ?? initial, choose];
}

/** Whether the window meets a condition, such as `(min-width: 64rem)`. */
export function useMedia(condition: string): boolean {
  return useSyncExternalStore(
    (listener) => {
      const list = matchMedia(condition);
      list.addEventListener('change', listener);
      return () => list.removeEventListener('change', listener);
    },
    () => matchMedia(condition).matches,
  );
}
