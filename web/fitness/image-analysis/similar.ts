import { distanceOf, HASH_BITS, type Hash } from './hash.js';

/** What tells whether two images look alike. */
export interface ImageSignature {
  readonly hash: Hash;
  readonly shades: Uint8Array;
}

/** Pictures of one shade each have the same hash, and still may be a black one and a white one. */
const MAX_SHADE_DIFFERENCE = 24;

/**
 * Groups of images that look alike, each of two or more, by their places: those whose hashes differ in at most `most` bits,
 * and those that are so linked through others.
 *
 * Cut into one band more than may differ, two such hashes have at least one band in common, so only images that share a
 * band are compared, and of those only the ones that are not in one group already.
 */
export function similarGroups(images: readonly ImageSignature[], most: number): number[][] {
  const groups = new DisjointSets(images.length);
  const places = images.map((_, place) => place);
  for (let band = 0; band <= most; band++) {
    const from = Math.floor((band * HASH_BITS) / (most + 1));
    const to = Math.floor(((band + 1) * HASH_BITS) / (most + 1));
    for (const sharing of groupedBy(places, (place) => bitsOf(images[place]!.hash, from, to))) {
      joinSimilar(sharing, { images, groups, most });
    }
  }
  return groups.ofTwoOrMore();
}

interface Search {
  readonly images: readonly ImageSignature[];
  readonly groups: DisjointSets;
  readonly most: number;
}

/** Each image is compared with the groups before it, and with no more of a group than it takes to belong there. */
function joinSimilar(sharing: readonly number[], { images, groups, most }: Search): void {
  const before = new Map<number, number[]>();
  for (const place of sharing) {
    const image = images[place]!;
    for (const [root, members] of before) {
      if (groups.rootOf(place) === root) continue;
      if (!members.some((member) => areSimilar(images[member]!, image, most))) continue;
      const own = before.get(groups.rootOf(place)) ?? [];
      before.delete(groups.rootOf(place));
      before.delete(root);
      before.set(groups.join(place, root), members.concat(own));
    }
    const own = before.get(groups.rootOf(place));
    if (own === undefined) before.set(groups.rootOf(place), [place]);
    else own.push(place);
  }
}

function areSimilar(a: ImageSignature, b: ImageSignature, most: number): boolean {
  return distanceOf(a.hash, b.hash) <= most && meanShadeDifference(a.shades, b.shades) <= MAX_SHADE_DIFFERENCE;
}

function meanShadeDifference(a: Uint8Array, b: Uint8Array): number {
  let sum = 0;
  for (let place = 0; place < a.length; place++) sum += Math.abs(a[place]! - b[place]!);
  return sum / a.length;
}

/** Disjoint sets, by links to a root that get shorter with every look (R. E. Tarjan, 1975). */
class DisjointSets {
  readonly #above: Uint32Array;

  constructor(size: number) {
    this.#above = Uint32Array.from({ length: size }, (_, place) => place);
  }

  rootOf(place: number): number {
    let at = place;
    while (this.#above[at] !== at) {
      this.#above[at] = this.#above[this.#above[at]!]!;
      at = this.#above[at]!;
    }
    return at;
  }

  /** @returns the root of both from now on */
  join(a: number, b: number): number {
    const [one, other] = [this.rootOf(a), this.rootOf(b)];
    this.#above[Math.max(one, other)] = Math.min(one, other);
    return Math.min(one, other);
  }

  ofTwoOrMore(): number[][] {
    const places = Array.from(this.#above.keys());
    return groupedBy(places, (place) => this.rootOf(place)).filter(({ length }) => length > 1);
  }
}

/** As `Map.groupBy`, which not all of Node has that runs our tests. */
function groupedBy(places: readonly number[], keyOf: (place: number) => number): number[][] {
  const groups = new Map<number, number[]>();
  for (const place of places) {
    const key = keyOf(place);
    const group = groups.get(key);
    if (group === undefined) groups.set(key, [place]);
    else group.push(place);
  }
  return [...groups.values()];
}

/** Up to 64 bits of a hash, as a number that tells them from others. */
function bitsOf([first, second]: Hash, from: number, to: number): number {
  const low = from < 32 ? (first >>> from) & maskOf(Math.min(to, 32) - from) : 0;
  const high = to > 32 ? (second >>> Math.max(from - 32, 0)) & maskOf(to - Math.max(from, 32)) : 0;
  return (low >>> 0) + (high >>> 0) * 2 ** Math.max(0, 32 - from);
}

function maskOf(bits: number): number {
  return bits === 32 ? -1 : (1 << bits) - 1;
}
