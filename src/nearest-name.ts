import { closest, distance } from 'fastest-levenshtein';

/**
 * Finds the name that a person may have meant.
 *
 * @param maxEdits the number of characters that may be added, removed or replaced
 * @returns `undefined` if none is that near
 */
export function nearestName(name: string, candidates: readonly string[], maxEdits: number): string | undefined {
  if (candidates.length === 0) return undefined;
  const near = closest(name, candidates);
  return distance(name, near) <= maxEdits ? near : undefined;
}
