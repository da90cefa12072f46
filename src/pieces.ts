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
