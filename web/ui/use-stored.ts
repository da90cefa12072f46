import { useSyncExternalStore } from 'react';
import { Store } from './store.js';

/** What was chosen since the page was loaded, by the key under which the browser keeps it. */
const chosen = new Store<string>();

/** A choice that this browser keeps, and all parts of the page share. `initial` is used until the user has chosen. */
export function useStored<T extends string>(
  key: string,
  choices: readonly T[],
  initial: T,
): readonly [T, (choice: T) => void] {
  const stored = chosen.useValue(key) ?? localStorage.getItem(key);
  const choose = (next: T) => {
    localStorage.setItem(key, next);
    chosen.set(next, key);
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
