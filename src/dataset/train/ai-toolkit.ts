import { jsonText } from '../../json-text.js';
import { commentLines, mountLine, type TrainConfig } from './config-text.js';
import { suggestedFrames, suggestedResolutions } from './settings.js';
import { contentOfTraining, folderOfTraining, isMixed, type TrainingDataset } from './training-dataset.js';

/** The settings of one dataset in an ai-toolkit job, with the reasons. */
export interface AiToolkitDataset {
  readonly folder_path: string;
  readonly caption_ext: 'txt';
  readonly resolution: readonly number[];
  /** Only if clips are trained on. */
  readonly num_frames?: number;
  readonly cache_latents_to_disk: true;
  /** The reason for each number. */
  readonly reasons: { readonly resolution: string; readonly num_frames?: string };
}

/** The place of `datasets:` in a job: `config.process[0]`, as ai-toolkit's examples indent it (`config/examples/`). */
const INDENT = ' '.repeat(6);

/** Suggests settings for the clips and images of a dataset, or for its images alone. */
export function aiToolkitDatasetOf(dataset: TrainingDataset, { isForImages = false } = {}): AiToolkitDataset {
  const { images, clips } = dataset;
  const trainsOnClips = clips.length > 0 && !isForImages;
  const files = trainsOnClips ? [...images, ...clips] : images;
  const { values: resolution, reason } = suggestedResolutions(files, { isOne: trainsOnClips });
  const common = { folder_path: folderOfTraining(dataset), caption_ext: 'txt', cache_latents_to_disk: true } as const;
  // `toolkit/buckets.py`
  const reasonWithout = `${reason}; the trainer does not enlarge files`;
  if (!trainsOnClips) return { ...common, resolution, reasons: { resolution: reasonWithout } };
  const frames = suggestedFrames(clips);
  return {
    ...common,
    resolution,
    num_frames: frames.count,
    reasons: { resolution: `${reasonWithout}; clips need much memory`, num_frames: frames.reason },
  };
}

/** The `datasets:` block, indented for its place in a job. */
export function aiToolkitBlock(datasets: readonly TrainingDataset[]): TrainConfig {
  const lines = [`${INDENT}datasets:`, ...datasets.flatMap((dataset) => entryLines(dataset, `${INDENT}  `))];
  return { format: 'yaml', filename: 'job.yaml', text: lines.join('\n'), notes: [] };
}

function entryLines(dataset: TrainingDataset, indent: string): string[] {
  const entry = settingLines(aiToolkitDatasetOf(dataset)).map((line) => indent + line);
  if (!isMixed(dataset)) return entry;
  const both = `${jsonText(dataset.name)} has ${contentOfTraining(dataset)}. With num_frames over 1, ai-toolkit trains on both from version 0.12.10 on (an image counts as one frame), and before that on the clips alone. To train on the clips alone with every version, mount only them:`;
  const other = settingLines(aiToolkitDatasetOf(dataset, { isForImages: true }));
  return [
    ...commentLines(both, indent),
    `${indent}#   ${mountLine(dataset, 'videos')}`,
    ...entry,
    ...commentLines('To train on the images alone, with every version, use this instead:', indent),
    ...other.map((line) => `${indent}# ${line}`),
  ];
}

/** Strings are quoted as in JSON, which is valid YAML (YAML 1.2, section 1.2). */
function settingLines({ folder_path, caption_ext, resolution, num_frames, reasons }: AiToolkitDataset): string[] {
  return [
    `- folder_path: ${jsonText(folder_path)}`,
    `  caption_ext: ${jsonText(caption_ext)}`,
    `  resolution: [${resolution.join(', ')}]  # ${reasons.resolution}`,
    ...(num_frames === undefined ? [] : [`  num_frames: ${num_frames}  # ${reasons.num_frames}`]),
    '  cache_latents_to_disk: true',
  ];
}
