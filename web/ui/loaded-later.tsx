import { type ComponentType, lazy, Suspense } from 'react';

/** After the first view has its pictures. */
const IDLE_MS = 2000;

/**
 * A view whose script is not part of the first load. It is loaded when the view is shown, or a moment after the page, so that the
 * view opens at once and without a connection too.
 */
export function loadedLater<P extends object>(load: () => Promise<ComponentType<P>>): ComponentType<P> {
  let loading: Promise<{ default: ComponentType<P> }> | undefined;
  const loadOnce = () => {
    loading ??= load().then((view) => ({ default: view }));
    return loading;
  };
  setTimeout(() => {
    // Tried again when the view is shown.
    loadOnce().catch(() => {
      loading = undefined;
    });
  }, IDLE_MS);
  const View = lazy(loadOnce);
  return (props: P) => (
    <Suspense fallback={<p aria-live="polite">Loading …</p>}>
      <View {...props} />
    </Suspense>
  );
}
