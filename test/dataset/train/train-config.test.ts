import { parse as parseToml } from 'smol-toml';
import { describe, expect, test } from 'vitest';
import { parse as parseYaml } from 'yaml';
import type { LinkSlot } from '../../../src/dataset/dataset.js';
import { aiToolkitJob, TRAINERS, type TrainConfig, trainConfigOf } from '../../../src/dataset/train/train-config.js';
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
  captions: ONE_LINE,
  groups: [
    { name: "cat's", repeats: 10, is_reg: false },
    { name: 'class', repeats: 1, is_reg: true },
  ],
  links: [link('control_1', [image('1.jpg'), image('2.jpg'), image('3.jpg')])],
  files: withCaptions([
    { ...image('1.jpg'), group: "cat's" },
    { ...image('2.jpg'), group: 'class' },
    { ...image('3.jpg') },
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
    '/',
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
  ] as const)('for %s has the keys and values of its example', (_, datasets, example) => {
    const config = aiToolkitJob(datasets, job);
    const document = parseYaml(config.text);
    const [{ datasets: entries, ...process }] = document.config.process;
    const rest = { ...document, config: { ...document.config, process: [process] } };
    expect(rest).toEqual(AI_TOOLKIT_JOBS[example]);
    expect({ datasets: entries }).toEqual(parseYaml(trainConfigOf('ai-toolkit', datasets).text));
    expect(config.filename).toBe('rail_1_.yaml');
  });

  test('takes captions as prompts, and the trigger word without any', () => {
    const promptsOf = (one: typeof IMAGES) => parseYaml(aiToolkitJob([one], job).text).config.process[0].sample.prompts;
    expect(promptsOf(IMAGES)).toEqual(['a red wagon', 'a wagon, in rain']);
    expect(promptsOf(dataset([image('1.jpg')], { captions: undefined }))).toEqual(['r4il']);
  });
});

describe('advice about these very datasets', () => {
  const advice = (trainer: (typeof TRAINERS)[number], one: typeof IMAGES) => {
    const { text, notes } = trainConfigOf(trainer, [one]);
    const comments = text.split('\n').flatMap((line) => /#\s*(.*)/.exec(line)?.[1] ?? []);
    return [...comments, ...notes].join(' ');
  };

  test.each(['kohya', 'onetrainer', 'simpletuner'] as const)('%s: captions of several lines', (trainer) => {
    expect(advice(trainer, IMAGES)).toContain('1 caption has several lines.');
    expect(advice(trainer, MIXED)).not.toContain('several lines');
    expect(advice(trainer, dataset([image('1.jpg')], { captions: undefined }))).toContain('could not be read');
  });

  test('SimpleTuner leaves out no image, and says which would be', () => {
    const [backend] = JSON.parse(trainConfigOf('simpletuner', [IMAGES]).text);
    expect([backend.resolution, backend.minimum_image_size]).toEqual([1024, 300]);
    expect(advice('simpletuner', IMAGES)).toContain('1 image of "rail way" would be left out');
    expect(advice('simpletuner', MIXED)).not.toContain('would be left out');
  });

  test('SimpleTuner has each kind in a folder of its own, and says how it is mounted', () => {
    const backends = JSON.parse(trainConfigOf('simpletuner', [MIXED]).text);
    const folders = backends.map((backend: { instance_data_dir?: string }) => backend.instance_data_dir);
    expect(folders).toEqual(['/data/images/rail way', '/data/videos/rail way', undefined]);
    expect(advice('simpletuner', MIXED)).toContain("trainyard mount 'rail way' --into /data/videos --only videos");
  });

  test('musubi has an entry and a cache for each kind, and another cache once the dataset has changed', () => {
    const cachesOf = (digest: string) => {
      const text = trainConfigOf('musubi', [{ ...MIXED, digest }]).text;
      const { datasets } = parseToml(text) as unknown as { datasets: { cache_directory: string }[] };
      return datasets.map(({ cache_directory }) => cache_directory);
    };
    const caches = [...cachesOf(DIGEST), ...cachesOf('cd'.repeat(32))];
    expect([caches.length, new Set(caches).size]).toEqual([4, 4]);
    expect(advice('musubi', CLIPS)).toContain('The clips have 24 to 30 frames per second.');
  });

  test('no suggested number of frames leaves out the shortest clip', () => {
    const { video } = JSON.parse(trainConfigOf('simpletuner', [CLIPS]).text)[0];
    expect(video).toEqual({ num_frames: 49, min_frames: 49 });
    // 50 frames at 24 per second are 33 at 16; 100 at 30 are 53.
    expect(parseToml(trainConfigOf('diffusion-pipe', [CLIPS]).text).frame_buckets).toEqual([1, 33]);
  });

  test('ai-toolkit: images and clips together, and the images alone', () => {
    const { text } = trainConfigOf('ai-toolkit', [MIXED]);
    expect(text).toContain('"rail way" has 2 images and 1 clip.');
    expect(text).toContain("trainyard mount 'rail way' --into /data --only videos");
    const [entry, ...others] = parseYaml(text).datasets;
    expect([entry.num_frames, others]).toEqual([81, []]);
    // With the comment of the other way taken away, the list has both.
    const both = parseYaml(text.replace(/^( +)# (- folder_path| {2}\w+:)/gm, '$1$2')).datasets;
    expect(both[1]).toEqual({ ...entry, num_frames: undefined, resolution: [512, 768, 1024] });
  });

  test('diffusion-pipe: files without a caption file are trained on, where there are any', () => {
    const directoriesOf = (...all: (typeof IMAGES)[]) =>
      parseToml(trainConfigOf('diffusion-pipe', all).text).directory as Record<string, unknown>[];
    const [captioned, uncaptioned] = directoriesOf(IMAGES, UNCAPTIONED);
    expect([captioned, uncaptioned].map((each) => each?.skip_empty_caption)).toEqual([undefined, false]);
    expect(advice('diffusion-pipe', UNCAPTIONED)).toContain('2 files have no caption file.');
    expect(advice('diffusion-pipe', IMAGES)).not.toContain('no caption file');
  });

  test('OneTrainer: masks beside the images, and clips that other models leave out', () => {
    expect(advice('onetrainer', IMAGES)).toContain('beside it, if "Masked Training" is on; there are none.');
    expect(advice('onetrainer', dataset([image('1.jpg'), image('1-masklabel.png')]))).toContain('1 file is one');
    expect(advice('onetrainer', MIXED)).toContain('1 clip is read by its HunyuanVideo models alone');
  });

  test.each(['ai-toolkit', 'musubi'] as const)('%s: structured captions beside the others', (trainer) => {
    const files = [image('1.jpg'), { filename: '1.json' }];
    const captions = [...ONE_LINE, { filename: '1.json', text: '{"a": 1}' }];
    const structured = dataset(files, { captions });
    expect([structured.uncaptioned, structured.captions]).toEqual([0, [{ stem: '1', text: 'a red wagon\n' }]]);
    expect(advice(trainer, structured)).toContain('1 structured caption (.json) is there');
    expect(advice(trainer, IMAGES)).not.toContain('structured');
    expect(trainingDatasetOf({ name: 'a', root: '/', files, captions }).uncaptioned).toBe(1);
  });

  test('LTX: a row for each file, with the control that every row has, and buckets that its rules allow', () => {
    const rowsOf = (one: typeof IMAGES) => JSON.parse(trainConfigOf('ltx', [one]).text);
    expect(rowsOf(CLIPS_WITH_CONTROL)).toEqual([
      {
        caption: 'a red wagon',
        video: '/data/rail way/1.mp4',
        reference_video: '/data/rail way control_1/1.mp4',
      },
    ]);
    // 54 frames of 1280 x 720: 49 is 8n + 1, and sides are multiples of 32.
    expect(advice('ltx', dataset([clip('1.mp4', 54)]))).toContain('--resolution-buckets "672x384x49"');
    expect(advice('ltx', MIXED)).toContain('--resolution-buckets "672x384x81;512x512x1"');
    const lacking = dataset([clip('1.mp4', 50), clip('2.mp4', 50)], {
      links: [link('control_1', [clip('1.mp4', 50)])],
    });
    expect(Object.keys(rowsOf(lacking)[0])).toEqual(['caption', 'video']);
    expect(advice('ltx', lacking)).toContain('reference_video is left out');
    expect(advice('ltx', lacking)).toContain('1 file has no text here');
    expect(advice('ltx', dataset([image('1.webp'), image('2.png')]))).toContain('1 image is left out');
    expect(() => trainConfigOf('ltx', [dataset([image('1.jpg')], { captions: undefined })])).toThrow('not be read');
  });

  test('LTX: sound that some clips have, that all have, and that none has', () => {
    const with_ = (...sounds: boolean[]) =>
      dataset(sounds.map((has_audio, i) => ({ ...clip(`${i + 1}.mp4`, 50), has_audio })));
    expect(advice('ltx', with_(true, false))).toContain('1 clip has no sound.');
    expect(advice('ltx', with_(true, true))).not.toMatch(/no sound|skip-audio/);
    expect(advice('ltx', with_(false, false))).toMatch(/" --skip-audio/);
  });

  test.each([
    [
      'ai-toolkit',
      'datasets',
      [
        { folder_path: "10_cat's", num_repeats: 10, control_path: "/data/rail way control_1/10_cat's" },
        { folder_path: '1_rail way', control_path: '/data/rail way control_1/1_rail way' },
        { folder_path: 'reg/1_class', is_reg: true },
      ],
    ],
    [
      'onetrainer',
      '',
      [
        { path: "10_cat's", balancing: 10, balancing_strategy: 'REPEATS', type: 'STANDARD' },
        { path: '1_rail way', type: 'STANDARD' },
        { path: 'reg/1_class', type: 'PRIOR_PREDICTION' },
      ],
    ],
    [
      'simpletuner',
      '',
      [
        { id: "rail way-10_cat's-images", instance_data_dir: "10_cat's", repeats: 9 },
        { id: 'rail way-1_rail way-images', instance_data_dir: '1_rail way', repeats: 0 },
        { id: 'rail way-reg-1_class-images', instance_data_dir: 'reg/1_class', is_regularisation_data: true },
      ],
    ],
    [
      'musubi',
      'datasets',
      [
        { image_directory: "10_cat's", num_repeats: 10 },
        { image_directory: '1_rail way', num_repeats: 1 },
        { image_directory: 'reg/1_class', num_repeats: 1 },
      ],
    ],
    [
      'diffusion-pipe',
      'directory',
      [
        { path: "10_cat's", num_repeats: 10 },
        { path: '1_rail way', num_repeats: 1 },
        { path: 'reg/1_class', num_repeats: 1 },
      ],
    ],
  ] as const)('%s: groups in folders of their own, with repeats', (trainer, list, expected) => {
    const config = trainConfigOf(trainer, GROUPED);
    const document = parsed(config) as Record<string, Record<string, unknown>[]>;
    const entries = (list === '' ? document : document[list]) as unknown as Record<string, unknown>[];
    const byFolder = (folder: string) =>
      entries.filter((entry) => Object.values(entry).includes(`/data/rail way/${folder}`));
    for (const { ...keys } of expected) {
      const [[name = '', folder] = []] = Object.entries(keys).filter(([key]) => /path|dir/.test(key));
      expect(byFolder(String(folder))).toEqual([
        expect.objectContaining({ ...keys, [name]: `/data/rail way/${folder}` }),
      ]);
    }
    expect(
      [config.text, ...config.notes].join(' ').split("trainyard mount 'rail way' --into /data --layout kohya"),
    ).toHaveLength(2);
  });

  test('kohya: groups are subsets of one dataset, in which regularisation images count against the others', () => {
    const { datasets } = parseToml(trainConfigOf('kohya', GROUPED).text) as unknown as {
      datasets: { subsets: object[] }[];
    };
    expect(datasets).toHaveLength(1);
    expect(datasets[0]?.subsets).toEqual([
      { image_dir: "/data/rail way/10_cat's", num_repeats: 10 },
      { image_dir: '/data/rail way/1_rail way', num_repeats: 1 },
      { image_dir: '/data/rail way/reg/1_class', num_repeats: 1, is_reg: true },
    ]);
  });

  test('kohya has nothing to train on in clips', () => {
    expect(() => trainConfigOf('kohya', [CLIPS])).toThrow('For clips, use musubi.');
  });
});
