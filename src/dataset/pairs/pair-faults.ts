import type { Size } from '../buckets.js';
import type { LinkSlot, StoredFile } from '../dataset.js';
import { extensionOf, mediaTypeOf } from '../media.js';
import { byFilename } from '../names.js';

/**
 * The faults of one stem in a control or mask dataset. Errors come first: the trainer stops, or trains on something else.
 *
 * - `missing`: no image for the target's
 * - `ambiguous`: several images, of which the trainer takes one
 * - `misfit`: the trainer stops at its size, or counts the wrong region
 * - `stretched`: its aspect ratio differs
 * - `clip`: a clip controls a clip, which one model takes
 * - `extra`: nothing in the target belongs to it
 */
export const PAIR_FAULTS = ['missing', 'ambiguous', 'misfit', 'stretched', 'clip', 'extra'] as const;
export type PairFault = (typeof PAIR_FAULTS)[number];
const ERRORS: ReadonlySet<PairFault> = new Set(['missing', 'ambiguous', 'misfit']);

export type PairFile = Pick<StoredFile, 'filename' | 'kind'> & {
  readonly upload: Pick<StoredFile['upload'], 'facts'>;
};

/** The trainer takes the first of these (ai-toolkit `toolkit/dataloader_mixins.py`). */
const EXTENSIONS = ['.jpg', '.jpeg', '.png', '.webp'];

export function isPairError(fault: PairFault): boolean {
  return ERRORS.has(fault);
}

export function isPairFile({ kind }: PairFile): boolean {
  return kind !== 'caption';
}

/** The first fault of a stem. Files that the trainer does not read are in no pair. */
export function pairFaultOf(
  target: readonly PairFile[],
  linked: readonly PairFile[],
  slot: LinkSlot,
): PairFault | undefined {
  const wanting = only(target, isTrainable);
  const found = only(linked, isTrainable);
  const images = only(found, ({ kind }) => kind === 'image');
  if (wanting.length === 0) return found.length === 0 ? undefined : 'extra';
  const [image] = images;
  if (image === undefined) {
    // Only MiniMax-H3 Ref2V takes clips as controls; a clip is never a mask.
    const isForClips = slot !== 'mask' && found.length > 0 && wanting.every(({ kind }) => kind === 'video');
    return isForClips ? 'clip' : 'missing';
  }
  if (images.length > 1) return 'ambiguous';
  const faults = wanting.map((file) => sizeFaultOf(file, image, slot));
  return faults.find((fault) => fault === 'misfit') ?? faults.find((fault) => fault === 'stretched');
}

/** `filter` without a copy if all match, since a status calls it for each stem. */
function only(files: readonly PairFile[], matches: (file: PairFile) => boolean): readonly PairFile[] {
  return files.every(matches) ? files : files.filter(matches);
}

function isTrainable(file: PairFile): boolean {
  return isPairFile(file) && mediaTypeOf(file.filename)?.trainable === true;
}

export function imageThatTrainerTakes<F extends Omit<PairFile, 'upload'>>(linked: readonly F[]): F | undefined {
  const rankOf = ({ filename }: F) => EXTENSIONS.indexOf(extensionOf(filename));
  const [first] = linked
    .filter((file) => file.kind === 'image' && rankOf(file) >= 0)
    .sort((a, b) => rankOf(a) - rankOf(b) || byFilename(a, b));
  return first;
}

/** Beyond this ratio of aspect ratios, a point at the edge moves by more than a patch of 16 pixels. */
const MAX_STRETCH = 1.02;

/** FLUX.2 stops at controls that are smaller or narrower (`diffusion_models/flux2/src/sampling.py`). */
export const MIN_CONTROL_SIDE = 64;
export const MAX_CONTROL_ASPECT = 8;

/** The trainer scales each image, so only shapes matter (ai-toolkit `toolkit/dataloader_mixins.py`, `load_control_image`, 2026-08). */
function sizeFaultOf(target: PairFile, image: PairFile, slot: LinkSlot): 'misfit' | 'stretched' | undefined {
  const [of, other] = [sizeOf(target), sizeOf(image)];
  if (of === undefined || other === undefined) return undefined;
  // A turned mask counts the wrong region.
  const isTurned = (of.width - of.height) * (other.width - other.height) < 0;
  const isMisfit = slot === 'mask' ? isTurned : target.kind !== 'video' && isTooNarrow(other);
  if (isMisfit) return 'misfit';
  const [a, b] = [other.width * of.height, other.height * of.width];
  // The same picture in another size: sides are off by one pixel at most.
  const isRounded = Math.abs(a - b) <= of.width + of.height;
  return isRounded || Math.max(a, b) <= MAX_STRETCH * Math.min(a, b) ? undefined : 'stretched';
}

function isTooNarrow({ width, height }: Size): boolean {
  const [short, long] = [Math.min(width, height), Math.max(width, height)];
  return short < MIN_CONTROL_SIDE || long > MAX_CONTROL_ASPECT * short;
}

function sizeOf({ upload: { facts } }: PairFile): Size | undefined {
  if (facts.kind === 'caption') return undefined;
  const { width, height } = facts;
  return width && height ? { width, height } : undefined;
}

/** By stem. */
export type PairGroups = ReadonlyMap<string, readonly PairFile[]>;

/** The sorted stems of each fault. */
export type PairProof = { readonly [Fault in PairFault]: readonly string[] };

export function provePairs(target: PairGroups, linked: PairGroups, slot: LinkSlot): PairProof {
  const proof = Object.fromEntries(PAIR_FAULTS.map((fault) => [fault, []])) as unknown as Record<PairFault, string[]>;
  for (const stem of new Set([...target.keys(), ...linked.keys()])) {
    const fault = pairFaultOf(target.get(stem) ?? [], linked.get(stem) ?? [], slot);
    if (fault !== undefined) proof[fault].push(stem);
  }
  for (const fault of PAIR_FAULTS) proof[fault].sort();
  return proof;
}

/** `unpaired` is the sum over the links. */
export function pairErrorsIn(proof: PairProof): number {
  return PAIR_FAULTS.filter(isPairError).reduce((sum, fault) => sum + proof[fault].length, 0);
}
