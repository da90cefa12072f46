import { ServiceError } from '../errors.js';
import { factsOf, factsOfOne } from './facts.js';
import { ltxFactsOf } from './ltx.js';
import { filled, type TemplateFacts, withProse } from './template.js';
import aiToolkit from './templates/ai-toolkit.yaml.template?raw';
import aiToolkitJobTemplate from './templates/ai-toolkit-job.yaml.template?raw';
import diffusionPipe from './templates/diffusion-pipe.toml.template?raw';
import kohya from './templates/kohya.toml.template?raw';
import ltx from './templates/ltx.json.template?raw';
import musubi from './templates/musubi.toml.template?raw';
import oneTrainer from './templates/onetrainer.json.template?raw';
import simpleTuner from './templates/simpletuner.json.template?raw';
import type { TrainingDataset } from './training-dataset.js';

export interface TrainConfig {
  readonly format: 'yaml' | 'toml' | 'json';
  /** The usual name of the file. */
  readonly filename: string;
  /** With advice in comments where the format has them, and without a final line end. */
  readonly text: string;
  /** Advice for JSON, which has no comments. */
  readonly notes: readonly string[];
}

type TrainerFile = Pick<TrainConfig, 'format' | 'filename'> & { readonly template: string };

/** A new trainer is a row here, its template, and the facts that no other template has. */
const FILES = {
  'ai-toolkit': { format: 'yaml', filename: 'job.yaml', template: aiToolkit },
  kohya: { format: 'toml', filename: 'dataset.toml', template: kohya },
  onetrainer: { format: 'json', filename: 'concepts.json', template: oneTrainer },
  simpletuner: { format: 'json', filename: 'multidatabackend.json', template: simpleTuner },
  musubi: { format: 'toml', filename: 'dataset.toml', template: musubi },
  'diffusion-pipe': { format: 'toml', filename: 'dataset.toml', template: diffusionPipe },
  ltx: { format: 'json', filename: 'dataset.json', template: ltx },
} as const satisfies Record<string, TrainerFile>;

export type Trainer = keyof typeof FILES;

export const TRAINERS = Object.keys(FILES) as readonly Trainer[];

function nothingToTrainOn(message = 'The datasets have neither images nor clips.'): ServiceError {
  return new ServiceError('invalid_content', message);
}

/** ai-toolkit's block can be written before the files are there. @throws ServiceError if there is nothing to train on */
export function trainConfigOf(trainer: Trainer, datasets: readonly TrainingDataset[]): TrainConfig {
  const facts = factsOf(datasets);
  if (trainer === 'kohya' && facts.images === undefined) {
    throw nothingToTrainOn('sd-scripts trains on images, and there are none. For clips, use musubi.');
  }
  if (trainer !== 'ai-toolkit' && facts.filled.length === 0) throw nothingToTrainOn();
  if (trainer !== 'ltx') return configOf(FILES[trainer], facts);
  if (datasets.some(({ captions }) => captions === undefined)) {
    throw nothingToTrainOn('The file for LTX has the captions in it, and they could not be read here.');
  }
  const frames = facts.clips && { frames: facts.clips.frames };
  return configOf(FILES.ltx, { ...facts, ...ltxFactsOf(datasets, { resolution: facts.resolution, ...frames }) });
}

function configOf({ format, filename, template }: TrainerFile, facts: TemplateFacts): TrainConfig {
  const lines = filled(template, facts).trimEnd().split('\n');
  return { format, filename, ...withProse(lines, { hasComments: format !== 'json' }) };
}

/** More take long to make; ai-toolkit's page has this value for Wan (`ui/src/app/jobs/new/options.tsx`). */
const MAX_SAMPLE_FRAMES = 41;

/** What ai-toolkit's example for each model sets besides its own section of the template. */
const JOBS = {
  flux: { example: 'train_lora_flux_24gb', rank: 16, guidance: 4, sampleSteps: 20 },
  kontext: { example: 'train_lora_flux_kontext_24gb', rank: 16, guidance: 4, sampleSteps: 20 },
  qwenEdit: { example: 'train_lora_qwen_image_edit_2509_32gb', rank: 16, guidance: 3, sampleSteps: 25 },
  wan: { example: 'train_lora_wan22_14b_24gb', rank: 32, guidance: 3.5, sampleSteps: 25 },
} as const;

/**
 * A job after ai-toolkit's examples at commit 27a03a91: Wan 2.2 for clips, FLUX.1 for images, FLUX.1 Kontext with one control,
 * Qwen-Image-Edit with several.
 *
 * @param job.name also names the folder and files that it writes
 * @throws ServiceError if there is nothing to train on
 */
export function aiToolkitJob(
  datasets: readonly TrainingDataset[],
  { name, trigger }: { name: string; trigger?: string | undefined },
): TrainConfig {
  const facts = factsOf(datasets);
  if (facts.filled.length === 0) throw nothingToTrainOn();
  const controls = Math.max(...facts.datasets.map((dataset) => dataset.controls.length));
  const model = facts.clips ? 'wan' : controls === 0 ? 'flux' : controls === 1 ? 'kontext' : 'qwenEdit';
  const [edits, cachesCaptions] = [!facts.clips && controls > 0, model === 'wan' || model === 'qwenEdit'];
  const models = Object.fromEntries(Object.keys(JOBS).map((name) => [name, name === model]));
  const template = aiToolkitJobTemplate.replace('{{>datasets}}\n', () => aiToolkit);
  const filename = `${name.replace(/[^\p{L}\p{N}._-]+/gu, '_')}.yaml`;
  const examples = facts.datasets.flatMap((dataset) => dataset.examples).slice(0, 3);
  const prompts = examples.length > 0 ? examples : [{ prompt: trigger ?? datasets[0]?.name ?? '' }];
  const samples = facts.datasets.flatMap((dataset) => dataset.samples);
  const sampleFrames = facts.clips && Math.min(facts.clips.frames, MAX_SAMPLE_FRAMES);
  return configOf(
    { format: 'yaml', filename, template },
    {
      ...{ ...facts, ...JOBS[model], ...models, edits, cachesCaptions },
      ...{ filename, jobName: name, trigger, prompts, firstPrompt: prompts[0]?.prompt, samples, sampleFrames },
    },
  );
}

/** With the reason for each number. */
export function aiToolkitDatasetOf(dataset: TrainingDataset) {
  const { folder, controls, mask, resolutions, reason, clips, severalRepeats, isReg } = factsOfOne(dataset);
  const small = `${reason}; the trainer does not enlarge files`;
  return {
    folder_path: folder,
    ...Object.fromEntries(controls.map(({ key, linkFolder }) => [key, linkFolder])),
    ...(mask && { mask_path: mask.linkFolder, mask_min_value: 0.1 }),
    caption_ext: 'txt',
    ...(severalRepeats && { num_repeats: severalRepeats }),
    ...(isReg && { is_reg: true }),
    cache_latents_to_disk: true,
    resolution: resolutions,
    ...(clips && { num_frames: clips.frames }),
    reasons: {
      resolution: clips ? `${small}; clips need much memory` : small,
      ...(clips && { num_frames: clips.framesReason }),
    },
  };
}
