import { type ComponentType, useEffect, useReducer, useState } from 'react';
import { LoadFailure } from './loaded.js';

/** After the first view has its pictures. */
const IDLE_MS = 2000;

/**
 * A view whose script is not part of the first load. It is loaded when the view is shown, or a moment after the page, so that the
 * view opens at once and without a connection too. What fails to load can be tried again.
 *
 * @param options.isLoadedAhead false: only when the view is shown
 */
export function loadedLater<P extends object>(
  load: () => Promise<ComponentType<P>>,
  { isLoadedAhead = true } = {},
): ComponentType<P> {
  const later: LaterView<P> = {
    load: async () => {
      later.View ??= await load();
    },
  };
  if (isLoadedAhead) setTimeout(() => void later.load().catch(() => {}), IDLE_MS);
  return (props: P) => <Later later={later} props={props} />;
}

interface LaterView<P> {
  View?: ComponentType<P>;
  readonly load: () => Promise<void>;
}

function Later<P extends object>({ later: { View, load }, props }: { later: LaterView<P>; props: P }) {
  const [error, setError] = useState<Error | null>(null);
  const [, showLoaded] = useReducer((count: number) => count + 1, 0);
  const isMissing = View === undefined && error === null;
  useEffect(() => {
    if (isMissing) void load().then(showLoaded, setError);
  }, [isMissing, load]);
  if (View !== undefined) return <View {...props} />;
  if (error === null) return <p aria-live="polite">Loading …</p>;
  return <LoadFailure error={error} what="Could not load this view." onRetry={() => setError(null)} />;
}
