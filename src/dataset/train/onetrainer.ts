import { shellWord } from '../../command-line.js';
import { jsonText } from '../../json-text.js';
import { stemOf } from '../media.js';
import { multiLineFinding, NothingToTrainOn, type TrainConfig } from './config-text.js';
import { controlsOf, maskOf } from './linked-folders.js';
import { smallerThan, suggestedFrames, suggestedResolutions } from './settings.js';
import { folderOfTraining, numbered, type TrainingDataset } from './training-dataset.js';

/** The file names of masks end so (`modules/dataLoader/mixin/DataLoaderText2ImageMixin.py:76`). */
const MASK_ENDING = '-masklabel.png';

/** The version of a concept; an older one is converted (`modules/util/config/ConceptConfig.py`). */
const CONCEPT_VERSION = 2;

/** The name by which OneTrainer finds the mask beside an image. It is read as what it is, also a JPEG (mgds `LoadImage.py:55-84`). */
export function oneTrainerMaskOf(filename: string): string {
  return stemOf(filename) + MASK_ENDING;
}

/** OneTrainer's list of concepts, `training_concepts/concepts.json`. Settings that are left out keep their defaults. */
export function oneTrainerConfig(datasets: readonly TrainingDataset[]): TrainConfig {
  const filled = datasets.filter(({ images, clips }) => images.length + clips.length > 0);
  if (filled.length === 0) throw new NothingToTrainOn('The datasets have neither images nor clips.');
  const concepts = filled.map((dataset) => ({
    __version: CONCEPT_VERSION,
    name: dataset.name,
    path: folderOfTraining(dataset),
    enabled: true,
    type: 'STANDARD',
    include_subdirectories: false,
    text: { prompt_source: 'sample' },
  }));
  return { format: 'json', filename: 'concepts.json', text: jsonText(concepts, 2), notes: notesFor(filled) };
}

function notesFor(datasets: readonly TrainingDataset[]): string[] {
  const images = datasets.flatMap((dataset) => dataset.images);
  const clips = datasets.flatMap((dataset) => dataset.clips);
  const { values, reason } = suggestedResolutions(images.length > 0 ? images : clips);
  const small = smallerThan(images, values.at(-1) ?? 0);
  const enlarged = small > 0 ? ` ${numbered(small, 'image is', 'images are')} smaller, and will be enlarged.` : '';
  const multiLine = multiLineFinding(datasets);
  return [
    `On the tab "training", set "Resolution" to ${values.join(',')}: ${reason}.${enlarged}`,
    ...(multiLine === undefined
      ? []
      : [`${multiLine} OneTrainer takes each line as a caption of its own, and chooses one at random.`]),
    ...(clips.length > 0 ? [clipAdvice(clips)] : []),
    ...datasets.flatMap(linkedAdviceOf),
    ...(datasets.some(maskOf) ? [] : [maskAdvice(images)]),
  ];
}

/** OneTrainer cuts clips at 24 frames per second (`DataLoaderText2ImageMixin.py`, `LoadVideo`). */
function clipAdvice(clips: TrainingDataset['clips']): string {
  const { count, reason } = suggestedFrames(clips, { atRate: 24 });
  return `${numbered(clips.length, 'clip is', 'clips are')} read by its HunyuanVideo models alone; other models train on the images and leave clips out. Set "Frames" to ${count}: ${reason}.`;
}

function linkedAdviceOf(dataset: TrainingDataset): string[] {
  const { name, root } = dataset;
  const mount = `trainyard mount ${shellWord(name)} --into ${shellWord(root)} --layout onetrainer`;
  const mask = `OneTrainer takes the mask of photo.jpg from photo-masklabel.png beside it. To mount the masks of ${jsonText(name)} so: ${mount}. Switch on "Masked Training"; an image without a mask is trained on whole.`;
  const control = `OneTrainer has no edit models, and reads none of the controls of ${jsonText(name)}.`;
  return [...(maskOf(dataset) === undefined ? [] : [mask]), ...(controlsOf(dataset).length === 0 ? [] : [control])];
}

function maskAdvice(images: TrainingDataset['images']): string {
  const masks = images.filter(({ filename }) => filename.toLowerCase().endsWith(MASK_ENDING)).length;
  const place = 'OneTrainer takes the mask of photo.jpg from photo-masklabel.png beside it, if "Masked Training" is on';
  const found = masks === 0 ? 'there are none' : `${numbered(masks, 'file is one', 'files are')}`;
  return `${place}; ${found}. The service counts a mask as an image, which needs a caption file.`;
}
