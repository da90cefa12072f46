import { jsonText } from '../../json-text.js';
import { mountLine, multiLineFinding, NothingToTrainOn, type TrainConfig } from './config-text.js';
import { sidesOf, smallerThan, suggestedFrames, suggestedResolutions } from './settings.js';
import {
  cacheFolderOf,
  contentOfTraining,
  folderOfTraining,
  isMixed,
  type MediaChoice,
  numbered,
  type TrainingDataset,
  type TrainingFile,
} from './training-dataset.js';

/** The data backends of SimpleTuner, `multidatabackend.json` (`documentation/DATALOADER.md`). */
export function simpleTunerConfig(datasets: readonly TrainingDataset[]): TrainConfig {
  const backends = datasets.flatMap((dataset) => [
    ...(dataset.images.length > 0 ? [imageBackend(dataset)] : []),
    ...(dataset.clips.length > 0 ? [videoBackend(dataset)] : []),
  ]);
  const [first] = datasets;
  if (backends.length === 0 || first === undefined) {
    throw new NothingToTrainOn('The datasets have neither images nor clips.');
  }
  const texts = {
    id: 'text-embeds',
    type: 'local',
    dataset_type: 'text_embeds',
    default: true,
    cache_dir: cacheFolderOf(first, 'simpletuner-text'),
  };
  return {
    format: 'json',
    filename: 'multidatabackend.json',
    text: jsonText([...backends, texts], 2),
    notes: [...datasets.flatMap(notesFor), ...multiLineNotes(datasets)],
  };
}

function imageBackend(dataset: TrainingDataset): object {
  const { images } = dataset;
  const resolution = suggestedResolutions(images).values.at(-1) ?? 0;
  return commonBackend(dataset, { kind: 'images', files: images, resolution });
}

function videoBackend(dataset: TrainingDataset): object {
  const { clips } = dataset;
  const frames = suggestedFrames(clips).count;
  return {
    ...commonBackend(dataset, {
      kind: 'videos',
      files: clips,
      resolution: suggestedResolutions(clips, { isOne: true }).values[0],
    }),
    video: { num_frames: frames, min_frames: frames },
  };
}

function commonBackend(
  dataset: TrainingDataset,
  { kind, files, resolution }: { kind: MediaChoice; files: readonly TrainingFile[]; resolution: number },
): object {
  const [smallest] = sidesOf(files);
  return {
    id: `${dataset.name}-${kind}`,
    type: 'local',
    dataset_type: kind === 'images' ? 'image' : 'video',
    instance_data_dir: mountedFolderOf(dataset, kind),
    caption_strategy: 'textfile',
    disable_multiline_split: true,
    metadata_backend: 'discovery',
    resolution,
    resolution_type: 'pixel_area',
    ...(smallest !== undefined && { minimum_image_size: Math.min(resolution, Math.floor(smallest)) }),
    crop: false,
    repeats: 0,
    cache_dir_vae: cacheFolderOf(dataset, `simpletuner-${kind}`),
  };
}

/** SimpleTuner reads all media of a folder as the one kind of its backend, so the kinds are mounted into roots of their own. */
function mountedFolderOf(dataset: TrainingDataset, kind: MediaChoice): string {
  return folderOfTraining(isMixed(dataset) ? { ...dataset, root: rootOf(dataset, kind) } : dataset);
}

function rootOf({ root }: TrainingDataset, kind: MediaChoice): string {
  return folderOfTraining({ root, name: kind });
}

function notesFor(dataset: TrainingDataset): string[] {
  const { name, images } = dataset;
  const resolution = suggestedResolutions(images).values.at(-1) ?? 0;
  const small = smallerThan(images, resolution);
  const mount = (kind: MediaChoice) => mountLine({ name, root: rootOf(dataset, kind) }, kind);
  const apart = `${jsonText(name)} has ${contentOfTraining(dataset)}. SimpleTuner wants each kind in a folder of its own: ${mount('images')}; ${mount('videos')}`;
  const dropped = `SimpleTuner leaves out images under minimum_image_size. It is set so that all train; with ${resolution}, ${numbered(small, 'image')} of ${jsonText(name)} would be left out, which are enlarged now.`;
  return [...(isMixed(dataset) ? [apart] : []), ...(small > 0 ? [dropped] : [])];
}

function multiLineNotes(datasets: readonly TrainingDataset[]): string[] {
  const finding = multiLineFinding(datasets);
  const advice =
    'disable_multiline_split keeps each as one caption; without it, SimpleTuner takes every line as a caption of its own.';
  return finding === undefined ? [] : [`${finding} ${advice}`];
}
