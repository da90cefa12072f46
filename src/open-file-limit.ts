import { readFileSync } from 'node:fs';

/** What a server needs for its store, its catalog, its inspection processes and a few dozen connections. */
export const MIN_OPEN_FILES = 400;

/** How many files and connections this process may have open at once (`ulimit -n`); infinite if the system doesn't tell. */
export function openFileLimit(): number {
  try {
    const [, limit] = /^Max open files +(\d+)/m.exec(readFileSync('/proc/self/limits', 'utf8')) ?? [];
    return limit === undefined ? Number.POSITIVE_INFINITY : Number(limit);
  } catch {
    // Only Linux has this file. On other systems Node raises the limit to the highest possible.
    return Number.POSITIVE_INFINITY;
  }
}
