import { readFileSync } from 'node:fs';

/** For the store, catalog, inspection processes and a few dozen connections. */
export const MIN_OPEN_FILES = 400;

/** `ulimit -n`; infinite if the system doesn't tell. */
export function openFileLimit(): number {
  try {
    const [, limit] = /^Max open files +(\d+)/m.exec(readFileSync('/proc/self/limits', 'utf8')) ?? [];
    return limit === undefined ? Number.POSITIVE_INFINITY : Number(limit);
  } catch {
    // Only Linux has this file; elsewhere Node raises the limit.
    return Number.POSITIVE_INFINITY;
  }
}
