/** Shorter than a frame of 16 ms, so that typing and scrolling stay smooth. */
const CHUNK_MS = 8;

/** Works on items in chunks of a few milliseconds, and lets the page handle input between them. */
export async function forEachInChunks<T>(
  items: readonly T[],
  work: (item: T, index: number) => void,
  signal: AbortSignal,
): Promise<void> {
  let until = performance.now() + CHUNK_MS;
  for (const [index, item] of items.entries()) {
    work(item, index);
    if (performance.now() < until) continue;
    await new Promise((resolve) => setTimeout(resolve));
    signal.throwIfAborted();
    until = performance.now() + CHUNK_MS;
  }
}
