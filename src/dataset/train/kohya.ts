import { jsonText } from '../../json-text.js';
import { commentLines, multiLineFinding, NothingToTrainOn, type TrainConfig } from './config-text.js';
import { controlsOf, extraFilesIn, linkedPathOf, maskOf, unequalSizes } from './linked-folders.js';
import { suggestedResolutions } from './settings.js';
import {
  contentOfTraining,
  folderOfTraining,
  type LinkedFolder,
  numbered,
  type TrainingDataset,
} from './training-dataset.js';

/** `library/train_util.py`, `process_caption` and `read_caption` */
const WILDCARD =
  'Without enable_wildcard, only the first line is read. With it, each step takes one line at random, and one word of {a|b}. To train on a whole caption, put it on one line.';

/** The `--dataset_config` of sd-scripts (`docs/config_README-en.md`; schema in `library/config_util.py`). */
export function kohyaConfig(datasets: readonly TrainingDataset[]): TrainConfig {
  const withImages = datasets.filter(({ images }) => images.length > 0);
  if (withImages.length === 0) {
    throw new NothingToTrainOn('sd-scripts trains on images, and there are none. For clips, use musubi.');
  }
  const general = [
    '[general]',
    'enable_bucket = true',
    'bucket_no_upscale = true  # without it, images of fewer pixels than the resolution are enlarged',
    'caption_extension = ".txt"  # the default is ".caption"',
  ];
  return {
    format: 'toml',
    filename: 'dataset.toml',
    text: [...general, ...withImages.flatMap(datasetLines)].join('\n'),
    notes: [],
  };
}

function datasetLines(dataset: TrainingDataset): string[] {
  const { images, clips, name } = dataset;
  const { values, reason } = suggestedResolutions(images);
  const resolution = values.at(-1) ?? values[0];
  const multiLine = multiLineFinding([dataset]);
  const left = `${jsonText(name)} has ${contentOfTraining(dataset)}. sd-scripts trains on the images alone.`;
  return [
    '',
    ...(clips.length > 0 ? commentLines(left) : []),
    '[[datasets]]',
    `resolution = ${resolution}  # ${reason}`,
    'batch_size = 1',
    '',
    '  [[datasets.subsets]]',
    `  image_dir = ${jsonText(folderOfTraining(dataset))}`,
    '  num_repeats = 1',
    ...conditioningLines(dataset),
    ...(multiLine === undefined ? [] : [...commentLines(`${multiLine} ${WILDCARD}`, '  '), '  enable_wildcard = true']),
  ];
}

/** `library/config_util.py:317-330`; `library/train_util.py:2470-2492, 2536-2539` */
function conditioningLines(dataset: TrainingDataset): string[] {
  const mask = maskOf(dataset);
  const [control] = controlsOf(dataset);
  const noEdits = 'sd-scripts trains no edit models: only its ControlNet scripts read a control, and only one.';
  const line = (link: LinkedFolder) => `  conditioning_data_dir = ${jsonText(linkedPathOf(dataset, link))}`;
  if (mask !== undefined) {
    const other = control === undefined ? '' : ` ${noEdits} With --masked_loss, the key is for the mask.`;
    const advice = `Masks need --masked_loss; without it, the run stops at this key. White is trained on. ${strictness(dataset, mask)}${other}`;
    return [...commentLines(advice, '  '), line(mask)];
  }
  if (control === undefined) return [];
  return [
    ...commentLines(`${noEdits} ${strictness(dataset, control)} There, take:`, '  '),
    `  # ${line(control).trim()}`,
  ];
}

function strictness(dataset: TrainingDataset, link: LinkedFolder): string {
  const [extra, unequal] = [extraFilesIn(dataset, link).length, unequalSizes(dataset, link)];
  const found = [
    ...(extra > 0 ? [`${numbered(extra, 'file has', 'files have')} no image of the same stem`] : []),
    ...(unequal > 0 ? [`${numbered(unequal, 'file has', 'files have')} another size`] : []),
  ];
  const here = found.length === 0 ? '' : ` In ${jsonText(link.name)}, ${found.join(', and ')}.`;
  return `The run stops if a file is missing, is extra, or has other pixel sizes than its image.${here}`;
}
