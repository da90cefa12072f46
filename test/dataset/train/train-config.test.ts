import { parse as parseToml } from 'smol-toml';
import { describe, expect, test } from 'vitest';
import { parse as parseYaml } from 'yaml';
import type { LinkSlot } from '../../../src/dataset/dataset.js';
import {
  aiToolkitJob,
  TRAINERS,
  type TrainConfig,
  type Trainer,
  trainConfigOf,
} from '../../../src/dataset/train/train-config.js';
import {
  type DatasetToTrain,
  type TrainingFile,
  trainingDatasetOf,
  trainingDatasetsOf,
} from '../../../src/dataset/train/training-dataset.js';
import {
  AI_TOOLKIT_BLOCK,
  AI_TOOLKIT_JOBS,
  DIFFUSION_PIPE,
  type DocumentedKey,
  KOHYA,
  LTX,
  MUSUBI,
  ONETRAINER,
  SIMPLETUNER,
} from './documented-keys.js';

const DIGEST = 'ab'.repeat(32);
const image = (filename: string, side = 1024): TrainingFile => ({ filename, width: side, height: side });
const clip = (filename: string, frames: number, rate = 24): TrainingFile => ({
  filename,
  width: 1280,
  height: 720,
  frames,
  frames_per_second: rate,
});
const ONE_LINE = [{ filename: '1.txt', text: 'a red wagon\n' }];
const TWO_LINES = [...ONE_LINE, { filename: '2.txt', text: '\na wagon,\nin rain' }];

const dataset = (files: readonly TrainingFile[], more: Partial<DatasetToTrain> = {}) =>
  trainingDatasetOf({
    name: 'rail way',
    root: '/data',
    digest: DIGEST,
    captions: ONE_LINE,
    ...more,
    files: withCaptions(files),
  });
const withCaptions = (files: readonly TrainingFile[]): TrainingFile[] => [
  ...files,
  ...[...new Set(files.map(({ filename }) => filename.replace(/\.\w+$/, '.txt')))].map((filename) => ({ filename })),
];

const IMAGES = dataset([image('1.jpg'), image('2.png', 300), image('3.jpg')], { captions: TWO_LINES });
const CLIPS = dataset([clip('1.mp4', 50), clip('2.webm', 100, 30)]);
const link = (slot: LinkSlot, files?: readonly TrainingFile[]) => ({ slot, name: `rail way ${slot}`, files });
const ONE_CONTROL = dataset([image('1.jpg')], { links: [link('control_1'), link('mask')] });
const THREE_CONTROLS = dataset([image('1.jpg')], {
  links: [
    link('control_1', [image('1.jpg')]),
    link('control_2', [image('1.PNG')]),
    link('control_3', [image('1.webp')]),
    link('mask', [image('1.png')]),
  ],
});
const CLIPS_WITH_CONTROL = dataset([clip('1.mp4', 50)], { links: [link('control_1', [clip('1.mp4', 50)])] });
const MIXED = dataset([image('1.jpg'), image('2.jpg'), clip('3.mp4', 81)]);
const UNCAPTIONED = trainingDatasetOf({
  name: 'rail way',
  root: '/data',
  files: [image('1.jpg'), { filename: '1.txt' }, image('2.jpg'), image('3.jpg')],
  captions: ONE_LINE,
});

/** Two groups, one of regularisation images, and a file without a group. */
const GROUPED = trainingDatasetsOf({
  name: 'rail way',
  root: '/data',
  digest: DIGEST,
  captions: TWO_LINES,
  groups: [
    { name: "cat's", repeats: 10, is_reg: false },
    { name: 'class', repeats: 1, is_reg: true },
    { name: 'moving', repeats: 2, is_reg: false },
  ],
  links: [link('control_1', [image('1.jpg'), image('2.jpg'), image('3.jpg')])],
  files: withCaptions([
    { ...image('1.jpg'), group: "cat's" },
    { ...image('2.jpg'), group: 'class' },
    { ...image('3.jpg') },
    { ...clip('4.mp4', 50), group: 'moving' },
  ]),
});

const PARSERS: Record<TrainConfig['format'], (text: string) => unknown> = {
  yaml: parseYaml,
  toml: parseToml,
  json: JSON.parse,
};
const parsed = ({ format, text }: TrainConfig): unknown => PARSERS[format](text);

/** `[['datasets.[].resolution', 512], …]`: every value that is neither a table nor a list. */
function leavesOf(value: unknown, path: readonly string[] = []): (readonly [string, unknown])[] {
  if (Array.isArray(value)) return value.flatMap((item) => leavesOf(item, [...path, '[]']));
  if (typeof value !== 'object' || value === null) return [[path.join('.'), value]];
  return Object.entries(value).flatMap(([name, item]) => leavesOf(item, [...path, name]));
}

/** The keys that the trainer does not document, and the values that it does not take. */
function faultsIn(document: unknown, documented: Record<string, DocumentedKey>): string[] {
  return leavesOf(document).flatMap(([path, value]) => {
    const known = documented[path];
    if (known === undefined) return [`${path} is not documented`];
    return known.isValid(value) ? [] : [`${path} = ${JSON.stringify(value)}: see ${known.source}`];
  });
}

const DOCUMENTED = {
  'ai-toolkit': AI_TOOLKIT_BLOCK,
  kohya: KOHYA,
  onetrainer: ONETRAINER,
  simpletuner: SIMPLETUNER,
  musubi: MUSUBI,
  'diffusion-pipe': DIFFUSION_PIPE,
  ltx: LTX,
} as const;

describe.each(TRAINERS)('the settings for %s', (trainer) => {
  test('have documented keys and values only, and between them all that are documented here', () => {
    const withImages = [IMAGES, MIXED, UNCAPTIONED, ONE_CONTROL, THREE_CONTROLS];
    const all = trainer === 'kohya' ? withImages : [...withImages, CLIPS, CLIPS_WITH_CONTROL];
    const configs = [...all.map((one) => trainConfigOf(trainer, [one])), trainConfigOf(trainer, GROUPED)];
    const documents = configs.map(parsed);
    expect(documents.flatMap((document) => faultsIn(document, DOCUMENTED[trainer]))).toEqual([]);
    const used = new Set(documents.flatMap((document) => leavesOf(document).map(([path]) => path)));
    expect(Object.keys(DOCUMENTED[trainer]).filter((path) => !used.has(path))).toEqual([]);
  });

  test.each([
    '/a: b #c',
    `/it's "q" \\ {x} [y]`,
    '/café 🚂\u0085\t%',
    '/- *a &b !c | >\n d',
    '/$& {{root}} {{{shellName}}} {{#images}}',
    '/trailing/',
  ])('are valid and name each folder as it is in %j', (root) => {
    const name = `it's "${root.replaceAll('/', '')}"`;
    const mixed = dataset([image('1.jpg'), image('2.png', 300), clip('3.mp4', 81)], {
      name,
      root,
      links: [link('control_1'), link('control_2'), link('mask')],
    });
    const config = trainConfigOf(trainer, [mixed]);
    const values = leavesOf(parsed(config)).map(([, value]) => value);
    const parent = `${root.replace(/\/$/, '')}${trainer === 'simpletuner' ? '/images' : ''}`;
    expect(values).toContain(`${parent}/${name}${trainer === 'ltx' ? '/3.mp4' : ''}`);
    expect(faultsIn(parsed(config), DOCUMENTED[trainer])).toEqual([]);
    expect(config.text).not.toContain('\u0085');
  });
});

describe('a job for ai-toolkit', () => {
  const job = { name: 'rail "1"', trigger: 'r4il' };

  test.each([
    ['images', [IMAGES], 'train_lora_flux_24gb.yaml'],
    ['clips', [CLIPS, IMAGES], 'train_lora_wan22_14b_24gb.yaml'],
    ['clips with controls', [CLIPS_WITH_CONTROL], 'train_lora_wan22_14b_24gb.yaml'],
    ['images with a control', [ONE_CONTROL, IMAGES], 'train_lora_flux_kontext_24gb.yaml'],
    ['images with several controls', [THREE_CONTROLS], 'train_lora_qwen_image_edit_2509_32gb.yaml'],
  ] as const)('for %s has the model of its example', (_, datasets, example) => {
    const config = aiToolkitJob(datasets, job);
    const document = parseYaml(config.text);
    const [{ datasets: entries, ...process }] = document.config.process;
    const rest = { ...document, config: { ...document.config, process: [process] } };
    expect(rest).toMatchObject(AI_TOOLKIT_JOBS[example]);
    expect({ datasets: entries }).toEqual(parseYaml(trainConfigOf('ai-toolkit', datasets).text));
    expect(config.filename).toBe('rail_1_.yaml');
  });
});

describe('advice about these very datasets', () => {
  const advice = (trainer: (typeof TRAINERS)[number], one: typeof IMAGES) => {
    const { text, notes } = trainConfigOf(trainer, [one]);
    const comments = text.split('\n').flatMap((line) => /#\s*(.*)/.exec(line)?.[1] ?? []);
    return [...comments, ...notes].join(' ');
  };

  const STRUCTURED = dataset([image('1.jpg'), { filename: '1.json' }], {
    captions: [...ONE_LINE, { filename: '1.json', text: '{"a": 1}' }],
  });
  const LACKING = dataset([clip('1.mp4', 50), clip('2.mp4', 50)], { links: [link('control_1', [clip('1.mp4', 50)])] });

  test.each<[Trainer, advice: string, of: typeof IMAGES, notOf?: typeof IMAGES, notSaid?: string]>([
    ['kohya', '1 caption has several lines.', IMAGES, MIXED, 'several lines'],
    ['onetrainer', '1 caption has several lines.', IMAGES, MIXED, 'several lines'],
    ['simpletuner', '1 caption has several lines.', IMAGES, MIXED, 'several lines'],
    ['kohya', 'could not be read', dataset([image('1.jpg')], { captions: undefined })],
    ['simpletuner', '1 image of "rail way" would be left out', IMAGES, MIXED, 'would be left out'],
    ['simpletuner', "trainyard mount 'rail way' --into /data/videos --only videos", MIXED],
    ['musubi', 'The clips have 24 to 30 frames per second.', CLIPS],
    ['diffusion-pipe', '2 files have no caption file.', UNCAPTIONED, IMAGES, 'no caption file'],
    ['onetrainer', '1 clip is read by its HunyuanVideo models alone', MIXED],
    ['ai-toolkit', '1 structured caption (.json) is there', STRUCTURED, IMAGES, 'structured'],
    ['musubi', '1 structured caption (.json) is there', STRUCTURED, IMAGES, 'structured'],
    // 54 frames of 1280 x 720: 49 is 8n + 1, and sides are multiples of 32.
    ['ltx', '--resolution-buckets "672x384x49"', dataset([clip('1.mp4', 54)])],
    ['ltx', '--resolution-buckets "672x384x81;512x512x81;512x512x1"', MIXED],
    ['ltx', '1 clip is shorter than 9 frames', dataset([clip('1.mp4', 54), clip('2.mp4', 5)])],
    ['ltx', 'reference_video is left out', LACKING],
    ['ltx', '1 file has no text here', LACKING],
    ['ltx', '1 image is left out', dataset([image('1.webp'), image('2.png')])],
  ])('%s: %s', (trainer, expected, one, other, notSaid = expected) => {
    expect(advice(trainer, one)).toContain(expected);
    if (other !== undefined) expect(advice(trainer, other)).not.toContain(notSaid);
  });

  test('no suggested number of frames leaves out the shortest clip', () => {
    const { video } = JSON.parse(trainConfigOf('simpletuner', [CLIPS]).text)[0];
    expect(video).toEqual({ num_frames: 49, min_frames: 49 });
    // 50 frames at 24 per second are 33 at 16; 100 at 30 are 53.
    expect(parseToml(trainConfigOf('diffusion-pipe', [CLIPS]).text).frame_buckets).toEqual([1, 33]);
  });

  test('diffusion-pipe: files without a caption file are trained on, where there are any', () => {
    const { text } = trainConfigOf('diffusion-pipe', [IMAGES, UNCAPTIONED]);
    const directories = parseToml(text).directory as Record<string, unknown>[];
    expect(directories.map((each) => each.skip_empty_caption)).toEqual([undefined, false]);
  });

  test('LTX: a row for each file, with the control that every row has', () => {
    const rowsOf = (one: typeof IMAGES) => JSON.parse(trainConfigOf('ltx', [one]).text);
    const [video, control] = ['/data/rail way/1.mp4', '/data/rail way control_1/1.mp4'];
    expect(rowsOf(CLIPS_WITH_CONTROL)).toEqual([{ caption: 'a red wagon', video, reference_video: control }]);
    expect(Object.keys(rowsOf(LACKING)[0])).toEqual(['caption', 'video']);
    expect(() => trainConfigOf('ltx', [dataset([image('1.jpg')], { captions: undefined })])).toThrow('not be read');
  });

  const FOLDER = '/data/rail way';
  test.each(
    Object.entries({
      'ai-toolkit': [
        { folder_path: `${FOLDER}/10_cat's`, num_repeats: 10, control_path: `${FOLDER} control_1/10_cat's` },
        { folder_path: `${FOLDER}/1_rail way`, control_path: `${FOLDER} control_1/1_rail way` },
        { folder_path: `${FOLDER}/reg/1_class`, is_reg: true },
      ],
      onetrainer: [
        { path: `${FOLDER}/10_cat's`, balancing: 10, balancing_strategy: 'REPEATS', type: 'STANDARD' },
        { path: `${FOLDER}/1_rail way`, type: 'STANDARD' },
        { path: `${FOLDER}/reg/1_class`, type: 'PRIOR_PREDICTION' },
      ],
      simpletuner: [
        { id: "rail way-10_cat's-images", instance_data_dir: `${FOLDER}/10_cat's`, repeats: 9 },
        { instance_data_dir: `${FOLDER}/1_rail way`, repeats: 0 },
        { instance_data_dir: `${FOLDER}/reg/1_class`, is_regularisation_data: true },
      ],
      musubi: [
        { image_directory: `${FOLDER}/10_cat's`, num_repeats: 10 },
        { image_directory: `${FOLDER}/reg/1_class`, num_repeats: 1 },
      ],
      'diffusion-pipe': [
        { path: `${FOLDER}/10_cat's`, num_repeats: 10 },
        { path: `${FOLDER}/reg/1_class`, num_repeats: 1 },
      ],
    }),
  )('%s: groups in folders of their own, with repeats', (trainer, expected) => {
    const config = trainConfigOf(trainer as Trainer, GROUPED);
    const document = parsed(config) as { datasets?: object[]; directory?: object[] };
    const entries = document.datasets ?? document.directory ?? document;
    expect(entries).toEqual(expect.arrayContaining(expected.map((entry) => expect.objectContaining(entry))));
    expect([config.text, ...config.notes].join(' ')).toContain(
      "trainyard mount 'rail way' --into /data --layout kohya",
    );
  });

  test('kohya: groups are subsets of one dataset, in which regularisation images count against the others', () => {
    const { datasets } = parseToml(trainConfigOf('kohya', GROUPED).text) as unknown as {
      datasets: { subsets: object[] }[];
    };
    expect(datasets).toHaveLength(1);
    expect(datasets[0]?.subsets).toEqual([
      { image_dir: "/data/rail way/10_cat's", num_repeats: 10 },
      { image_dir: '/data/rail way/1_rail way', num_repeats: 1 },
      { image_dir: '/data/rail way/reg/1_class', num_repeats: 1, is_reg: true, enable_wildcard: true },
    ]);
  });

  test('a cache, in which trainers find files by name, is of one state of a dataset', () => {
    expect(trainConfigOf('musubi', [IMAGES]).text).toContain(`/.cache/rail way-${DIGEST.slice(0, 12)}/`);
  });

  test('kohya has nothing to train on in clips', () => {
    expect(() => trainConfigOf('kohya', [CLIPS])).toThrow('For clips, use musubi.');
  });
});
