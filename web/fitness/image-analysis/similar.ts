import { groupedBy } from '../../grouped-by.js';
import { distanceOf, HASH_BITS, type Hash } from './hash.js';

/** The data by which two images are compared. */
export interface ImageSignature {
  readonly hash: Hash;
  readonly shades: Uint8Array;
}

/** A uniform black image and a uniform white one have the same hash, so the mean difference of the shades decides too. */
const MAX_SHADE_DIFFERENCE = 24;

/**
 * Groups similar images, by their indices: the connected components of all pairs whose hashes differ in at most `maxDistance`
 * bits, and whose shades are close.
 *
 * Only images that share one of `maxDistance + 1` bands of the hash are compared, since similar ones do (the pigeonhole
 * principle).
 */
export function similarGroups(images: readonly ImageSignature[], maxDistance: number): number[][] {
  const groups = new DisjointSets(images.length);
  const indices = images.map((_, index) => index);
  for (let band = 0; band <= maxDistance; band++) {
    const from = Math.floor((band * HASH_BITS) / (maxDistance + 1));
    const to = Math.floor(((band + 1) * HASH_BITS) / (maxDistance + 1));
    for (const candidates of groupedBy(indices, (index) => bitsOf(images[index]!.hash, from, to)).values()) {
      joinSimilar(candidates, { images, groups, maxDistance });
    }
  }
  return groups.ofTwoOrMore();
}

interface Search {
  readonly images: readonly ImageSignature[];
  readonly groups: DisjointSets;
  readonly maxDistance: number;
}

/**
 * Compares each candidate with the groups of the candidates before it. Skips its own group, and stops at the first similar
 * member of another.
 */
function joinSimilar(candidates: readonly number[], { images, groups, maxDistance }: Search): void {
  const membersByRoot = new Map<number, number[]>();
  for (const index of candidates) {
    const image = images[index]!;
    for (const [root, members] of membersByRoot) {
      if (groups.rootOf(index) === root) continue;
      if (!members.some((member) => areSimilar(images[member]!, image, maxDistance))) continue;
      const own = membersByRoot.get(groups.rootOf(index)) ?? [];
      membersByRoot.delete(groups.rootOf(index));
      membersByRoot.delete(root);
      membersByRoot.set(groups.join(index, root), members.concat(own));
    }
    const own = membersByRoot.get(groups.rootOf(index));
    if (own === undefined) membersByRoot.set(groups.rootOf(index), [index]);
    else own.push(index);
  }
}

function areSimilar(a: ImageSignature, b: ImageSignature, maxDistance: number): boolean {
  return distanceOf(a.hash, b.hash) <= maxDistance && meanShadeDifference(a.shades, b.shades) <= MAX_SHADE_DIFFERENCE;
}

function meanShadeDifference(a: Uint8Array, b: Uint8Array): number {
  let sum = 0;
  for (let field = 0; field < a.length; field++) sum += Math.abs(a[field]! - b[field]!);
  return sum / a.length;
}

/** A union-find structure with path halving (R. E. Tarjan, 1975). */
class DisjointSets {
  readonly #parents: Uint32Array;

  constructor(size: number) {
    this.#parents = Uint32Array.from({ length: size }, (_, index) => index);
  }

  rootOf(index: number): number {
    let at = index;
    while (this.#parents[at] !== at) {
      this.#parents[at] = this.#parents[this.#parents[at]!]!;
      at = this.#parents[at]!;
    }
    return at;
  }

  /** Merges two sets and returns their common root. */
  join(a: number, b: number): number {
    const [one, other] = [this.rootOf(a), this.rootOf(b)];
    this.#parents[Math.max(one, other)] = Math.min(one, other);
    return Math.min(one, other);
  }

  ofTwoOrMore(): number[][] {
    const sets = groupedBy(this.#parents.keys(), (index) => this.rootOf(index));
    return [...sets.values()].filter(({ length }) => length > 1);
  }
}

/** Returns the bits `from` to `to` of a hash as a number. */
function bitsOf([first, second]: Hash, from: number, to: number): number {
  const low = from < 32 ? (first >>> from) & maskOf(Math.min(to, 32) - from) : 0;
  const high = to > 32 ? (second >>> Math.max(from - 32, 0)) & maskOf(to - Math.max(from, 32)) : 0;
  return (low >>> 0) + (high >>> 0) * 2 ** Math.max(0, 32 - from);
}

function maskOf(bits: number): number {
  return bits === 32 ? -1 : (1 << bits) - 1;
}
