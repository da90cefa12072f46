/** So much work at a time leaves the page quick: a frame is 16 ms. */
const SLICE_MS = 8;

/** Works through many things with pauses, so that whoever types or scrolls meanwhile notices nothing. */
export async function inSlices<T>(
  items: readonly T[],
  work: (item: T, place: number) => void,
  signal: AbortSignal,
): Promise<void> {
  let until = performance.now() + SLICE_MS;
  for (const [place, item] of items.entries()) {
    work(item, place);
    if (performance.now() < until) continue;
    await new Promise((resolve) => setTimeout(resolve));
    signal.throwIfAborted();
    until = performance.now() + SLICE_MS;
  }
}
