import { jsonText } from '../../json-text.js';
import { aiToolkitBlock } from './ai-toolkit.js';
import { commentLines, NothingToTrainOn, type TrainConfig } from './config-text.js';
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
  readonly rank: number;
  /** Before the datasets. */
  readonly trigger: readonly string[];
  readonly train: readonly string[];
  readonly model: readonly string[];
  readonly sample: readonly string[];
}

/**
 * A whole job for ai-toolkit with the keys and values of its examples at commit 27a03a91: `train_lora_flux_24gb.yaml` for
 * images, `train_lora_wan22_14b_24gb.yaml` if there are clips.
 *
 * @throws NothingToTrainOn
 */
export function aiToolkitJob(datasets: readonly TrainingDataset[], job: AiToolkitJob): TrainConfig {
  const images = datasets.flatMap((dataset) => dataset.images);
  const clips = datasets.flatMap((dataset) => dataset.clips);
  if (images.length + clips.length === 0) throw new NothingToTrainOn('The datasets have neither images nor clips.');
  const parts = clips.length === 0 ? imageJob(job) : videoJob(job, clips);
  const block = aiToolkitBlock(datasets);
  const processLines = [
    "- type: 'sd_trainer'",
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
    '  prompts:',
    ...promptsFor(datasets, job).map((prompt) => `    - ${jsonText(prompt)}`),
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

function imageJob({ trigger }: AiToolkitJob): JobParts {
  return {
    example: 'train_lora_flux_24gb.yaml',
    rank: 16,
    trigger: trigger === undefined ? [] : [`trigger_word: ${jsonText(trigger)}  # put before captions that lack it`],
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
  };
}

function videoJob({ trigger }: AiToolkitJob, clips: readonly TrainingFile[]): JobParts {
  const frames = Math.min(suggestedFrames(clips).count, MAX_SAMPLE_FRAMES);
  const written = (word: string) =>
    `This model's job caches the captions, and puts no trigger word into them: write ${jsonText(word)} into the captions.`;
  return {
    example: 'train_lora_wan22_14b_24gb.yaml',
    rank: 32,
    trigger: trigger === undefined ? [] : commentLines(written(trigger)),
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
  };
}

/** Captions of the datasets are prompts close to what is trained. */
function promptsFor(datasets: readonly TrainingDataset[], { trigger }: AiToolkitJob): readonly string[] {
  const examples = datasets.flatMap(({ captions }) => captions?.examples ?? []).slice(0, 3);
  return examples.length > 0 ? examples : [trigger ?? datasets[0]?.name ?? ''];
}
