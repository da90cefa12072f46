import { jsonText } from '../../json-text.js';
import { mountLine, multiLineFinding, NothingToTrainOn, type TrainConfig } from './config-text.js';
import { linkedPathOf, otherExtensions } from './linked-folders.js';
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
    ...conditioningBackends(dataset),
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
    notes: [...datasets.flatMap(notesFor), ...multiLineNotes(datasets), ...datasets.flatMap(conditioningNotes)],
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
    ...(kind === conditionedKind(dataset) && {
      conditioning_data: dataset.links.map(({ slot }) => `${dataset.name}-${slot}`),
    }),
  };
}

/** Of a mixed dataset, the images alone have controls: of a clip, the first frame would be used (`multiaspect/sampler.py:793`). */
function conditionedKind({ images, links }: TrainingDataset): MediaChoice | undefined {
  if (links.length === 0) return undefined;
  return images.length > 0 ? 'images' : 'videos';
}

/** A backend for each control and mask. Without `caption_strategy: null`, its captions would be taken instead of the target's. */
function conditioningBackends(dataset: TrainingDataset): object[] {
  const kind = conditionedKind(dataset);
  if (kind === undefined) return [];
  const files = kind === 'images' ? dataset.images : dataset.clips;
  const resolution = suggestedResolutions(files, { isOne: kind === 'videos' }).values.at(-1);
  return dataset.links.map((link) => ({
    id: `${dataset.name}-${link.slot}`,
    type: 'local',
    dataset_type: 'conditioning',
    conditioning_type: link.slot === 'mask' ? 'mask' : 'reference_strict',
    source_dataset_id: `${dataset.name}-${kind}`,
    instance_data_dir: linkedPathOf(
      kind === 'images' && isMixed(dataset) ? { root: rootOf(dataset, kind) } : dataset,
      link,
    ),
    caption_strategy: null,
    metadata_backend: 'discovery',
    resolution,
    resolution_type: 'pixel_area',
    crop: false,
    cache_dir_vae: cacheFolderOf(dataset, `simpletuner-${link.slot}`),
  }));
}

/** It finds a control by the whole name of its target (`multiaspect/sampler.py:749-782`; `FLUX_KONTEXT.md`). */
function conditioningNotes(dataset: TrainingDataset): string[] {
  return dataset.links.flatMap((link) => {
    const others = otherExtensions(dataset, link);
    const rule = `SimpleTuner finds a file of ${jsonText(link.name)} by the name of its target with the extension, and stops where one is missing.`;
    const found = `${numbered(others, 'file has', 'files have')} another extension; give them that of the target, whose content may differ.`;
    return others > 0 ? [`${rule} ${found}`] : link.files === undefined ? [rule] : [];
  });
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
