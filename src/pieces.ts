/** Cooperative scheduling: work about many files runs in pieces, and other work runs between them. */
export interface Pieces {
  /** Resolves when this work may continue as large work. Work that never calls it runs in one piece. */
  readonly begin: () => Promise<void>;
  /** Lets other work run, if this is large work and the piece has taken long enough. */
  readonly pause: () => Promise<void>;
}

/** For a process that serves no one meanwhile. */
export const ONE_PIECE: Pieces = { begin: async () => {}, pause: async () => {} };

/** Work about more items than this is large. */
export const MAX_ITEMS_AT_ONCE = 10_000;

/** Items that are handled between two pauses; they take less than a few milliseconds. */
export const ITEMS_PER_PIECE = 250;

/** As `items.map(work)`, with pauses. */
export async function mapInPieces<T, R>(items: readonly T[], { pause }: Pieces, work: (item: T) => R): Promise<R[]> {
  if (items.length <= ITEMS_PER_PIECE) return items.map(work);
  const results: R[] = [];
  for (const item of items) {
    if (results.push(work(item)) % ITEMS_PER_PIECE === 0) await pause();
  }
  return results;
}

/** Runs a computation that yields where there may be a pause. */
export async function finishInPieces<T>(steps: Generator<void, T>, { pause }: Pieces): Promise<T> {
  for (;;) {
    const { done, value } = steps.next();
    if (done) return value;
    await pause();
  }
}

/** Runs such a computation without a pause. */
export function finish<T>(steps: Generator<void, T>): T {
  for (;;) {
    const { done, value } = steps.next();
    if (done) return value;
  }
}
