import type { WireFile } from '../../api/schemas.js';
import { mediaTypeOf } from '../../dataset/media.js';

/** What an ai-toolkit job needs to know of a mounted dataset, with the reasons. */
export interface TrainerDataset {
  readonly folder_path: string;
  readonly caption_ext: 'txt';
  readonly resolution: readonly number[];
  /** Only where there are clips. */
  readonly num_frames?: number;
  readonly cache_latents_to_disk: true;
  /** Why, by the setting that it is about. */
  readonly reasons: { readonly resolution: string; readonly num_frames?: string };
}

/** The buckets that ai-toolkit's own examples train in (`config/examples/`). */
const RESOLUTIONS = [512, 768, 1024] as const;

/** Where even the smallest is too large: bucket sides are multiples of this. */
const SIDE_STEP = 64;

/** A resolution that fewer can fill would train the rest at their own, smaller size a second time. */
const ENOUGH = 0.5;

/** More frames than this take more memory than most cards have. */
const MAX_FRAMES = 81;

/**
 * Suggests settings from the real sizes. A resolution stands for an area, its square, and the trainer scales down to it but
 * never up (ai-toolkit `toolkit/buckets.py`); video models take 4n + 1 frames, spread over the whole clip.
 */
export function trainerDatasetOf(folderPath: string, files: readonly WireFile[]): TrainerDataset {
  const media = files.filter(({ filename }) => mediaTypeOf(filename)?.trainable === true);
  const sides = media.flatMap(({ width, height }) =>
    width === undefined || height === undefined ? [] : [Math.sqrt(width * height)],
  );
  const clips = media.filter(({ filename }) => mediaTypeOf(filename)?.kind === 'video');
  const resolution = resolutionsFor(sides);
  const frames = clips.length === 0 ? undefined : framesFor(clips);
  return {
    folder_path: folderPath,
    caption_ext: 'txt',
    resolution,
    ...(frames !== undefined && { num_frames: frames.count }),
    cache_latents_to_disk: true,
    reasons: {
      resolution: resolutionReason(sides, resolution),
      ...(frames !== undefined && { num_frames: frames.reason }),
    },
  };
}

function resolutionsFor(sides: readonly number[]): number[] {
  if (sides.length === 0) return [RESOLUTIONS[0]];
  const fit = RESOLUTIONS.filter((side) => sides.filter((each) => each >= side).length >= sides.length * ENOUGH);
  if (fit.length > 0) return fit;
  const median = sides.toSorted((a, b) => a - b)[sides.length >> 1] ?? SIDE_STEP;
  return [Math.max(SIDE_STEP, Math.floor(median / SIDE_STEP) * SIDE_STEP)];
}

function resolutionReason(sides: readonly number[], resolution: readonly number[]): string {
  const largest = resolution.at(-1) ?? 0;
  if (sides.length === 0) return 'no sizes are known; this is the smallest that is usual';
  const small = sides.filter((side) => side < largest).length;
  return small === 0
    ? `all ${sides.length} can fill ${largest}`
    : `${small} of ${sides.length} have fewer pixels than ${largest} x ${largest}, and are not enlarged`;
}

function framesFor(clips: readonly WireFile[]): { count: number; reason: string } {
  const known = clips.flatMap(({ frames }) => (frames === undefined ? [] : [frames]));
  const shortest = Math.min(...known);
  if (known.length === 0) return { count: 33, reason: 'the lengths of the clips are not known; 4n + 1' };
  const count = 4 * Math.floor((Math.min(shortest, MAX_FRAMES) - 1) / 4) + 1;
  const unknown = clips.length > known.length ? `, ${clips.length - known.length} of unknown length not counted` : '';
  return { count: Math.max(count, 1), reason: `the shortest of the clips has ${shortest} frames${unknown}; 4n + 1` };
}

/** The `datasets:` block of a job's YAML. Every string is quoted as in JSON, which YAML takes too (YAML 1.2, 1.2). */
export function yamlOf(datasets: readonly TrainerDataset[]): string {
  const blocks = datasets.map(({ folder_path, caption_ext, resolution, num_frames, reasons }) =>
    [
      `  - folder_path: ${JSON.stringify(folder_path)}`,
      `    caption_ext: ${caption_ext}`,
      `    resolution: [${resolution.join(', ')}]  # ${reasons.resolution}`,
      ...(num_frames === undefined ? [] : [`    num_frames: ${num_frames}  # ${reasons.num_frames}`]),
      '    cache_latents_to_disk: true',
    ].join('\n'),
  );
  return ['datasets:', ...blocks].join('\n');
}
