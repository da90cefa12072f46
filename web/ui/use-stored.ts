import { useState, useSyncExternalStore } from 'react';

/** A choice that this browser keeps. `initial` is used until the user has chosen. */
export function useStored<T extends string>(
  key: string,
  choices: readonly T[],
  initial: T,
): readonly [T, (choice: T) => void] {
  const [choice, setChoice] = useState<T | undefined>(() => choices.find((each) => each === localStorage.getItem(key)));
  const choose = (next: T) => {
    localStorage.setItem(key, next);
    setChoice(next);
  };
  return [choice ?? initial, choose];
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
