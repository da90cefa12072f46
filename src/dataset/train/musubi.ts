import { jsonText } from '../../json-text.js';
import { stemOf } from '../media.js';
import { commentLines, NothingToTrainOn, type TrainConfig } from './config-text.js';
import { controlsOf, extraFilesIn, linkedPathOf, maskOf } from './linked-folders.js';
import { suggestedFrames, suggestedResolutions } from './settings.js';
import { cacheFolderOf, folderOfTraining, type LinkedFolder, type TrainingDataset } from './training-dataset.js';

/**
 * The `--dataset_config` of musubi-tuner (`docs/dataset_config.md`; schema in `src/musubi_tuner/dataset/config_utils.py`).
 * It looks for images or for clips by their extensions, so both may be in one folder; each needs an entry and a cache folder.
 */
export function musubiConfig(datasets: readonly TrainingDataset[]): TrainConfig {
  const entries = datasets.flatMap((dataset) => [...imageLines(dataset), ...clipLines(dataset)]);
  if (entries.length === 0) throw new NothingToTrainOn('The datasets have neither images nor clips.');
  const general = [
    '[general]',
    'caption_extension = ".txt"  # without it, the run stops',
    'batch_size = 1',
    'enable_bucket = true',
    'bucket_no_upscale = true  # without it, files of fewer pixels than the resolution are enlarged',
  ];
  return { format: 'toml', filename: 'dataset.toml', text: [...general, ...entries].join('\n'), notes: [] };
}

const CACHE = 'Each entry needs its own cache. It finds files by name, so a changed dataset needs another one, too.';

/** One folder for all controls of an entry (`src/musubi_tuner/dataset/datasources.py:137-206, 485-523`). */
function controlLines(dataset: TrainingDataset, kind: 'image' | 'video'): string[] {
  const [control, ...others] = controlsOf(dataset);
  const noMasks = 'musubi has no masks of the loss, and leaves out the mask.';
  const mask = maskOf(dataset) === undefined ? [] : commentLines(noMasks);
  if (control === undefined) return mask;
  const several = `An entry has one control_directory, so this is control 1 alone. For all ${others.length + 1}, write a file with a line {"image_path": …, "caption": …, "control_path_0": …, "control_path_1": …} for each image, and name it as image_jsonl_file instead of image_directory.`;
  return [
    ...mask,
    ...(others.length > 0 ? commentLines(several) : []),
    ...commentLines(kind === 'image' ? imageControlAdvice(dataset, control) : CLIP_CONTROL),
    `control_directory = ${jsonText(linkedPathOf(dataset, control))}`,
  ];
}

const CLIP_CONTROL =
  'The control of a clip is a clip of the same stem; an image is not found, and the run stops if one is missing. A shorter control repeats its last frame.';

function imageControlAdvice(dataset: TrainingDataset, control: LinkedFolder): string {
  const targets = dataset.images.map(({ filename }) => stemOf(filename));
  const taken = extraFilesIn(dataset, control).filter(({ filename }) =>
    targets.some((stem) => filename.startsWith(`${stem}_`) || filename.startsWith(`${stem}.`)),
  );
  const wrong = `A control whose name is that of an image with more behind _ is taken for another control of it, or stops the run; remove ${taken[0]?.filename}${taken.length > 1 ? ` and ${taken.length - 1} more` : ''}.`;
  const sizes =
    'Controls are cut to the aspect ratio of the image; for Qwen-Image-Edit add control_resolution = [1024, 1024], for FLUX.2 no_resize_control = true, to keep their own. EXIF rotation is not applied.';
  return taken.length > 0 ? `${wrong} ${sizes}` : sizes;
}

function imageLines(dataset: TrainingDataset): string[] {
  const { images } = dataset;
  if (images.length === 0) return [];
  const { values, reason } = suggestedResolutions(images);
  const side = values.at(-1);
  return [
    '',
    '[[datasets]]',
    `image_directory = ${jsonText(folderOfTraining(dataset))}`,
    ...controlLines(dataset, 'image'),
    ...commentLines(CACHE),
    `cache_directory = ${jsonText(cacheFolderOf(dataset, 'musubi-images'))}`,
    `resolution = [${side}, ${side}]  # ${reason}`,
    'num_repeats = 1',
  ];
}

function clipLines(dataset: TrainingDataset): string[] {
  const { clips } = dataset;
  if (clips.length === 0) return [];
  const { values, reason } = suggestedResolutions(clips, { isOne: true });
  const frames = suggestedFrames(clips);
  return [
    '',
    '[[datasets]]',
    `video_directory = ${jsonText(folderOfTraining(dataset))}`,
    ...controlLines(dataset, 'video'),
    ...commentLines(CACHE),
    `cache_directory = ${jsonText(cacheFolderOf(dataset, 'musubi-videos'))}`,
    `resolution = [${values[0]}, ${values[0]}]  # ${reason}; clips need much memory`,
    `target_frames = [${frames.count}]  # ${frames.reason}; shorter clips are left out`,
    'frame_extraction = "head"',
    ...commentLines(rateAdvice(clips)),
    'num_repeats = 1',
  ];
}

function rateAdvice(clips: TrainingDataset['clips']): string {
  const rates = clips.flatMap(({ frames_per_second: rate }) => (rate ? [Math.round(rate * 100) / 100] : []));
  const [least, most] = [Math.min(...rates), Math.max(...rates)];
  const found =
    rates.length === 0
      ? 'The frame rates of the clips are unknown.'
      : `The clips have ${least === most ? least : `${least} to ${most}`} frames per second.`;
  return `${found} Frames are taken as they are; models expect 16 (Wan) or 24 (HunyuanVideo). With source_fps, a decimal number such as 24.0, frames are left out to match, and target_frames must be fewer.`;
}
