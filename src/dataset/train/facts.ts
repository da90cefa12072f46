import { shellWord } from '../../command-line.js';
import { RESOLUTIONS } from '../buckets.js';
import { mediaTypeOf, mountedNameOf, stemOf } from '../media.js';
import { numbered } from '../problems.js';
import { ONETRAINER_MASK_ENDING, type TrainingDataset, type TrainingFile } from './training-dataset.js';

/** The sides of buckets are multiples of it in most trainers. */
const SIDE_STEP = 64;

/** More frames need more memory than most graphics cards have. */
const MAX_FRAMES = 81;

/** With one frame, ai-toolkit looks for images (`toolkit/config_modules.py`, `num_frames`). */
const MIN_FRAMES = 5;

const USUAL_FRAMES = 33;

/** What templates insert, for all datasets and for each in `datasets`. A fact that does not apply is `undefined`. */
export function factsOf(all: readonly TrainingDataset[]) {
  const datasets = all.map((dataset, i) => ({
    ...factsOfOne(dataset),
    groupNote: all[i - 1]?.name === dataset.name ? undefined : groupNoteOf(dataset),
  }));
  const filled = datasets.filter(({ images, clips }) => images ?? clips);
  const content = contentFactsOf(all.filter(({ images, clips }) => images.length + clips.length > 0));
  // OneTrainer has one field for all concepts, and few of its models read clips.
  const field = content.images ?? content.clips;
  const files = all.flatMap(({ images }) => images);
  const masks = files.filter(({ filename }) => filename.toLowerCase().endsWith(ONETRAINER_MASK_ENDING)).length;
  return {
    ...content,
    datasets,
    sets: setsOf(all, datasets),
    filled: filled.map((facts, i) => ({ ...facts, isLast: i === filled.length - 1 })),
    firstCache: datasets[0]?.cache,
    hasMask: filled.some(({ mask }) => mask),
    resolutionField: field?.resolutions.join(','),
    fieldReason: field?.reason,
    enlarged: content.images?.enlarged,
    maskFiles: masks === 0 ? 'there are none' : numbered(masks, 'file is one', 'files are'),
  };
}

/** The images of each dataset. sd-scripts counts regularisation images against the others of a dataset (`DreamBoothDataset`). */
function setsOf(all: readonly TrainingDataset[], facts: readonly ReturnType<typeof factsOfOne>[]) {
  return [...new Set(all.map(({ name }) => name))].map((name) => ({
    ...contentFactsOf(all.filter((dataset) => dataset.name === name)),
    name,
    subsets: facts.filter((each) => each.name === name && each.images !== undefined),
  }));
}

function groupNoteOf({ name, root, group }: TrainingDataset): string | undefined {
  if (group === undefined) return undefined;
  return `The groups of "${name}" need folders of their own: trainyard mount ${shellWord(name)} --into ${shellWord(root)}${GROUP_LAYOUT}`;
}

const GROUP_LAYOUT = ' --layout kohya';

export function factsOfOne(dataset: TrainingDataset) {
  return { ...contentFactsOf([dataset]), ...folderFactsOf(dataset) };
}

function contentFactsOf(datasets: readonly TrainingDataset[]) {
  const images = datasets.flatMap((dataset) => dataset.images);
  const clips = datasets.flatMap((dataset) => dataset.clips);
  const words = [numberedIfAny(images.length, 'image'), numberedIfAny(clips.length, 'clip')];
  const ofImages = images.length === 0 ? undefined : sizeFactsOf(images);
  const ofClips = clips.length === 0 ? undefined : clipFactsOf(clips);
  return {
    ...sizeFactsOf([...images, ...clips], { isOne: clips.length > 0 }),
    images: ofImages,
    clips: ofClips,
    /** Used where a trainer has controls and masks for one kind of media alone. */
    conditioned: ofImages ?? ofClips,
    isMixed: images.length > 0 && clips.length > 0,
    content: words.filter(Boolean).join(' and '),
    multiLine: multiLineFinding(datasets),
    structured: numberedIfAny(
      datasets.reduce((sum, { structured }) => sum + structured, 0),
      'structured caption (.json) is',
      'structured captions (.json) are',
    ),
  };
}

/**
 * Suggests resolutions that at least half of the files reach; smaller files keep their size or are enlarged. Each is the side of
 * a square of about the trained area.
 *
 * @param options.isOne suggests only the smallest, since clips need far more memory
 */
function sizeFactsOf(files: readonly TrainingFile[], { isOne = false } = {}) {
  const sides = files
    .flatMap(({ width, height }) => (width && height ? [Math.sqrt(width * height)] : []))
    .sort((a, b) => a - b);
  const [smallest, ...larger] = RESOLUTIONS;
  const [side, median = 0] = [sides[0], sides[sides.length >> 1]];
  const isReached = (resolution: number) => sides.filter((each) => each >= resolution).length >= sides.length / 2;
  const resolutions: number[] = isReached(smallest)
    ? [smallest, ...(isOne || side === undefined ? [] : larger.filter(isReached))]
    : [Math.max(SIDE_STEP, Math.floor(median / SIDE_STEP) * SIDE_STEP)];
  const resolution = resolutions.at(-1) ?? smallest;
  const small = sides.filter((each) => each < resolution).length;
  const found =
    small === 0 ? 'no file has' : `${small} of ${numbered(sides.length, 'file')} ${small === 1 ? 'has' : 'have'}`;
  return {
    resolutions,
    resolution,
    reason:
      side === undefined
        ? 'the sizes are unknown; this is the smallest common resolution'
        : `${found} fewer pixels than ${resolution} x ${resolution}`,
    minimum: side && Math.min(resolution, Math.floor(side)),
    smaller: numberedIfAny(small, 'image'),
    enlarged: numberedIfAny(small, 'image is', 'images are'),
  };
}

function clipFactsOf(clips: readonly TrainingFile[]) {
  const rates = clips.flatMap(({ frames_per_second: rate }) => (rate ? [Math.round(rate * 100) / 100] : []));
  const [least, most] = [Math.min(...rates), Math.max(...rates)];
  return {
    ...sizeFactsOf(clips, { isOne: true }),
    ...suggestedFrames(clips),
    at16: suggestedFrames(clips, { atRate: 16 }),
    at24: suggestedFrames(clips, { atRate: 24 }),
    clipCount: numbered(clips.length, 'clip is', 'clips are'),
    rates:
      rates.length === 0
        ? 'The frame rates of the clips are unknown.'
        : `The clips have ${least === most ? least : `${least} to ${most}`} frames per second.`,
  };
}

/** A sentence, or `undefined` if no caption has several lines. */
function multiLineFinding(datasets: readonly TrainingDataset[]): string | undefined {
  if (datasets.some(({ captions }) => captions === undefined)) {
    return 'The captions could not be read here, and some may have several lines.';
  }
  const texts = datasets.flatMap(({ captions = [] }) => captions);
  const multiLine = texts.filter(({ text }) => text.trimEnd().includes('\n')).length;
  return multiLine === 0 ? undefined : `${numbered(multiLine, 'caption has', 'captions have')} several lines.`;
}

function folderFactsOf(dataset: TrainingDataset) {
  const { name, root, digest, images, clips, uncaptioned, group } = dataset;
  const inGroup = (path: string) => folderIn(path, group?.groupFolder);
  const rootOf = (kind: string) => (images.length > 0 && clips.length > 0 ? folderIn(root, kind) : root);
  const animated = images.filter(({ warnings }) => warnings?.some(({ code }) => code === 'ANIMATED_IMAGE'));
  const links = linkFactsOf(dataset, images.length > 0 ? rootOf('images') : root);
  const controls = links.filter(({ slot }) => slot !== 'mask');
  const examples = examplesOf(dataset);
  return {
    name,
    /** Unique, also of groups. */
    label: group === undefined ? name : `${name}-${group.groupFolder.replaceAll('/', '-')}`,
    isGrouped: group !== undefined,
    repeats: group?.repeats ?? 1,
    severalRepeats: group && group.repeats > 1 ? group.repeats : undefined,
    furtherRepeats: (group?.repeats ?? 1) - 1,
    isReg: group?.isReg ?? false,
    layoutOption: group === undefined ? '' : GROUP_LAYOUT,
    folder: inGroup(folderIn(root, name)),
    imagesFolder: inGroup(folderIn(rootOf('images'), name)),
    videosFolder: inGroup(folderIn(rootOf('videos'), name)),
    // Trainers find cached latents by filename, so each state of a dataset has its own folder. ai-toolkit does not list folders that
    // begin with a dot (`ui/src/app/api/datasets/list`).
    cache: inGroup(folderIn(folderIn(root, '.cache'), digest === undefined ? name : `${name}-${digest.slice(0, 12)}`)),
    shellName: shellWord(name),
    shellRoot: shellWord(root),
    shellImagesRoot: shellWord(rootOf('images')),
    shellVideosRoot: shellWord(rootOf('videos')),
    kind: images.length > 0 ? 'images' : 'videos',
    animated: numberedIfAny(animated.length, 'image is', 'images are'),
    animatedFile: animated[0]?.filename,
    uncaptioned: numberedIfAny(uncaptioned, 'file has', 'files have'),
    links,
    hasLinks: links.length > 0,
    controls,
    hasOneControl: controls.length === 1,
    severalControls: controls.length > 1 ? controls.length : undefined,
    firstControl: controls[0],
    mask: links.find(({ slot }) => slot === 'mask'),
    examples,
    /** Only where all controls of the image are known. */
    samples: examples.flatMap(({ prompt, stem }) => {
      const sampleControls = controls.flatMap(({ sampleKey, fileOf }) => {
        const sampleFile = fileOf(stem);
        return sampleFile === undefined ? [] : [{ sampleKey, sampleFile }];
      });
      return sampleControls.length > 0 && sampleControls.length === controls.length ? [{ prompt, sampleControls }] : [];
    }),
  };
}

function linkFactsOf({ root, links, images, clips, group }: TrainingDataset, conditioningRoot: string) {
  const inGroup = (path: string) => folderIn(path, group?.groupFolder);
  const targets = new Map([...images, ...clips].map((file) => [stemOf(file.filename), file]));
  const targetOf = ({ filename }: TrainingFile) => targets.get(stemOf(filename));
  const hasOtherSize = (file: TrainingFile, target = targetOf(file)) =>
    Boolean(target?.width && file.width) && (target?.width !== file.width || target?.height !== file.height);
  const hasOtherExtension = (file: TrainingFile, target = targetOf(file)) =>
    target !== undefined && mountedNameOf(target.filename) !== mountedNameOf(file.filename);
  const isOnlyControl = links.filter(({ slot }) => slot !== 'mask').length === 1;
  return links.map((link, i) => {
    const media = (link.files ?? []).filter(({ filename }) => (mediaTypeOf(filename)?.kind ?? 'caption') !== 'caption');
    const byStem = new Map(media.map(({ filename }) => [stemOf(filename), mountedNameOf(filename)]));
    const extra = media.filter((file) => targetOf(file) === undefined);
    const unequal = media.filter((file) => hasOtherSize(file)).length;
    const others = media.filter((file) => hasOtherExtension(file)).length;
    const namesakes = extra.filter(({ filename }) =>
      ['_', '.'].some((mark) => images.some((image) => filename.startsWith(stemOf(image.filename) + mark))),
    );
    const found = [
      extra.length > 0 && `${numbered(extra.length, 'file has', 'files have')} no image of the same stem`,
      unequal > 0 && `${numbered(unequal, 'file has', 'files have')} another size`,
    ].filter(Boolean);
    const linkFolder = inGroup(folderIn(root, link.name));
    return {
      slot: link.slot,
      linkName: link.name,
      linkFolder,
      conditioningFolder: inGroup(folderIn(conditioningRoot, link.name)),
      // Every model of ai-toolkit takes `control_path`; its page uses numbered keys.
      key: isOnlyControl ? 'control_path' : `control_path_${i + 1}`,
      // `toolkit/config_modules.py:44-65`
      sampleKey: isOnlyControl ? 'ctrl_img' : `ctrl_img_${i + 1}`,
      fileOf: (stem: string) => (byStem.has(stem) ? folderIn(linkFolder, byStem.get(stem) ?? '') : undefined),
      conditioning: link.slot === 'mask' ? 'mask' : 'reference_strict',
      found: found.length > 0 ? found.join(', and ') : undefined,
      // musubi takes them for further controls.
      namesake:
        namesakes[0] && `${namesakes[0].filename}${namesakes.length > 1 ? ` and ${namesakes.length - 1} more` : ''}`,
      unequalMasks: numberedIfAny(unequal, 'mask has', 'masks have'),
      otherExtensions: numberedIfAny(others, 'file has', 'files have'),
      mayMiss: others > 0 || link.files === undefined,
      isLast: i === links.length - 1,
    };
  });
}

const MAX_EXAMPLES = 3;
const MAX_EXAMPLE_CHARACTERS = 300;

/** Captions as prompts, each on one line. */
function examplesOf({ captions = [] }: TrainingDataset) {
  const examples = new Map<string, string>();
  for (const { stem, text } of captions) {
    const prompt = [...text.trim().replace(/\s+/g, ' ')].slice(0, MAX_EXAMPLE_CHARACTERS).join('');
    if (prompt !== '' && !examples.has(prompt)) examples.set(prompt, stem);
    if (examples.size === MAX_EXAMPLES) break;
  }
  return [...examples].map(([prompt, stem]) => ({ prompt, stem }));
}

/** The shortest clip's frames as 4n + 1, which video models take. @param options.atRate counts them at this rate */
function suggestedFrames(clips: readonly TrainingFile[], { atRate }: { atRate?: number } = {}) {
  const known = clips.flatMap(({ frames, frames_per_second: rate }) => {
    if (frames === undefined || (atRate !== undefined && !rate)) return [];
    return [atRate === undefined ? frames : Math.floor((frames * atRate) / (rate || atRate))];
  });
  if (known.length === 0) {
    return { frames: USUAL_FRAMES, framesReason: 'the lengths of the clips are unknown; of the form 4n + 1' };
  }
  const shortest = known.reduce((least, frames) => Math.min(least, frames));
  const count = 4 * Math.floor((Math.min(shortest, MAX_FRAMES) - 1) / 4) + 1;
  const unknown = clips.length > known.length ? ` (${clips.length - known.length} of unknown length)` : '';
  const rate = atRate === undefined ? '' : ` at ${atRate} frames per second`;
  return {
    frames: Math.max(count, MIN_FRAMES),
    framesReason: `the shortest clip has ${numbered(shortest, 'frame')}${rate}${unknown}; of the form 4n + 1`,
  };
}

export function numberedIfAny(count: number, one: string, many?: string): string | undefined {
  return count > 0 ? numbered(count, one, many) : undefined;
}

export function folderIn(root: string, name: string | undefined): string {
  if (name === undefined) return root;
  return root.endsWith('/') ? root + name : `${root}/${name}`;
}
