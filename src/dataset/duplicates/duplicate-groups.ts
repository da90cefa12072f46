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
  const index = new PdqIndex(files.length);
  for (const [at, { sha256, hash: packed }] of files.entries()) {
    const hash = packed === null ? undefined : unpackHash(packed);
    hashes.push(hash);
    for (const value of [sha256, ...plainPixelsOf(hash)]) {
      const others = equal.get(value);
      if (others === undefined) equal.set(value, [at]);
      else others.push(at);
    }
    if (hash !== undefined && hash.quality >= MIN_QUALITY) index.add(at, hash.pdq);
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
      for (const [other, distance] of index.near(kind === 'alike' ? hash.pdq : hash.mirrored)) {
        if (!isGrouped[other] && haveLikeColours(hash, hashes[other]!, kind)) add(other, kind, distance);
      }
    }
    yield members.length === 0 ? undefined : groupOf(keeper, members);
  }
}

function plainPixelsOf(hash: PerceptualHash | undefined): string[] {
  return hash === undefined || hash.quality >= MIN_QUALITY ? [] : [hash.pixels];
}

const BANDS = 16;

/**
 * Multi-index hashing (Norouzi, Punjani and Fleet, 2012): of two hashes that differ in at most 31 bits, one of the 16 bands of
 * 16 bits differs in at most one.
 */
class PdqIndex {
  readonly #bands: Uint16Array;
  /** The last file with a value of a band, and for each file and band the one before. Files count from 1: 0 is none. */
  readonly #last = new Int32Array(BANDS << 16);
  readonly #before: Int32Array;
  /** The search that has met a file last. */
  readonly #metIn: Int32Array;
  #searches = 0;

  constructor(size: number) {
    this.#bands = new Uint16Array((size + 1) * BANDS);
    this.#before = new Int32Array((size + 1) * BANDS);
    this.#metIn = new Int32Array(size + 1);
  }

  add(file: number, pdq: Uint8Array): void {
    for (const [band, value] of bandsOf(pdq).entries()) {
      const at = (file + 1) * BANDS + band;
      this.#bands[at] = value;
      this.#before[at] = this.#last[(band << 16) | value]!;
      this.#last[(band << 16) | value] = file + 1;
    }
  }

  /** Files and their distances, of up to `MAX_DISTANCE`. */
  near(pdq: Uint8Array): [file: number, distance: number][] {
    const [bands, all, last, before, metIn] = [bandsOf(pdq), this.#bands, this.#last, this.#before, this.#metIn];
    const search = ++this.#searches;
    const found: [number, number][] = [];
    for (let band = 0; band < BANDS; band++) {
      // In turn, none and each of the bits is changed.
      for (let changed = 0; changed <= 1 << 15; changed = changed * 2 || 1) {
        for (let file = last[(band << 16) | (bands[band]! ^ changed)]!; file > 0; file = before[file * BANDS + band]!) {
          if (metIn[file] === search) continue;
          metIn[file] = search;
          let distance = 0;
          for (let i = 0; i < BANDS; i++) distance += BITS_IN[bands[i]! ^ all[file * BANDS + i]!]!;
          if (distance <= MAX_DISTANCE) found.push([file - 1, distance]);
        }
      }
    }
    return found;
  }
}

/** The bits of each number of 16 bits. */
const BITS_IN = new Uint8Array(1 << 16);
for (let value = 1; value < BITS_IN.length; value++) BITS_IN[value] = BITS_IN[value >> 1]! + (value & 1);

const bandsOf = (pdq: Uint8Array) => new Uint16Array(pdq.slice().buffer);

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
