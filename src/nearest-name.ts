import { distance } from 'fastest-levenshtein';

/**
 * Finds the name that a person may have meant.
 *
 * @param maxEdits the number of characters that may be added, removed or replaced
 * @returns the first of the nearest; `undefined` if none is that near
 */
export function nearestName(name: string, candidates: readonly string[], maxEdits: number): string | undefined {
  let nearest: string | undefined;
  let leastEdits = Math.floor(maxEdits) + 1;
  for (const candidate of candidates) {
    // The difference in length is a lower bound of the distance.
    if (Math.abs(candidate.length - name.length) >= leastEdits) continue;
    const edits = distance(name, candidate);
    if (edits < leastEdits) [nearest, leastEdits] = [candidate, edits];
  }
  return nearest;
}
