import { useEffect, useState } from 'react';
import { signOutWhereRefused } from '../session/client.js';

export type Preparation<T> =
  | { readonly state: 'under way' }
  | { readonly state: 'ready'; readonly value: T }
  | { readonly state: 'failed'; readonly error: unknown; readonly retry: () => void };

/** What has to be found out before anything can be asked. @param prepare stays the same, or is begun anew */
export function usePreparation<T>(prepare: (signal: AbortSignal) => Promise<T>): Preparation<T> {
  const [preparation, setPreparation] = useState<Preparation<T>>({ state: 'under way' });
  const [attempt, setAttempt] = useState(0);
  // biome-ignore lint/correctness/useExhaustiveDependencies: each attempt is one more
  useEffect(() => {
    const leaving = new AbortController();
    setPreparation({ state: 'under way' });
    prepare(leaving.signal).then(
      (value) => leaving.signal.aborted || setPreparation({ state: 'ready', value }),
      (error) => {
        if (leaving.signal.aborted) return;
        signOutWhereRefused(error);
        setPreparation({ state: 'failed', error, retry: () => setAttempt((known) => known + 1) });
      },
    );
    return () => leaving.abort();
  }, [prepare, attempt]);
  return preparation;
}
