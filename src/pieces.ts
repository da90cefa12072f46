/** Cooperative scheduling: work about many files runs in pieces, and other work runs between them. */
export interface Pieces {
  /** Whose request the work is a part of; missing if the process works of its own accord. */
  readonly accountId?: string;
  /** Resolves when this work may continue as large work. Work that never calls it runs in one piece. */
  readonly begin: () => Promise<void>;
  /** Whether `begin` would have to wait now; missing if it never has. */
  readonly mustWait?: () => boolean;
  /** Lets other work run, if this is large work and the piece has taken long enough. */
  readonly pause: () => Promise<void>;
}

/** For a process that serves no one meanwhile. */
export const ONE_PIECE: Pieces = { begin: async () => {}, pause: async () => {} };

/** Runs work of an account in pieces, if it turns out to be large. */
export type InPieces = <T>(accountId: string, work: (pieces: Pieces) => Promise<T>) => Promise<T>;

/** For a process that serves no one meanwhile. */
export const inOnePiece: InPieces = (_accountId, work) => work(ONE_PIECE);

/** Work about more items than this is large. */
export const MAX_ITEMS_AT_ONCE = 10_000;

/**
 * Work about rows with more bytes of text than this is large too: ten thousand ordinary files have fewer. With the longest names and
 * as many warnings as a file can have, they have fifty million, which in one piece would take seconds and hundreds of megabytes.
 */
export const MAX_TEXT_BYTES_AT_ONCE = 3 * 1024 * 1024;

/** Whether work about these rows is large. */
function isMuch(tables: readonly (readonly unknown[])[]): boolean {
  const rows = tables.flat();
  if (rows.length > MAX_ITEMS_AT_ONCE) return true;
  let textBytes = 0;
  for (const row of rows) {
    for (const value of Object.values(row as object)) if (typeof value === 'string') textBytes += value.length;
  }
  return textBytes > MAX_TEXT_BYTES_AT_ONCE;
}

/**
 * Reads rows for work in pieces. If they turn out to be many, and the work must wait until it may be large, it reads them again then:
 * hundreds of requests that wait would need gigabytes for the rows that they have.
 */
export async function readInTurn<R extends readonly (readonly unknown[])[]>(
  pieces: Pieces | undefined,
  read: () => Promise<R>,
): Promise<R> {
  if (pieces?.mustWait === undefined) return read();
  const { begin, mustWait } = pieces;
  const rows = await read().then(async (found) => {
    if (!isMuch(found)) return found;
    if (mustWait()) return undefined;
    await begin();
    return found;
  });
  return rows ?? begin().then(read);
}

/** Items that are handled between two pauses; they take less than a few milliseconds, also if each has kilobytes of text. */
export const ITEMS_PER_PIECE = 50;

/** As `items.map(work)`, with pauses. */
export async function mapInPieces<T, R>(items: readonly T[], { pause }: Pieces, work: (item: T) => R): Promise<R[]> {
  if (items.length <= ITEMS_PER_PIECE) return items.map(work);
  const results: R[] = [];
  for (const item of items) {
    if (results.push(work(item)) % ITEMS_PER_PIECE === 0) await pause();
  }
  return results;
}

/** As `mapInPieces`. The results take the places of the items, so that not all of both are in memory at once. */
export async function replaceInPieces<T, R>(items: T[], { pause }: Pieces, work: (item: T) => R): Promise<R[]> {
  const places: (T | R)[] = items;
  for (const [i, item] of items.entries()) {
    places[i] = work(item);
    if (i % ITEMS_PER_PIECE === ITEMS_PER_PIECE - 1) await pause();
  }
  return places as R[];
}

/** Items that are sorted at once; they take a few milliseconds. */
const SORTED_AT_ONCE = 1000;

/** As `items.toSorted(compare)`: a merge sort. Yields where other work may run. */
export function* sortSteps<T>(items: readonly T[], compare: (a: T, b: T) => number): Generator<undefined, T[]> {
  let runs: T[][] = [];
  for (let from = 0; from < items.length; from += SORTED_AT_ONCE) {
    runs.push(items.slice(from, from + SORTED_AT_ONCE).sort(compare));
    yield;
  }
  while (runs.length > 1) {
    const merged: T[][] = [];
    for (let i = 0; i < runs.length; i += 2) merged.push(yield* mergeSteps(runs[i] ?? [], runs[i + 1] ?? [], compare));
    runs = merged;
  }
  return runs[0] ?? [];
}

function* mergeSteps<T>(a: readonly T[], b: readonly T[], compare: (a: T, b: T) => number): Generator<undefined, T[]> {
  // Quick if they are sorted already.
  if (b.length === 0 || compare(a.at(-1) as T, b[0] as T) <= 0) return [...a, ...b];
  const merged: T[] = [];
  for (let i = 0, j = 0; i < a.length || j < b.length; ) {
    const isOfA = j === b.length || (i < a.length && compare(a[i] as T, b[j] as T) <= 0);
    if (merged.push((isOfA ? a[i++] : b[j++]) as T) % SORTED_AT_ONCE === 0) yield;
  }
  return merged;
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
