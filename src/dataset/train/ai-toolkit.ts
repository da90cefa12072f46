import { jsonText } from '../../json-text.js';
import { commentLines, mountLine, type TrainConfig } from './config-text.js';
import { controlsOf, linkedPathOf, maskOf } from './linked-folders.js';
import { suggestedFrames, suggestedResolutions } from './settings.js';
import { contentOfTraining, folderOfTraining, isMixed, type TrainingDataset } from './training-dataset.js';

/** The settings of one dataset in an ai-toolkit job, with the reasons. */
export interface AiToolkitDataset {
  readonly folder_path: string;
  /** With one control. */
  readonly control_path?: string;
  /** With several controls. */
  readonly control_path_1?: string;
  readonly control_path_2?: string;
  readonly control_path_3?: string;
  readonly mask_path?: string;
  readonly mask_min_value?: number;
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
  const linked = linkedPathsOf(dataset);
  const common = {
    folder_path: folderOfTraining(dataset),
    ...linked,
    caption_ext: 'txt',
    cache_latents_to_disk: true,
  } as const;
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

/**
 * What is black in a mask counts this much: the value of ai-toolkit's page (`ui/src/app/jobs/new/jobConfig.ts:9`). The default
 * of the trainer is 0, with which the step of an all-black mask is lost (`SDTrainer.py:1484-1504, 2221`).
 */
const MASK_MIN_VALUE = 0.1;

type LinkedPaths = Pick<
  AiToolkitDataset,
  'control_path' | 'control_path_1' | 'control_path_2' | 'control_path_3' | 'mask_path' | 'mask_min_value'
>;

/** One control is a `control_path`, which every model takes; several are those of the page (`toolkit/config_modules.py:961-982`). */
function linkedPathsOf(dataset: TrainingDataset): LinkedPaths {
  const [control, ...others] = controlsOf(dataset);
  const mask = maskOf(dataset);
  const controls =
    control !== undefined && others.length === 0
      ? { control_path: linkedPathOf(dataset, control) }
      : Object.fromEntries(
          controlsOf(dataset).map((link, i) => [`control_path_${i + 1}`, linkedPathOf(dataset, link)] as const),
        );
  return {
    ...controls,
    ...(mask !== undefined && { mask_path: linkedPathOf(dataset, mask), mask_min_value: MASK_MIN_VALUE }),
  };
}

/** What ai-toolkit does with controls and masks, by its source (`toolkit/dataloader_mixins.py:1087-1218, 1582-1658`). */
function linkedAdvice(dataset: TrainingDataset): string[] {
  const controls = controlsOf(dataset).length;
  const models =
    controls === 1
      ? 'FLUX.1 Kontext and Qwen-Image-Edit stretch a control to the size of its target; Qwen-Image-Edit-2509, FLUX.2 and other models of several controls keep its own size.'
      : 'Only models of several controls take these: Qwen-Image-Edit-2509 and -2511, FLUX.2, Krea 2 and others. FLUX.1 Kontext and the first Qwen-Image-Edit stop.';
  const rules =
    'Keep batch_size 1, with which controls may differ in size, and leave out flip_x, which mirrors the target alone.';
  const clips = `Of its video models, MiniMax-H3 Ref2V alone reads controls; others train without them. ${maskOf(dataset) ? 'A mask of a clip is one image for all its frames. ' : ''}Both are read with cached latents only.`;
  return [
    ...(controls > 0 ? [`${models} ${rules}`] : []),
    ...(dataset.clips.length > 0 && dataset.links.length > 0 ? [clips] : []),
  ];
}

/** The `datasets:` block, indented for its place in a job. */
export function aiToolkitBlock(datasets: readonly TrainingDataset[]): TrainConfig {
  const lines = [`${INDENT}datasets:`, ...datasets.flatMap((dataset) => entryLines(dataset, `${INDENT}  `))];
  return { format: 'yaml', filename: 'job.yaml', text: lines.join('\n'), notes: [] };
}

function entryLines(dataset: TrainingDataset, indent: string): string[] {
  const entry = [
    ...linkedAdvice(dataset).flatMap((advice) => commentLines(advice, indent)),
    ...settingLines(aiToolkitDatasetOf(dataset)).map((line) => indent + line),
  ];
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
function settingLines(settings: AiToolkitDataset): string[] {
  const { folder_path, mask_min_value, caption_ext, resolution, num_frames, reasons } = settings;
  const paths = (['control_path', 'control_path_1', 'control_path_2', 'control_path_3', 'mask_path'] as const).flatMap(
    (key) => (settings[key] === undefined ? [] : [`  ${key}: ${jsonText(settings[key])}`]),
  );
  return [
    `- folder_path: ${jsonText(folder_path)}`,
    ...paths,
    ...(mask_min_value === undefined
      ? []
      : [`  mask_min_value: ${mask_min_value}  # white counts whole, black this much`]),
    `  caption_ext: ${jsonText(caption_ext)}`,
    `  resolution: [${resolution.join(', ')}]  # ${reasons.resolution}`,
    ...(num_frames === undefined ? [] : [`  num_frames: ${num_frames}  # ${reasons.num_frames}`]),
    '  cache_latents_to_disk: true',
  ];
}
