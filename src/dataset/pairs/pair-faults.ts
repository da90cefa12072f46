import type { Size } from '../buckets.js';
import type { LinkSlot, StoredFile } from '../dataset.js';
import { extensionOf, mediaTypeOf } from '../media.js';

/**
 * What is wrong with the files of one stem in a control or mask dataset, by the stem's files in the target.
 *
 * - `missing`: the target has images, and no image here is theirs
 * - `ambiguous`: several images are theirs, of which the trainer takes one
 * - `misfit`: the trainer stops at its size, or counts the wrong region
 * - `stretched`: its aspect ratio differs
 * - `clip`: a clip is the control of a clip, which one model takes
 * - `extra`: the target has no image or clip for it
 */
export type PairFault = 'missing' | 'ambiguous' | 'misfit' | 'stretched' | 'clip' | 'extra';

/** Those that come first are errors: the trainer stops, or trains on something else. */
export const PAIR_FAULTS = ['missing', 'ambiguous', 'misfit', 'stretched', 'clip', 'extra'] as const;
const ERRORS: ReadonlySet<PairFault> = new Set(['missing', 'ambiguous', 'misfit']);

/** What decides about a pair, of a stored file without a problem. */
export type PairFile = Pick<StoredFile, 'filename' | 'kind'> & {
  readonly upload: Pick<StoredFile['upload'], 'facts'>;
};

/** The order in which the trainer looks for a control or mask; it takes the first (ai-toolkit `toolkit/dataloader_mixins.py`). */
const EXTENSIONS = ['.jpg', '.jpeg', '.png', '.webp'];

export function isPairError(fault: PairFault): boolean {
  return ERRORS.has(fault);
}

/** Whether a stored file may be in pairs: an image or a video. */
export function isPairFile({ kind }: PairFile): boolean {
  return kind !== 'caption';
}

/**
 * Judges the files of one stem. A stem has at most one fault, the first of `PAIR_FAULTS`. Files of types that the trainer does
 * not read are in no pair.
 */
export function pairFaultOf(
  target: readonly PairFile[],
  linked: readonly PairFile[],
  slot: LinkSlot,
): PairFault | undefined {
  const wanting = only(target, isTrainable);
  const found = only(linked, isTrainable);
  const images = only(found, isImage);
  if (wanting.length === 0) return found.length === 0 ? undefined : 'extra';
  const [image] = images;
  if (image === undefined) {
    // Of all models, MiniMax-H3 Ref2V alone takes clips as controls; a clip is never a mask.
    const isForClips = slot !== 'mask' && found.length > 0 && wanting.every(({ kind }) => kind === 'video');
    return isForClips ? 'clip' : 'missing';
  }
  if (images.length > 1) return 'ambiguous';
  let worst: 'stretched' | undefined;
  for (const file of wanting) {
    const fit = fitOf(file, image, slot);
    if (fit === 'misfit') return 'misfit';
    if (fit === 'stretched') worst = 'stretched';
  }
  return worst;
}

/** As `filter`, without a copy if all match, as nearly always: a status calls it for each stem. */
function only(files: readonly PairFile[], matches: (file: PairFile) => boolean): readonly PairFile[] {
  return files.every(matches) ? files : files.filter(matches);
}

function isImage({ kind }: PairFile): boolean {
  return kind === 'image';
}

function isTrainable(file: PairFile): boolean {
  return isPairFile(file) && mediaTypeOf(file.filename)?.trainable === true;
}

function fitOf(target: PairFile, image: PairFile, slot: LinkSlot) {
  const of = sizeOf(target);
  const other = sizeOf(image);
  if (of === undefined || other === undefined) return 'fits';
  return sizeFitOf({ width: of.width, height: of.height, isClip: target.kind === 'video' }, other, slot);
}

/** `undefined` for a container without a parser. */
function sizeOf({ upload: { facts } }: PairFile) {
  if (facts.kind === 'caption') return undefined;
  const { width, height } = facts;
  return width && height ? { width, height } : undefined;
}

/** The image that the trainer takes of several with one stem. */
export function imageThatTrainerTakes<F extends PairFile>(linked: readonly F[]): F | undefined {
  const rankOf = ({ filename }: F) => EXTENSIONS.indexOf(extensionOf(filename));
  const [first] = linked
    .filter((file) => file.kind === 'image' && rankOf(file) >= 0)
    .sort((a, b) => rankOf(a) - rankOf(b) || (a.filename < b.filename ? -1 : 1));
  return first;
}

/*
 * What ai-toolkit does with the sizes of a control or mask that is not as its target. Resolution does not matter: each is
 * scaled. `toolkit/dataloader_mixins.py`, `load_control_image` and `load_mask_image`, as of 2026-08.
 */

/** Beyond this ratio between the two aspect ratios, a point at the edge is displaced by more than a patch of 16 pixels. */
const MAX_STRETCH = 1.02;

/** FLUX.2 stops at controls that are smaller or narrower (`diffusion_models/flux2/src/sampling.py`). */
export const MIN_CONTROL_SIDE = 64;
export const MAX_CONTROL_ASPECT = 8;

/**
 * How a control or mask fits its target. `misfit`: the trainer stops, or counts the wrong region. `stretched`: its aspect
 * ratio differs by more than rounding, and the trainer stretches it, except for models that keep a control's own aspect ratio.
 */
type SizeFit = 'fits' | 'stretched' | 'misfit';

/** @param target the size of an image or a clip */
function sizeFitOf(target: Size & { readonly isClip: boolean }, other: Size, slot: LinkSlot): SizeFit {
  if (slot === 'mask' && isOtherOrientation(target, other)) return 'misfit';
  if (slot !== 'mask' && !target.isClip && isTooNarrow(other)) return 'misfit';
  return isStretched(target, other) ? 'stretched' : 'fits';
}

function isOtherOrientation(target: Size, other: Size): boolean {
  return (
    (target.width > target.height && other.width < other.height) ||
    (target.width < target.height && other.width > other.height)
  );
}

function isTooNarrow({ width, height }: Size): boolean {
  const [short, long] = [Math.min(width, height), Math.max(width, height)];
  return short < MIN_CONTROL_SIDE || long > MAX_CONTROL_ASPECT * short;
}

function isStretched(target: Size, other: Size): boolean {
  const [a, b] = [other.width * target.height, other.height * target.width];
  // The same picture in another size: each side is off by one pixel at most.
  if (Math.abs(a - b) <= target.width + target.height) return false;
  return Math.max(a, b) > MAX_STRETCH * Math.min(a, b);
}
