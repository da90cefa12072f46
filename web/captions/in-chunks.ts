/** So much work at a time leaves the page quick: a frame is 16 ms. */
const CHUNK_MS = 8;

/** Works through many things with pauses, so that whoever types or scrolls meanwhile notices nothing. */
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
