import { sha256 } from '../harness/sha256.js';
import { seededRandom } from '../faults/random.js';

/** A generator of numbers from 0 up to 1 that depends on the text alone. */
export function randomFor(text: string): () => number {
  return seededRandom(Number.parseInt(sha256(text).slice(0, 8), 16));
}

/** Sorts by a hash, which is a random order that stays the same when items are added or removed. */
export function shuffledByHash<T>(items: readonly T[], keyOf: (item: T) => string): T[] {
  return items
    .map((item) => ({ item, key: sha256(keyOf(item)) }))
    .sort((a, b) => (a.key < b.key ? -1 : 1))
    .map(({ item }) => item);
}
