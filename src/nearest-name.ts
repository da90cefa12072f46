import { distance } from 'fastest-levenshtein';

/** Characters of a name that are compared in one step (Myers 1999, *A fast bit-vector algorithm*). */
const CHARACTERS_PER_STEP = 32;

/** Ends the search among tens of thousands of long names, of which each takes thousands of steps, after a few milliseconds. */
const MAX_STEPS = 500_000;

/**
 * Finds the name that a person may have meant.
 *
 * @param maxEdits the number of characters that may be added, removed or replaced
 * @returns the first of the nearest; `undefined` if none is that near
 */
export function nearestName(name: string, candidates: readonly string[], maxEdits: number): string | undefined {
  let nearest: string | undefined;
  let leastEdits = Math.floor(maxEdits) + 1;
  let steps = 0;
  for (const candidate of candidates) {
    // The difference in length is a lower bound of the distance.
    if (Math.abs(candidate.length - name.length) >= leastEdits) continue;
    steps += candidate.length * Math.ceil(name.length / CHARACTERS_PER_STEP);
    if (steps > MAX_STEPS) break;
    const edits = distance(name, candidate);
    if (edits < leastEdits) [nearest, leastEdits] = [candidate, edits];
  }
  return nearest;
}
