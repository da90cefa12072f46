import { useLayoutEffect } from 'react';
import { useLocation } from 'wouter';

/** How far each address was scrolled down, in pixels. */
const positions = new Map<string, number>();

/** Whether a view has been shown since the page was loaded. */
let isLoaded = false;

/**
 * Scrolls each view to where it was left, and a new one to its beginning; one that shows a file scrolls to it. Browsers do this for
 * Back and Forward alone, and before the view has its height.
 */
export function useKeptScroll(): void {
  const [path] = useLocation();
  useLayoutEffect(() => {
    const record = () => positions.set(path, scrollY);
    addEventListener('scroll', record, { passive: true });
    // The browser restores the view that the page is loaded with.
    const namesFile = new URLSearchParams(location.search).has('file');
    const top = namesFile ? undefined : (positions.get(path) ?? (isLoaded ? 0 : undefined));
    const stop = top === undefined ? undefined : scrollOnceTallEnough(top);
    isLoaded = true;
    return () => {
      stop?.();
      removeEventListener('scroll', record);
    };
  }, [path]);
}

/** Scrolls as soon as the page has the height, unless the user scrolls first. Returns a function that gives up. */
function scrollOnceTallEnough(top: number): () => void {
  const waiting = new AbortController();
  const observer = new ResizeObserver(scroll);
  function stop() {
    observer.disconnect();
    waiting.abort();
  }
  function scroll() {
    scrollTo({ top, behavior: 'instant' });
    if (Math.abs(scrollY - top) < 2) stop();
  }
  for (const type of ['wheel', 'touchmove', 'keydown', 'pointerdown']) {
    addEventListener(type, stop, { signal: waiting.signal, passive: true });
  }
  observer.observe(document.body);
  scroll();
  return stop;
}
