import { distance } from 'fastest-levenshtein';

/** The first of the nearest names, within `maxEdits` characters added, removed or replaced. */
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
