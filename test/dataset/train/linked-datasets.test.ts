import { parse as parseToml } from 'smol-toml';
import { describe, expect, test } from 'vitest';
import { parse as parseYaml } from 'yaml';
import type { LinkSlot } from '../../../src/dataset/dataset.js';
import { aiToolkitJob, type Trainer, trainConfigOf } from '../../../src/dataset/train/train-config.js';
import { type TrainingFile, trainingDatasetOf } from '../../../src/dataset/train/training-dataset.js';

const image = (filename: string, side = 1024): TrainingFile => ({ filename, width: side, height: side });

/** A target of `1.jpg` and `2.jpg`, or of other files, with these controls and masks. */
function target(links: Partial<Record<LinkSlot, readonly TrainingFile[] | 'unread'>>, files?: readonly TrainingFile[]) {
  const media = files ?? [image('1.jpg'), image('2.jpg')];
  return trainingDatasetOf({
    name: 'rail',
    root: '/data',
    digest: 'ab'.repeat(32),
    files: [...media, { filename: '1.txt' }, { filename: '2.txt' }],
    captions: [
      { filename: '1.txt', text: 'make it night' },
      { filename: '2.txt', text: 'make it day' },
    ],
    links: Object.entries(links).map(([slot, of]) => ({
      slot: slot as LinkSlot,
      name: slot === 'mask' ? 'rail-mask' : `rail-${slot.slice(-1)}`,
      files: of === 'unread' ? undefined : of,
    })),
  });
}

const BOTH = [image('1.png'), image('2.png')];
const textOf = (trainer: Trainer, dataset: ReturnType<typeof target>) => {
  const { text, notes } = trainConfigOf(trainer, [dataset]);
  return [text.replace(/\n\s*#\s*/g, ' '), ...notes].join(' ');
};
/** The tables of a configuration in TOML. */
interface Tables {
  readonly datasets: readonly Record<string, unknown>[];
  readonly directory: readonly Record<string, unknown>[];
}

const tomlOf = (trainer: Trainer, dataset: ReturnType<typeof target>) =>
  parseToml(trainConfigOf(trainer, [dataset]).text) as unknown as Tables;

describe('ai-toolkit', () => {
  const entryOf = (dataset: ReturnType<typeof target>) =>
    parseYaml(trainConfigOf('ai-toolkit', [dataset]).text).datasets[0];

  test('one control is control_path, several are numbered, and a mask is mask_path', () => {
    const one = { folder_path: '/data/rail', control_path: '/data/rail-1' };
    expect(entryOf(target({ control_1: BOTH }))).toMatchObject(one);
    expect(entryOf(target({ control_1: BOTH, control_2: BOTH, control_3: BOTH, mask: BOTH }))).toMatchObject({
      ...{ control_path_1: '/data/rail-1', control_path_2: '/data/rail-2', control_path_3: '/data/rail-3' },
      ...{ mask_path: '/data/rail-mask', mask_min_value: 0.1 },
    });
    expect(Object.keys(entryOf(target({}))).filter((key) => /control|mask/.test(key))).toEqual([]);
  });

  test('the samples of a job are captions with the controls of the same images', () => {
    const samplesOf = (dataset: ReturnType<typeof target>) =>
      parseYaml(aiToolkitJob([dataset], { name: 'x' }).text).config.process[0].sample.samples;
    expect(samplesOf(target({ control_1: [image('1.PNG'), image('2.webp')] }))).toEqual([
      { prompt: 'make it night', ctrl_img: '/data/rail-1/1.png' },
      { prompt: 'make it day', ctrl_img: '/data/rail-1/2.webp' },
    ]);
    expect(samplesOf(target({ control_1: BOTH, control_2: [image('2.jpg')] }))).toEqual([
      { prompt: 'make it day', ctrl_img_1: '/data/rail-1/2.png', ctrl_img_2: '/data/rail-2/2.jpg' },
    ]);
    expect(samplesOf(target({ control_1: 'unread' }))).toEqual([
      { prompt: 'make it night', ctrl_img: '/path/to/control.png' },
    ]);
  });
});

describe('other trainers', () => {
  test('musubi: one folder of controls, and no masks', () => {
    const one = target({ control_1: BOTH, mask: BOTH });
    expect(tomlOf('musubi', one).datasets[0]?.control_directory).toBe('/data/rail-1');
    expect(textOf('musubi', one)).toContain('musubi has no masks');
    const several = textOf('musubi', target({ control_1: BOTH, control_2: BOTH }));
    expect(several).toContain('this is control 1 alone. For all 2,');
  });

  test('diffusion-pipe: one control and a mask, which must have the size of its image', () => {
    const both = target({ control_1: BOTH, control_2: BOTH, mask: [image('1.png', 512), image('2.png')] });
    const paths = { path: '/data/rail', control_path: '/data/rail-1', mask_path: '/data/rail-mask' };
    expect(tomlOf('diffusion-pipe', both).directory[0]).toMatchObject(paths);
    expect(textOf('diffusion-pipe', both)).toContain('1 mask has another size.');
    expect(textOf('diffusion-pipe', both)).toContain('this is control 1 alone');
  });

  test('OneTrainer: masks beside the images, and no controls', () => {
    const notes = textOf('onetrainer', target({ control_1: BOTH, mask: BOTH }));
    expect(notes).toContain('trainyard mount rail --into /data --layout onetrainer.');
    expect(notes).toContain('reads none of the controls of "rail"');
  });

  test('sd-scripts: the mask with --masked_loss; the control for its ControlNet scripts alone', () => {
    const subsetOf = (dataset: ReturnType<typeof target>) => {
      const [first] = tomlOf('kohya', dataset).datasets;
      return (first?.subsets as readonly Record<string, unknown>[] | undefined)?.[0];
    };
    const mask = target({ control_1: BOTH, mask: [image('1.png', 512), image('2.png'), image('3.png')] });
    expect(subsetOf(mask)?.conditioning_data_dir).toBe('/data/rail-mask');
    expect(textOf('kohya', mask)).toContain('1 file has no image of the same stem, and 1 file has another size.');
    const control = target({ control_1: BOTH });
    expect(subsetOf(control)?.conditioning_data_dir).toBeUndefined();
    expect(textOf('kohya', control)).toContain('conditioning_data_dir = "/data/rail-1"');
  });

  test('SimpleTuner: a backend for each, which finds files by their whole names', () => {
    const both = target({ control_1: [image('1.jpg'), image('2.png')], mask: BOTH });
    const [own, control, mask] = JSON.parse(trainConfigOf('simpletuner', [both]).text);
    expect(own.conditioning_data).toEqual([control.id, mask.id]);
    expect(control).toMatchObject({ conditioning_type: 'reference_strict', source_dataset_id: own.id });
    expect(mask).toMatchObject({ conditioning_type: 'mask', instance_data_dir: '/data/rail-mask' });
    expect(new Set([own, control, mask].map(({ cache_dir_vae }) => cache_dir_vae)).size).toBe(3);
    expect(textOf('simpletuner', both)).toContain('1 file has another extension');
    expect(textOf('simpletuner', both)).toContain('2 files have another extension');
  });
});
