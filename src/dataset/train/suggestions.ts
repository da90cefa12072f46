import { RESOLUTIONS } from '../buckets.js';
import type { TrainingFile } from './training-dataset.js';

/** A smaller resolution is a multiple of this, like the sides of the buckets of most trainers. */
const SIDE_STEP = 64;

/** The share of files that must reach a resolution. Smaller files are trained on at their own size, or enlarged. */
const MIN_SHARE = 0.5;

/** More frames need more memory than most graphics cards have. */
const MAX_FRAMES = 81;

/** With one frame, ai-toolkit looks for images (`toolkit/config_modules.py`, `num_frames`). */
const MIN_FRAMES = 5;

/** Used if no clip tells its length. */
const USUAL_FRAMES = 33;

/** The sides of squares with as many pixels as the files, the smallest first; files of unknown size are left out. */
export function sidesOf(files: readonly TrainingFile[]): number[] {
  return files
    .flatMap(({ width, height }) => (width && height ? [Math.sqrt(width * height)] : []))
    .sort((a, b) => a - b);
}

/**
 * Suggests the common resolutions that at least half of the files reach, the smallest first. A resolution is the side of a square;
 * trainers keep the aspect ratio and about its area.
 *
 * @param options.isOne suggests the smallest alone: for clips, which need far more memory than images
 */
export function suggestedResolutions(files: readonly TrainingFile[], { isOne = false } = {}) {
  const sides = sidesOf(files);
  const [smallest, ...larger] = RESOLUTIONS;
  if (sides.length === 0) {
    return { resolutions: [smallest], reason: 'the sizes are unknown; this is the smallest common resolution' };
  }
  const isReached = (side: number) => sides.filter((other) => other >= side).length >= sides.length * MIN_SHARE;
  const median = sides[sides.length >> 1] ?? SIDE_STEP;
  const resolutions: number[] = isReached(smallest)
    ? [smallest, ...(isOne ? [] : larger.filter(isReached))]
    : [Math.max(SIDE_STEP, Math.floor(median / SIDE_STEP) * SIDE_STEP)];
  const largest = resolutions.at(-1) ?? smallest;
  const small = sides.filter((side) => side < largest).length;
  const found =
    small === 0 ? 'no file has' : `${small} of ${numbered(sides.length, 'file')} ${small === 1 ? 'has' : 'have'}`;
  return { resolutions, reason: `${found} fewer pixels than ${largest} x ${largest}` };
}

/**
 * Suggests as many frames as the shortest clip has, in the form 4n + 1 that video models take.
 *
 * @param options.atRate counts the frames of a clip once it is converted to this many frames per second
 */
export function suggestedFrames(clips: readonly TrainingFile[], { atRate }: { atRate?: number } = {}) {
  const known = clips.flatMap(({ frames, frames_per_second: rate }) => {
    if (frames === undefined || (atRate !== undefined && !rate)) return [];
    return [atRate === undefined ? frames : Math.floor((frames * atRate) / (rate || atRate))];
  });
  if (known.length === 0) {
    return { frames: USUAL_FRAMES, framesReason: 'the lengths of the clips are unknown; of the form 4n + 1' };
  }
  const shortest = known.reduce((least, frames) => Math.min(least, frames));
  const count = 4 * Math.floor((Math.min(shortest, MAX_FRAMES) - 1) / 4) + 1;
  const unknown = clips.length > known.length ? ` (${clips.length - known.length} of unknown length)` : '';
  const rate = atRate === undefined ? '' : ` at ${atRate} frames per second`;
  return {
    frames: Math.max(count, MIN_FRAMES),
    framesReason: `the shortest clip has ${numbered(shortest, 'frame')}${rate}${unknown}; of the form 4n + 1`,
  };
}

/** `1 image`, `1,200 images`. */
export function numbered(count: number, one: string, many = `${one}s`): string {
  return `${count.toLocaleString('en')} ${count === 1 ? one : many}`;
}
