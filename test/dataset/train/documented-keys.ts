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
  '[].repeats': key('documentation/DATALOADER.md:672', isOneOf(0)),
  '[].cache_dir_vae': key('documentation/DATALOADER.md:72,491', isAbsolute),
  '[].video.num_frames': key('documentation/DATALOADER.md:515', isFrameCount),
  '[].video.min_frames': key('documentation/DATALOADER.md:517', isFrameCount),
  '[].default': key('documentation/DATALOADER.md:63', isOneOf(true)),
  '[].cache_dir': key('documentation/DATALOADER.md:68', isAbsolute),
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
  'datasets.[].num_frames': key('config/examples/train_lora_wan22_14b_24gb.yaml:34', isFrameCount),
  'datasets.[].cache_latents_to_disk': key('config/examples/train_lora_flux_24gb.yaml:38', isFlag),
};

const sameInBoth = (flux: string, wan: string) =>
  `train_lora_flux_24gb.yaml:${flux}; train_lora_wan22_14b_24gb.yaml:${wan}`;

/** The keys and values of both examples in `config/examples/`; those of the datasets are checked as a block. */
const JOB: Record<string, DocumentedKey> = {
  job: key(sameInBoth('2', '4'), isOneOf('extension')),
  'config.name': key(sameInBoth('5', '7'), isText),
  'config.process.[].type': key(sameInBoth('7', '9'), isOneOf('sd_trainer')),
  'config.process.[].training_folder': key(sameInBoth('9', '11'), isOneOf('output')),
  'config.process.[].device': key(sameInBoth('12', '14'), isOneOf('cuda:0')),
  'config.process.[].network.type': key(sameInBoth('17', '18'), isOneOf('lora')),
  'config.process.[].save.dtype': key(sameInBoth('21', '22'), isOneOf('float16')),
  'config.process.[].save.save_every': key(sameInBoth('22', '23'), isOneOf(250)),
  'config.process.[].save.max_step_saves_to_keep': key(sameInBoth('23', '24'), isOneOf(4)),
  'config.process.[].train.batch_size': key(sameInBoth('41', '37'), isOneOf(1)),
  'config.process.[].train.steps': key(sameInBoth('42', '38'), isOneOf(2000)),
  'config.process.[].train.train_unet': key(sameInBoth('44', '40'), isOneOf(true)),
  'config.process.[].train.train_text_encoder': key(sameInBoth('45', '41'), isOneOf(false)),
  'config.process.[].train.gradient_checkpointing': key(sameInBoth('46', '42'), isOneOf(true)),
  'config.process.[].train.noise_scheduler': key(sameInBoth('47', '43'), isOneOf('flowmatch')),
  'config.process.[].train.optimizer': key(sameInBoth('48', '45'), isOneOf('adamw8bit')),
  'config.process.[].train.lr': key(sameInBoth('49', '46'), isOneOf(0.0001)),
  'config.process.[].train.dtype': key(sameInBoth('63', '53'), isOneOf('bf16')),
  'config.process.[].model.quantize': key(sameInBoth('68', '70'), isOneOf(true)),
  'config.process.[].sample.sampler': key(sameInBoth('71', '81'), isOneOf('flowmatch')),
  'config.process.[].sample.sample_every': key(sameInBoth('72', '82'), isOneOf(250)),
  'config.process.[].sample.sample_start_step': key(sameInBoth('73', '83'), isOneOf(0)),
  'config.process.[].sample.width': key(sameInBoth('74', '84'), isOneOf(1024)),
  'config.process.[].sample.height': key(sameInBoth('75', '85'), isOneOf(1024)),
  'config.process.[].sample.prompts.[]': key(sameInBoth('76', '91'), isText),
  'config.process.[].sample.neg': key(sameInBoth('89', '104'), isOneOf('')),
  'config.process.[].sample.seed': key(sameInBoth('90', '105'), isOneOf(42)),
  'config.process.[].sample.walk_seed': key(sameInBoth('91', '106'), isOneOf(true)),
  'meta.name': key(sameInBoth('96', '111'), isOneOf('[name]')),
  'meta.version': key(sameInBoth('97', '112'), isOneOf('1.0')),
};

/** What the jobs of images with controls have in common. */
const EDIT_JOB: Record<string, DocumentedKey> = {
  ...Object.fromEntries(Object.entries(JOB).filter(([path]) => !path.includes('prompts'))),
  'config.process.[].network.linear': key('train_lora_flux_kontext_24gb.yaml:18', isOneOf(16)),
  'config.process.[].network.linear_alpha': key('train_lora_flux_kontext_24gb.yaml:19', isOneOf(16)),
  'config.process.[].train.timestep_type': key('train_lora_flux_kontext_24gb.yaml:57', isOneOf('weighted')),
  'config.process.[].model.arch': key(
    'train_lora_flux_kontext_24gb.yaml:76; train_lora_qwen_image_edit_2509_32gb.yaml:62',
    isOneOf('flux_kontext', 'qwen_image_edit_plus'),
  ),
  'config.process.[].sample.samples.[].prompt': key('train_lora_qwen_image_edit_2509_32gb.yaml:78', isText),
};

export const AI_TOOLKIT_KONTEXT_JOB: Record<string, DocumentedKey> = {
  ...EDIT_JOB,
  'config.process.[].trigger_word': key('train_lora_flux_kontext_24gb.yaml:15', isText),
  'config.process.[].train.gradient_accumulation_steps': key('train_lora_flux_kontext_24gb.yaml:50', isOneOf(1)),
  'config.process.[].model.name_or_path': key(
    'train_lora_flux_kontext_24gb.yaml:75',
    isOneOf('black-forest-labs/FLUX.1-Kontext-dev'),
  ),
  'config.process.[].sample.samples.[].ctrl_img': key('toolkit/config_modules.py:60', isAbsolute),
  'config.process.[].sample.guidance_scale': key('train_lora_flux_kontext_24gb.yaml:102', isOneOf(4)),
  'config.process.[].sample.sample_steps': key('train_lora_flux_kontext_24gb.yaml:103', isOneOf(20)),
};

const QWEN = 'train_lora_qwen_image_edit_2509_32gb.yaml';

export const AI_TOOLKIT_QWEN_EDIT_JOB: Record<string, DocumentedKey> = {
  ...EDIT_JOB,
  'config.process.[].type': key(`${QWEN}:7`, isOneOf('diffusion_trainer')),
  'config.process.[].train.gradient_accumulation': key(`${QWEN}:46`, isOneOf(1)),
  'config.process.[].train.cache_text_embeddings': key(`${QWEN}:42`, isOneOf(true)),
  'config.process.[].model.name_or_path': key(`${QWEN}:61`, isOneOf('Qwen/Qwen-Image-Edit-2509')),
  'config.process.[].model.qtype': key(
    `${QWEN}:66`,
    isOneOf('uint3|ostris/accuracy_recovery_adapters/qwen_image_edit_2509_torchao_uint3.safetensors'),
  ),
  'config.process.[].model.quantize_te': key(`${QWEN}:67`, isOneOf(true)),
  'config.process.[].model.qtype_te': key(`${QWEN}:68`, isOneOf('qfloat8')),
  'config.process.[].model.low_vram': key(`${QWEN}:69`, isOneOf(true)),
  'config.process.[].sample.samples.[].ctrl_img_1': key(`${QWEN}:79`, isAbsolute),
  'config.process.[].sample.samples.[].ctrl_img_2': key(`${QWEN}:80`, isAbsolute),
  'config.process.[].sample.samples.[].ctrl_img_3': key(`${QWEN}:81`, isAbsolute),
  'config.process.[].sample.guidance_scale': key(`${QWEN}:101`, isOneOf(3)),
  'config.process.[].sample.sample_steps': key(`${QWEN}:102`, isOneOf(25)),
};

export const AI_TOOLKIT_IMAGE_JOB: Record<string, DocumentedKey> = {
  ...JOB,
  'config.process.[].trigger_word': key('train_lora_flux_24gb.yaml:15', isText),
  'config.process.[].network.linear': key('train_lora_flux_24gb.yaml:18', isOneOf(16)),
  'config.process.[].network.linear_alpha': key('train_lora_flux_24gb.yaml:19', isOneOf(16)),
  'config.process.[].train.gradient_accumulation_steps': key('train_lora_flux_24gb.yaml:43', isOneOf(1)),
  'config.process.[].train.ema_config.use_ema': key('train_lora_flux_24gb.yaml:59', isOneOf(true)),
  'config.process.[].train.ema_config.ema_decay': key('train_lora_flux_24gb.yaml:60', isOneOf(0.99)),
  'config.process.[].model.name_or_path': key('train_lora_flux_24gb.yaml:66', isOneOf('black-forest-labs/FLUX.1-dev')),
  'config.process.[].model.is_flux': key('train_lora_flux_24gb.yaml:67', isOneOf(true)),
  'config.process.[].sample.guidance_scale': key('train_lora_flux_24gb.yaml:92', isOneOf(4)),
  'config.process.[].sample.sample_steps': key('train_lora_flux_24gb.yaml:93', isOneOf(20)),
};

const WAN = 'train_lora_wan22_14b_24gb.yaml';

export const AI_TOOLKIT_VIDEO_JOB: Record<string, DocumentedKey> = {
  ...JOB,
  'config.process.[].network.linear': key(`${WAN}:19`, isOneOf(32)),
  'config.process.[].network.linear_alpha': key(`${WAN}:20`, isOneOf(32)),
  'config.process.[].train.gradient_accumulation': key(`${WAN}:39`, isOneOf(1)),
  'config.process.[].train.timestep_type': key(`${WAN}:44`, isOneOf('linear')),
  'config.process.[].train.optimizer_params.weight_decay': key(`${WAN}:48`, isOneOf(0.0001)),
  'config.process.[].train.switch_boundary_every': key(`${WAN}:56`, isOneOf(10)),
  'config.process.[].train.cache_text_embeddings': key(`${WAN}:64`, isOneOf(true)),
  'config.process.[].model.name_or_path': key(`${WAN}:68`, isOneOf('ai-toolkit/Wan2.2-T2V-A14B-Diffusers-bf16')),
  'config.process.[].model.arch': key(`${WAN}:69`, isOneOf('wan22_14b')),
  'config.process.[].model.qtype': key(
    `${WAN}:72`,
    isOneOf('uint4|ostris/accuracy_recovery_adapters/wan22_14b_t2i_torchao_uint4.safetensors'),
  ),
  'config.process.[].model.quantize_te': key(`${WAN}:73`, isOneOf(true)),
  'config.process.[].model.qtype_te': key(`${WAN}:74`, isOneOf('qfloat8')),
  'config.process.[].model.low_vram': key(`${WAN}:75`, isOneOf(true)),
  'config.process.[].model.model_kwargs.train_high_noise': key(`${WAN}:78`, isOneOf(true)),
  'config.process.[].model.model_kwargs.train_low_noise': key(`${WAN}:79`, isOneOf(true)),
  'config.process.[].sample.num_frames': key(`${WAN}:87; toolkit/config_modules.py:98`, isFrameCount),
  'config.process.[].sample.fps': key(`${WAN}:88`, isOneOf(16)),
  'config.process.[].sample.guidance_scale': key(`${WAN}:107`, isOneOf(3.5)),
  'config.process.[].sample.sample_steps': key(`${WAN}:108`, isOneOf(25)),
};
