import { jsonText } from '../../json-text.js';
import { commentLines, NothingToTrainOn, type TrainConfig } from './config-text.js';
import { controlsOf, linkedPathOf, maskOf, unequalSizes } from './linked-folders.js';
import { suggestedFrames, suggestedResolutions } from './settings.js';
import {
  contentOfTraining,
  folderOfTraining,
  isMixed,
  numbered,
  type TrainingDataset,
  type TrainingFile,
} from './training-dataset.js';

/** Wan's. Other models have more frames per second, so that no clip becomes too short. */
const FRAMES_PER_SECOND = 16;

/** The `dataset` of a diffusion-pipe run (`examples/dataset.toml`; read in `utils/dataset.py`). */
export function diffusionPipeConfig(datasets: readonly TrainingDataset[]): TrainConfig {
  const files = datasets.flatMap(({ images, clips }) => [...images, ...clips]);
  if (files.length === 0) throw new NothingToTrainOn('The datasets have neither images nor clips.');
  const clips = datasets.flatMap((dataset) => dataset.clips);
  const { values: resolutions, reason } = suggestedResolutions(files, { isOne: clips.length > 0 });
  const general = [
    ...commentLines('Every file is trained on in each resolution; smaller files are enlarged.'),
    `resolutions = [${resolutions.join(', ')}]  # ${reason}`,
    'enable_ar_bucket = true',
    'min_ar = 0.5',
    'max_ar = 2.0',
    'num_ar_buckets = 7',
    ...frameLines(clips),
  ];
  const entries = datasets.filter(({ images, clips }) => images.length + clips.length > 0).flatMap(directoryLines);
  return { format: 'toml', filename: 'dataset.toml', text: [...general, ...entries].join('\n'), notes: [] };
}

function frameLines(clips: readonly TrainingFile[]): string[] {
  if (clips.length === 0) return ['frame_buckets = [1]'];
  const { count, reason } = suggestedFrames(clips, { atRate: FRAMES_PER_SECOND });
  return [
    ...commentLines(
      '1 is for images. Clips are converted to the frame rate of the model first; shorter ones are dropped.',
    ),
    `frame_buckets = [1, ${count}]  # ${reason}`,
  ];
}

function directoryLines(dataset: TrainingDataset): string[] {
  const animated = dataset.images.filter(({ warnings }) => warnings?.some(({ code }) => code === 'ANIMATED_IMAGE'));
  const stops = `${numbered(animated.length, 'image is', 'images are')} animated, and an animated WebP stops the run: ${animated[0]?.filename}`;
  const mixed = `${jsonText(dataset.name)} has ${contentOfTraining(dataset)}, and trains on both in the same resolutions.`;
  return [
    '',
    ...(isMixed(dataset) ? commentLines(mixed) : []),
    ...(animated.length > 0 ? commentLines(stops) : []),
    '[[directory]]',
    `path = ${jsonText(folderOfTraining(dataset))}`,
    ...linkedLines(dataset),
    'num_repeats = 1',
  ];
}

/** `utils/dataset.py:477-493, 632-672`; `models/base.py:176-187` */
function linkedLines(dataset: TrainingDataset): string[] {
  const [control, ...others] = controlsOf(dataset);
  const mask = maskOf(dataset);
  const several = others.length > 0 ? ' A directory has one control, so this is control 1 alone.' : '';
  const models = `Only FLUX.1 Kontext, Qwen-Image-Edit and FLUX.2 read a control; with another model, or without a control of some file, the run stops. Clips are no controls.${several}`;
  const unequal = mask === undefined ? 0 : unequalSizes(dataset, mask);
  const found = unequal > 0 ? ` ${numbered(unequal, 'mask has', 'masks have')} another size.` : '';
  const masks = `The run stops at a mask that has other pixel sizes than its image, whose EXIF rotation is not applied.${found}`;
  return [
    ...(control === undefined
      ? []
      : [...commentLines(models), `control_path = ${jsonText(linkedPathOf(dataset, control))}`]),
    ...(mask === undefined ? [] : [...commentLines(masks), `mask_path = ${jsonText(linkedPathOf(dataset, mask))}`]),
  ];
}
