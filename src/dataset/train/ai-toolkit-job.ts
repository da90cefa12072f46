import { jsonText } from '../../json-text.js';
import { aiToolkitBlock } from './ai-toolkit.js';
import { commentLines, NothingToTrainOn, type TrainConfig } from './config-text.js';
import { controlsOf, linkedFileOf, linkedPathOf } from './linked-folders.js';
import { suggestedFrames } from './settings.js';
import type { TrainingDataset, TrainingFile } from './training-dataset.js';

export interface AiToolkitJob {
  /** Names the job, and the folder and the files that it writes. */
  readonly name: string;
  readonly trigger?: string | undefined;
}

/** More frames of a sample take long to make; the value of ai-toolkit's page for Wan (`ui/src/app/jobs/new/options.tsx`). */
const MAX_SAMPLE_FRAMES = 41;

/** Lines of the "process" of a job, without their indentation. */
interface JobParts {
  readonly example: string;
  readonly type: 'sd_trainer' | 'diffusion_trainer';
  readonly rank: number;
  /** Before the datasets. */
  readonly trigger: readonly string[];
  readonly train: readonly string[];
  readonly model: readonly string[];
  /** Without the prompts. */
  readonly sample: readonly string[];
  readonly prompts: readonly string[];
}

/**
 * A whole job for ai-toolkit with the keys and values of its examples at commit 27a03a91: `train_lora_flux_24gb.yaml` for
 * images, `train_lora_wan22_14b_24gb.yaml` if there are clips, `train_lora_flux_kontext_24gb.yaml` for images with one control,
 * `train_lora_qwen_image_edit_2509_32gb.yaml` with several.
 *
 * @throws NothingToTrainOn
 */
export function aiToolkitJob(datasets: readonly TrainingDataset[], job: AiToolkitJob): TrainConfig {
  const images = datasets.flatMap((dataset) => dataset.images);
  const clips = datasets.flatMap((dataset) => dataset.clips);
  if (images.length + clips.length === 0) throw new NothingToTrainOn('The datasets have neither images nor clips.');
  const parts = partsOf(datasets, job, clips);
  const block = aiToolkitBlock(datasets);
  const processLines = [
    `- type: '${parts.type}'`,
    '  training_folder: "output"',
    '  device: cuda:0',
    ...parts.trigger.map((line) => `  ${line}`),
    '  network:',
    '    type: "lora"',
    `    linear: ${parts.rank}`,
    `    linear_alpha: ${parts.rank}`,
    '  save:',
    '    dtype: float16',
    '    save_every: 250',
    '    max_step_saves_to_keep: 4',
  ];
  const restLines = [
    'train:',
    ...parts.train.map((line) => `  ${line}`),
    'model:',
    ...parts.model.map((line) => `  ${line}`),
    'sample:',
    ...parts.sample.map((line) => `  ${line}`),
    ...parts.prompts.map((line) => `  ${line}`),
    '  neg: ""',
    '  seed: 42',
    '  walk_seed: true',
  ];
  const text = [
    ...commentLines(
      `After ai-toolkit's config/examples/${parts.example}. Start it with: python run.py ${filenameOf(job)}`,
    ),
    'job: extension',
    'config:',
    `  name: ${jsonText(job.name)}`,
    '  process:',
    ...processLines.map((line) => `    ${line}`),
    block.text,
    ...restLines.map((line) => `      ${line}`),
    'meta:',
    '  name: "[name]"',
    "  version: '1.0'",
  ];
  return { ...block, filename: filenameOf(job), text: text.join('\n') };
}

function filenameOf({ name }: AiToolkitJob): string {
  return `${name.replace(/[^\p{L}\p{N}._-]+/gu, '_')}.yaml`;
}

const TRAIN = ['batch_size: 1', 'steps: 2000  # 500 to 4000'] as const;
const TRAIN_END = [
  'train_unet: true',
  'train_text_encoder: false',
  'gradient_checkpointing: true',
  'noise_scheduler: "flowmatch"',
] as const;
const SAMPLE = [
  'sampler: "flowmatch"',
  'sample_every: 250',
  'sample_start_step: 0',
  'width: 1024',
  'height: 1024',
] as const;

function partsOf(datasets: readonly TrainingDataset[], job: AiToolkitJob, clips: readonly TrainingFile[]): JobParts {
  const controls = Math.max(...datasets.map((dataset) => controlsOf(dataset).length));
  const prompts = ['prompts:', ...promptsFor(datasets, job).map((prompt) => `  - ${jsonText(prompt)}`)];
  if (clips.length > 0) return videoJob(job, { clips, prompts });
  if (controls === 0) return imageJob(job, prompts);
  const samples = samplesFor(datasets, job);
  return controls === 1 ? kontextJob(job, samples) : qwenEditJob(job, samples);
}

const EDIT_TRAIN = [...TRAIN, ...TRAIN_END, 'timestep_type: "weighted"', 'optimizer: "adamw8bit"', 'lr: 0.0001'];

function kontextJob({ trigger }: AiToolkitJob, prompts: readonly string[]): JobParts {
  return {
    example: 'train_lora_flux_kontext_24gb.yaml',
    type: 'sd_trainer',
    rank: 16,
    trigger: triggerLines(trigger),
    train: [...EDIT_TRAIN, 'gradient_accumulation_steps: 1', 'dtype: bf16'],
    model: [
      'name_or_path: "black-forest-labs/FLUX.1-Kontext-dev"  # needs your consent to its licence, and HF_TOKEN',
      'arch: "flux_kontext"',
      'quantize: true',
    ],
    sample: [...SAMPLE, 'guidance_scale: 4', 'sample_steps: 20'],
    prompts,
  };
}

function qwenEditJob({ trigger }: AiToolkitJob, prompts: readonly string[]): JobParts {
  return {
    example: 'train_lora_qwen_image_edit_2509_32gb.yaml',
    type: 'diffusion_trainer',
    rank: 16,
    trigger: cachedTriggerLines(trigger),
    train: [...EDIT_TRAIN, 'gradient_accumulation: 1', 'dtype: bf16', 'cache_text_embeddings: true'],
    model: [
      'name_or_path: "Qwen/Qwen-Image-Edit-2509"',
      'arch: "qwen_image_edit_plus"',
      'quantize: true',
      'qtype: "uint3|ostris/accuracy_recovery_adapters/qwen_image_edit_2509_torchao_uint3.safetensors"',
      'quantize_te: true',
      'qtype_te: "qfloat8"',
      'low_vram: true',
    ],
    sample: [...SAMPLE, 'guidance_scale: 3', 'sample_steps: 25'],
    prompts,
  };
}

function triggerLines(trigger: string | undefined): string[] {
  return trigger === undefined ? [] : [`trigger_word: ${jsonText(trigger)}  # put before captions that lack it`];
}

function cachedTriggerLines(trigger: string | undefined): string[] {
  if (trigger === undefined) return [];
  return commentLines(
    `This model's job caches the captions, and puts no trigger word into them: write ${jsonText(trigger)} into the captions.`,
  );
}

function imageJob({ trigger }: AiToolkitJob, prompts: readonly string[]): JobParts {
  return {
    example: 'train_lora_flux_24gb.yaml',
    type: 'sd_trainer',
    rank: 16,
    trigger: triggerLines(trigger),
    train: [
      ...TRAIN,
      'gradient_accumulation_steps: 1',
      ...TRAIN_END,
      'optimizer: "adamw8bit"',
      'lr: 0.0001',
      'ema_config:',
      '  use_ema: true',
      '  ema_decay: 0.99',
      'dtype: bf16',
    ],
    model: [
      'name_or_path: "black-forest-labs/FLUX.1-dev"  # needs your consent to its licence on Hugging Face, and HF_TOKEN',
      'is_flux: true',
      'quantize: true',
    ],
    sample: [...SAMPLE, 'guidance_scale: 4', 'sample_steps: 20'],
    prompts,
  };
}

function videoJob(
  { trigger }: AiToolkitJob,
  { clips, prompts }: { clips: readonly TrainingFile[]; prompts: readonly string[] },
): JobParts {
  const frames = Math.min(suggestedFrames(clips).count, MAX_SAMPLE_FRAMES);
  return {
    example: 'train_lora_wan22_14b_24gb.yaml',
    type: 'sd_trainer',
    rank: 32,
    trigger: cachedTriggerLines(trigger),
    train: [
      ...TRAIN,
      'gradient_accumulation: 1',
      ...TRAIN_END,
      "timestep_type: 'linear'",
      'optimizer: "adamw8bit"',
      'lr: 0.0001',
      'optimizer_params:',
      '  weight_decay: 0.0001',
      'dtype: bf16',
      'switch_boundary_every: 10',
      'cache_text_embeddings: true',
    ],
    model: [
      'name_or_path: "ai-toolkit/Wan2.2-T2V-A14B-Diffusers-bf16"',
      "arch: 'wan22_14b'",
      'quantize: true',
      'qtype: "uint4|ostris/accuracy_recovery_adapters/wan22_14b_t2i_torchao_uint4.safetensors"',
      'quantize_te: true',
      'qtype_te: "qfloat8"',
      'low_vram: true',
      'model_kwargs:',
      '  train_high_noise: true',
      '  train_low_noise: true',
    ],
    sample: [...SAMPLE, `num_frames: ${frames}`, 'fps: 16', 'guidance_scale: 3.5', 'sample_steps: 25'],
    prompts,
  };
}

/** Captions of the datasets are prompts close to what is trained. */
function promptsFor(datasets: readonly TrainingDataset[], { trigger }: AiToolkitJob): readonly string[] {
  const examples = datasets.flatMap(({ captions }) => captions?.examples.map(({ text }) => text) ?? []).slice(0, 3);
  return examples.length > 0 ? examples : [trigger ?? datasets[0]?.name ?? ''];
}

/** Samples of an edit model: captions of the datasets with the controls of the same images. */
function samplesFor(datasets: readonly TrainingDataset[], job: AiToolkitJob): string[] {
  const paired = datasets.filter((dataset) => controlsOf(dataset).length > 0);
  const samples = paired.flatMap((dataset) =>
    (dataset.captions?.examples ?? []).flatMap(({ text, stem }) => sampleLines(text, controlPathsOf(dataset, stem))),
  );
  if (samples.length > 0) return ['samples:', ...samples];
  const [prompt = ''] = promptsFor(datasets, job);
  return [
    'samples:',
    ...commentLines('Name an image to edit.', '  '),
    ...sampleLines(prompt, ['/path/to/control.png']),
  ];
}

/** `undefined` unless all controls of the image are known. */
function controlPathsOf(dataset: TrainingDataset, stem: string): string[] | undefined {
  const paths = controlsOf(dataset).flatMap((link) => {
    const filename = linkedFileOf(link, stem);
    return filename === undefined ? [] : [`${linkedPathOf(dataset, link)}/${filename}`];
  });
  return paths.length === controlsOf(dataset).length ? paths : undefined;
}

/** `toolkit/config_modules.py:44-65` */
function sampleLines(prompt: string, controls: readonly string[] | undefined): string[] {
  if (controls === undefined) return [];
  const keyOf = (i: number) => (controls.length === 1 ? 'ctrl_img' : `ctrl_img_${i + 1}`);
  return [`  - prompt: ${jsonText(prompt)}`, ...controls.map((path, i) => `    ${keyOf(i)}: ${jsonText(path)}`)];
}
