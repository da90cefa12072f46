import type { WireFile } from '../../api/schemas.js';
import { mediaTypeOf } from '../../dataset/media.js';

/** Settings of an ai-toolkit job for one mounted dataset, with the reasons. */
export interface TrainerDataset {
  readonly folder_path: string;
  readonly caption_ext: 'txt';
  readonly resolution: readonly number[];
  /** Only for datasets with clips. */
  readonly num_frames?: number;
  readonly cache_latents_to_disk: true;
  /** The reason for each setting. */
  readonly reasons: { readonly resolution: string; readonly num_frames?: string };
}

/** The resolutions of ai-toolkit's examples (`config/examples/`). */
const RESOLUTIONS = [512, 768, 1024] as const;

/** A smaller resolution is a multiple of this, like the sides of the trainer's buckets. */
const SIDE_STEP = 64;

/** The share of images that must reach a resolution. The trainer trains smaller ones twice, at their own size. */
const MIN_SHARE = 0.5;

/** More frames need more memory than most graphics cards have. */
const MAX_FRAMES = 81;

/**
 * Suggests settings from the sizes of the files. A resolution is the side of a square; the trainer scales images down to its
 * area, but never up (ai-toolkit `toolkit/buckets.py`). Video models take 4n + 1 frames, spread over the whole clip.
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
  const fit = RESOLUTIONS.filter((target) => sides.filter((side) => side >= target).length >= sides.length * MIN_SHARE);
  if (fit.length > 0) return fit;
  const median = sides.toSorted((a, b) => a - b)[sides.length >> 1] ?? SIDE_STEP;
  return [Math.max(SIDE_STEP, Math.floor(median / SIDE_STEP) * SIDE_STEP)];
}

function resolutionReason(sides: readonly number[], resolution: readonly number[]): string {
  const largest = resolution.at(-1) ?? 0;
  if (sides.length === 0) return 'the sizes are unknown; this is the smallest common resolution';
  const small = sides.filter((side) => side < largest).length;
  return small === 0
    ? `all ${sides.length} files have at least ${largest} x ${largest} pixels`
    : `${small} of ${sides.length} files have fewer pixels than ${largest} x ${largest}; the trainer does not enlarge them`;
}

function framesFor(clips: readonly WireFile[]): { count: number; reason: string } {
  const known = clips.flatMap(({ frames }) => (frames === undefined ? [] : [frames]));
  const shortest = Math.min(...known);
  if (known.length === 0) return { count: 33, reason: 'the lengths of the clips are unknown; 4n + 1' };
  const count = 4 * Math.floor((Math.min(shortest, MAX_FRAMES) - 1) / 4) + 1;
  const unknown = clips.length > known.length ? ` (${clips.length - known.length} of unknown length)` : '';
  return { count: Math.max(count, 1), reason: `the shortest clip has ${shortest} frames${unknown}; 4n + 1` };
}

/** The `datasets:` block of a job's YAML. Strings are quoted as in JSON, which is valid YAML (YAML 1.2, section 1.2). */
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
