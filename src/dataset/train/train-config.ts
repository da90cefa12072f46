import { aiToolkitBlock } from './ai-toolkit.js';
import type { TrainConfig } from './config-text.js';
import { diffusionPipeConfig } from './diffusion-pipe.js';
import { kohyaConfig } from './kohya.js';
import { musubiConfig } from './musubi.js';
import { oneTrainerConfig } from './onetrainer.js';
import { simpleTunerConfig } from './simpletuner.js';
import type { TrainingDataset } from './training-dataset.js';

/** The trainers that a configuration can be written for. */
export const TRAINERS = ['ai-toolkit', 'kohya', 'onetrainer', 'simpletuner', 'musubi', 'diffusion-pipe'] as const;
export type Trainer = (typeof TRAINERS)[number];

const CONFIGS: Record<Trainer, (datasets: readonly TrainingDataset[]) => TrainConfig> = {
  'ai-toolkit': aiToolkitBlock,
  kohya: kohyaConfig,
  onetrainer: oneTrainerConfig,
  simpletuner: simpleTunerConfig,
  musubi: musubiConfig,
  'diffusion-pipe': diffusionPipeConfig,
};

/**
 * Writes the minimal dataset configuration of a trainer.
 *
 * @throws NothingToTrainOn
 */
export function trainConfigOf(trainer: Trainer, datasets: readonly TrainingDataset[]): TrainConfig {
  return CONFIGS[trainer](datasets);
}
