import type { Size } from '../buckets.js';
import type { LinkSlot } from '../dataset.js';

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
export type SizeFit = 'fits' | 'stretched' | 'misfit';

/** @param target the size of an image or a clip */
export function sizeFitOf(target: Size & { readonly isClip: boolean }, other: Size, slot: LinkSlot): SizeFit {
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
