import { byFilename } from '../names.js';
import { COLOUR_FIELDS, type PerceptualHash, unpackHash } from './perceptual-hash.js';

/** An image or a clip. */
export interface ComparedFile {
  readonly filename: string;
  readonly sha256: string;
  readonly sizeBytes: number;
  /** 0 if they are not known. */
  readonly pixels: number;
  readonly hasCaption: boolean;
  readonly storedAt: number;
  /** Packed; null for a clip, and for an image that can't be decoded or was not hashed yet. */
  readonly hash: string | null;
}

/** The same bytes; a picture that looks the same; one that does so after left and right are exchanged. */
const KINDS = ['exact', 'alike', 'mirrored'] as const;

export interface Duplicate {
  readonly file: ComparedFile;
  readonly kind: (typeof KINDS)[number];
  /** Bits of PDQ that differ from the keeper. */
  readonly distance: number;
}

export interface DuplicateGroup {
  readonly keeper: ComparedFile;
  /** What the keeper has more of than the next best file. */
  readonly reason: 'pixels' | 'bytes' | 'caption' | 'age';
  /** By kind and distance. */
  readonly members: readonly Duplicate[];
}

/** The authors of PDQ take pictures for the same up to this distance, and hashes below this quality for unreliable. */
const MAX_DISTANCE = 31;
const MIN_QUALITY = 50;

/**
 * What the colours of like pictures may differ in, as ΔE*ab (CIE 1976), tuned on test/dataset/duplicates/picture-series.ts: the
 * lightness of the whole, as in a burst; then the fields on average, and one of them: what has moved changes few, and much.
 */
const MAX_LIGHTNESS_DIFFERENCE = 16;
const MAX_MEAN_DIFFERENCE = 6;
const maxFieldDifference = (mean: number) => 4 + 5 * mean;

const REASONS: readonly (readonly [DuplicateGroup['reason'], (file: ComparedFile) => number])[] = [
  ['pixels', ({ pixels }) => pixels],
  ['bytes', ({ sizeBytes }) => sizeBytes],
  ['caption', ({ hasCaption }) => Number(hasCaption)],
  ['age', ({ storedAt }) => -storedAt],
];

/** Sorts the best file first. */
function byWorth(a: ComparedFile, b: ComparedFile): number {
  for (const [, worthOf] of REASONS) if (worthOf(a) !== worthOf(b)) return worthOf(b) - worthOf(a);
  return byFilename(a, b);
}

/**
 * Groups files around the best of each group, the keeper: all members are like the keeper, never like one another in a chain.
 * Pictures with little to see are alike only if their pixels are equal.
 *
 * @param areDifferent whether a person has said so of two SHA-256
 * @returns a generator that yields `undefined` or a group after each file, so that the caller can pause
 */
export function* duplicateGroups(
  unsorted: readonly ComparedFile[],
  areDifferent: (a: string, b: string) => boolean,
): Generator<DuplicateGroup | undefined, void, void> {
  const files = unsorted.toSorted(byWorth);
  const hashes: (PerceptualHash | undefined)[] = [];
  /** By SHA-256, and by the pixels of a picture with little to see. */
  const equal = new Map<string, number[]>();
  for (const [at, { sha256, hash: packed }] of files.entries()) {
    const hash = packed === null ? undefined : unpackHash(packed);
    hashes.push(hash);
    for (const value of [sha256, ...plainPixelsOf(hash)]) {
      const others = equal.get(value);
      if (others === undefined) equal.set(value, [at]);
      else others.push(at);
    }
    yield undefined;
  }
  const isGrouped = new Uint8Array(files.length);
  for (const [at, keeper] of files.entries()) {
    if (isGrouped[at]) continue;
    isGrouped[at] = 1;
    const members: Duplicate[] = [];
    const add = (other: number, kind: Duplicate['kind'], distance = 0) => {
      const file = files[other]!;
      if (isGrouped[other] || (kind !== 'exact' && areDifferent(keeper.sha256, file.sha256))) return;
      isGrouped[other] = 1;
      members.push({ file, kind, distance });
    };
    for (const other of equal.get(keeper.sha256) ?? []) add(other, 'exact');
    const hash = hashes[at];
    for (const pixels of plainPixelsOf(hash)) for (const other of equal.get(pixels) ?? []) add(other, 'alike');
    for (const kind of ['alike', 'mirrored'] as const) {
      if (hash === undefined || hash.quality < MIN_QUALITY) break;
      const pdq = kind === 'alike' ? hash.pdq : hash.mirrored;
      // The files before are in groups.
      for (let other = at + 1; other < files.length; other++) {
        const another = hashes[other];
        if (isGrouped[other] || another === undefined || another.quality < MIN_QUALITY) continue;
        const distance = distanceOf(pdq, another.pdq);
        if (distance <= MAX_DISTANCE && haveLikeColours(hash, another, kind)) add(other, kind, distance);
      }
    }
    yield members.length === 0 ? undefined : groupOf(keeper, members);
  }
}

function plainPixelsOf(hash: PerceptualHash | undefined): string[] {
  return hash === undefined || hash.quality >= MIN_QUALITY ? [] : [hash.pixels];
}

/** The bits of each byte. */
const BITS_IN = new Uint8Array(256);
for (let value = 1; value < BITS_IN.length; value++) BITS_IN[value] = BITS_IN[value >> 1]! + (value & 1);

/** The bits that differ, or only as many as are too many: most pictures differ in half of them, and thousands are compared. */
function distanceOf(a: Uint8Array, b: Uint8Array): number {
  let distance = 0;
  for (let i = 0; i < a.length && distance <= MAX_DISTANCE; i++) distance += BITS_IN[a[i]! ^ b[i]!]!;
  return distance;
}

function haveLikeColours(
  { colours: a }: PerceptualHash,
  { colours: b }: PerceptualHash,
  kind: Duplicate['kind'],
): boolean {
  const differencesOf = (part: number) =>
    Array.from({ length: COLOUR_FIELDS * COLOUR_FIELDS }, (_, field) => {
      const other = kind === 'mirrored' ? field ^ (COLOUR_FIELDS - 1) : field;
      return a[field * 3 + part]! - b[other * 3 + part]!;
    });
  const [lights, reds, blues] = [0, 1, 2].map(differencesOf) as [number[], number[], number[]];
  const lightness = meanOf(lights);
  const differences = lights.map((light, field) => Math.hypot(light - lightness, reds[field]!, blues[field]!));
  const mean = meanOf(differences);
  if (Math.abs(lightness) > MAX_LIGHTNESS_DIFFERENCE || mean > MAX_MEAN_DIFFERENCE) return false;
  return Math.max(...differences) <= maxFieldDifference(mean);
}

const meanOf = (values: readonly number[]) => values.reduce((sum, value) => sum + value, 0) / values.length;

function groupOf(keeper: ComparedFile, found: readonly Duplicate[]): DuplicateGroup {
  const rankOf = ({ kind, distance }: Duplicate) => KINDS.indexOf(kind) * 256 + distance;
  const members = found.toSorted((a, b) => rankOf(a) - rankOf(b) || byFilename(a.file, b.file));
  const next = members.map(({ file }) => file).sort(byWorth)[0]!;
  const [reason] = REASONS.find(([, worthOf]) => worthOf(keeper) !== worthOf(next)) ?? ['age'];
  return { keeper, reason, members };
}
