import { expect } from 'vitest';

/**
 * The keys that each trainer documents or reads, with the place in its repository and the values it takes. `[]` stands for
 * each element of a list. Read at these commits: ostris/ai-toolkit 27a03a91 (images in video jobs since 8c1a4082),
 * kohya-ss/sd-scripts 48d368fa, Nerogar/OneTrainer 23df3832 and mgds 3a6994ad, bghira/SimpleTuner bc8e6ab7,
 * kohya-ss/musubi-tuner 30c658c4, tdrussell/diffusion-pipe 8f83dbf2 (`skip_empty_caption` since 5145971).
 */
export interface DocumentedKey {
  readonly source: string;
  readonly isValid: (value: unknown) => boolean;
}

const isText = (value: unknown) => typeof value === 'string' && value !== '';
const isFlag = (value: unknown) => typeof value === 'boolean';
const isCount = (value: unknown) => Number.isInteger(value) && (value as number) >= 1;
const isFrameCount = (value: unknown) => isCount(value) && (value as number) % 4 === 1;
const isAbsolute = (value: unknown) => isText(value) && (value as string).startsWith('/');
const isOneOf =
  (...values: unknown[]) =>
  (value: unknown) =>
    values.includes(value);

const key = (source: string, isValid: DocumentedKey['isValid']): DocumentedKey => ({ source, isValid });

export const KOHYA: Record<string, DocumentedKey> = {
  'general.enable_bucket': key('library/config_util.py:239', isFlag),
  'general.bucket_no_upscale': key('library/config_util.py:237', isFlag),
  'general.caption_extension': key('library/config_util.py:210', isOneOf('.txt')),
  'datasets.[].resolution': key('library/config_util.py:244', isCount),
  'datasets.[].batch_size': key('library/config_util.py:236', isCount),
  'datasets.[].subsets.[].image_dir': key('library/config_util.py:215', isAbsolute),
  'datasets.[].subsets.[].num_repeats': key('library/config_util.py:187', isCount),
  'datasets.[].subsets.[].is_reg': key('library/config_util.py:216', isOneOf(true)),
  'datasets.[].subsets.[].conditioning_data_dir': key('library/config_util.py:231', isAbsolute),
  'datasets.[].subsets.[].enable_wildcard': key('library/config_util.py:194', isFlag),
};

export const MUSUBI: Record<string, DocumentedKey> = {
  'general.caption_extension': key('src/musubi_tuner/dataset/config_utils.py:113', isOneOf('.txt')),
  'general.batch_size': key('src/musubi_tuner/dataset/config_utils.py:114', isCount),
  'general.enable_bucket': key('src/musubi_tuner/dataset/config_utils.py:117', isFlag),
  'general.bucket_no_upscale': key('src/musubi_tuner/dataset/config_utils.py:118', isFlag),
  'datasets.[].num_repeats': key('src/musubi_tuner/dataset/config_utils.py:115', isCount),
  'datasets.[].resolution.[]': key('src/musubi_tuner/dataset/config_utils.py:116', isCount),
  'datasets.[].image_directory': key('src/musubi_tuner/dataset/config_utils.py:121', isAbsolute),
  'datasets.[].cache_directory': key('src/musubi_tuner/dataset/config_utils.py:123,142', isAbsolute),
  'datasets.[].control_directory': key('src/musubi_tuner/dataset/config_utils.py:124,136', isAbsolute),
  'datasets.[].video_directory': key('src/musubi_tuner/dataset/config_utils.py:134', isAbsolute),
  'datasets.[].target_frames.[]': key('docs/dataset_config.md:173', isFrameCount),
  'datasets.[].frame_extraction': key(
    'docs/dataset_config.md, "frame_extraction Options"',
    isOneOf('head', 'chunk', 'slide', 'uniform', 'full'),
  ),
};

export const DIFFUSION_PIPE: Record<string, DocumentedKey> = {
  'resolutions.[]': key('examples/dataset.toml:8', isCount),
  enable_ar_bucket: key('examples/dataset.toml:16', isFlag),
  min_ar: key('examples/dataset.toml:22', isOneOf(0.5)),
  max_ar: key('examples/dataset.toml:23', isOneOf(2)),
  num_ar_buckets: key('examples/dataset.toml:25', isCount),
  'frame_buckets.[]': key('examples/dataset.toml:36', isFrameCount),
  'directory.[].path': key('examples/dataset.toml:52', isAbsolute),
  'directory.[].control_path': key('utils/dataset.py:479', isAbsolute),
  'directory.[].mask_path': key('examples/dataset.toml:60; utils/dataset.py:478', isAbsolute),
  'directory.[].skip_empty_caption': key('examples/dataset.toml:47; utils/dataset.py:484', isOneOf(false)),
  'directory.[].num_repeats': key('examples/dataset.toml:64', isCount),
};

export const ONETRAINER: Record<string, DocumentedKey> = {
  '[].__version': key('modules/util/config/BaseConfig.py:69; ConceptConfig.py:147', isOneOf(2)),
  '[].name': key('modules/util/config/ConceptConfig.py:187', isText),
  '[].path': key('modules/util/config/ConceptConfig.py:188', isAbsolute),
  '[].enabled': key('modules/util/config/ConceptConfig.py:190', isFlag),
  '[].type': key(
    'modules/util/config/ConceptConfig.py:191; modules/util/enum/ConceptType.py',
    isOneOf('STANDARD', 'VALIDATION', 'PRIOR_PREDICTION'),
  ),
  '[].include_subdirectories': key('modules/util/config/ConceptConfig.py:192', isFlag),
  '[].balancing': key('modules/util/config/ConceptConfig.py, default_values', isCount),
  '[].balancing_strategy': key('modules/util/enum/BalancingStrategy.py', isOneOf('REPEATS', 'SAMPLES')),
  '[].text.prompt_source': key(
    'modules/util/config/ConceptConfig.py:109; DataLoaderText2ImageMixin.py:108-112',
    isOneOf('sample', 'concept', 'filename'),
  ),
};

export const SIMPLETUNER: Record<string, DocumentedKey> = {
  '[].id': key('documentation/DATALOADER.md:46', isText),
  '[].type': key('documentation/DATALOADER.md:213', isOneOf('local')),
  '[].dataset_type': key('documentation/DATALOADER.md:56', isOneOf('image', 'video', 'text_embeds', 'conditioning')),
  '[].conditioning_type': key('documentation/DATALOADER.md:240', isOneOf('reference_strict', 'mask')),
  '[].source_dataset_id': key('documentation/DATALOADER.md:250', isText),
  '[].conditioning_data.[]': key('documentation/DATALOADER.md:256', isText),
  '[].instance_data_dir': key('documentation/DATALOADER.md:263', isAbsolute),
  '[].caption_strategy': key('documentation/DATALOADER.md:268', isOneOf('textfile', null)),
  '[].disable_multiline_split': key('documentation/DATALOADER.md:280', isFlag),
  '[].metadata_backend': key('documentation/DATALOADER.md:330', isOneOf('discovery')),
  '[].resolution': key('documentation/DATALOADER.md:353', isCount),
  '[].resolution_type': key('documentation/DATALOADER.md:356', isOneOf('pixel_area')),
  '[].minimum_image_size': key('documentation/DATALOADER.md:361', isCount),
  '[].crop': key('documentation/DATALOADER.md:348', isFlag),
  '[].repeats': key('documentation/DATALOADER.md:672', (value) => value === 0 || isCount(value)),
  '[].is_regularisation_data': key('documentation/DATALOADER.md, "is_regularisation_data"', isOneOf(true)),
  '[].cache_dir_vae': key('documentation/DATALOADER.md:72,491', isAbsolute),
  '[].video.num_frames': key('documentation/DATALOADER.md:515', isFrameCount),
  '[].video.min_frames': key('documentation/DATALOADER.md:517', isFrameCount),
  '[].default': key('documentation/DATALOADER.md:63', isOneOf(true)),
  '[].cache_dir': key('documentation/DATALOADER.md:68', isAbsolute),
};

/** Lightricks/LTX-2 400fd310, in `packages/ltx-trainer`. */
export const LTX: Record<string, DocumentedKey> = {
  '[].caption': key('scripts/process_dataset.py:49', (value) => typeof value === 'string'),
  '[].video': key('scripts/process_dataset.py:49; process_videos.py:1229-1250', isAbsolute),
  '[].reference_video': key('docs/dataset-preparation.md, "IC-LoRA Reference Video Preprocessing"', isAbsolute),
};

/** `config.process[0].datasets` of an ai-toolkit job. */
export const AI_TOOLKIT_BLOCK: Record<string, DocumentedKey> = {
  'datasets.[].folder_path': key('toolkit/config_modules.py, DatasetConfig', isAbsolute),
  'datasets.[].control_path': key('config/examples/train_lora_flux_kontext_24gb.yaml:39', isAbsolute),
  'datasets.[].control_path_1': key('toolkit/config_modules.py:970; ui/src/types.ts:108-137', isAbsolute),
  'datasets.[].control_path_2': key('toolkit/config_modules.py:971', isAbsolute),
  'datasets.[].control_path_3': key('toolkit/config_modules.py:972', isAbsolute),
  'datasets.[].mask_path': key('toolkit/config_modules.py:992', isAbsolute),
  'datasets.[].mask_min_value': key('toolkit/config_modules.py:997; ui/src/app/jobs/new/jobConfig.ts:9', isOneOf(0.1)),
  'datasets.[].caption_ext': key('config/examples/train_lora_flux_24gb.yaml:35', isOneOf('txt')),
  'datasets.[].resolution.[]': key('config/examples/train_lora_flux_24gb.yaml:39', isCount),
  'datasets.[].num_repeats': key('toolkit/config_modules.py, DatasetConfig; toolkit/data_loader.py', isCount),
  'datasets.[].is_reg': key('toolkit/config_modules.py, DatasetConfig', isOneOf(true)),
  'datasets.[].num_frames': key('config/examples/train_lora_wan22_14b_24gb.yaml:34', isFrameCount),
  'datasets.[].cache_latents_to_disk': key('config/examples/train_lora_flux_24gb.yaml:38', isFlag),
};

const PROMPT = expect.stringMatching(/./);
const PATH = expect.stringMatching(/^\//);

interface Job {
  readonly type?: string;
  readonly trigger_word?: unknown;
  readonly model: object;
  readonly sample: object;
}

const jobOf = ({ type = 'sd_trainer', model, sample, ...others }: Job) => ({
  job: 'extension',
  config: { name: 'rail "1"', process: [{ type, ...others, model, sample }] },
  meta: { name: '[name]', version: '1.0' },
});

/** What tells a job from others, by the example in `config/examples/` that it is made after. */
export const AI_TOOLKIT_JOBS = {
  'train_lora_flux_24gb.yaml': jobOf({
    trigger_word: PROMPT,
    model: { name_or_path: 'black-forest-labs/FLUX.1-dev', is_flux: true },
    sample: { prompts: ['a red wagon', 'a wagon, in rain'], guidance_scale: 4, sample_steps: 20 },
  }),
  'train_lora_wan22_14b_24gb.yaml': jobOf({
    model: { name_or_path: 'ai-toolkit/Wan2.2-T2V-A14B-Diffusers-bf16', arch: 'wan22_14b' },
    // The frames are those of the clips; toolkit/config_modules.py:98.
    sample: { prompts: expect.any(Array), num_frames: expect.any(Number), fps: 16 },
  }),
  'train_lora_flux_kontext_24gb.yaml': jobOf({
    trigger_word: PROMPT,
    model: { name_or_path: 'black-forest-labs/FLUX.1-Kontext-dev', arch: 'flux_kontext' },
    // `ctrl_img` is read in toolkit/config_modules.py:60.
    sample: { samples: [{ prompt: PROMPT, ctrl_img: PATH }] },
  }),
  'train_lora_qwen_image_edit_2509_32gb.yaml': jobOf({
    type: 'diffusion_trainer',
    model: { name_or_path: 'Qwen/Qwen-Image-Edit-2509', arch: 'qwen_image_edit_plus', low_vram: true },
    sample: { samples: [{ prompt: PROMPT, ctrl_img_1: PATH, ctrl_img_2: PATH, ctrl_img_3: PATH }] },
  }),
} as const;
