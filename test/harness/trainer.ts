import { readdirSync, readFileSync, realpathSync, statSync } from 'node:fs';
import { basename, join } from 'node:path';

/** One training item of the trainer. */
interface TrainingItem {
  /** Below the dataset's folder. */
  readonly path: string;
  /** `undefined` where the trainer would find no caption, and take the default or an empty one. */
  readonly caption: string | undefined;
}

/** ai-toolkit `toolkit/data_loader.py:39-40`, as of 27a03a91. */
const IMAGES = ['.jpg', '.jpeg', '.png', '.webp'];
const VIDEOS = ['.mp4', '.avi', '.mov', '.webm', '.mkv', '.wmv', '.m4v', '.flv'];

/**
 * Walks a dataset's folder by the trainer's own rules, and not by any code of ours: ai-toolkit
 * `toolkit/data_loader.py:428-450` and `toolkit/dataloader_mixins.py:344-363`, as of 27a03a91.
 *
 * @param options.extension of captions; the trainer's default
 * @throws Error where the trainer would stop: nothing found, a caption that is not UTF-8, a folder that can't be written to
 */
export function trainerWalk(folder: string, { extension = '.txt' } = {}): TrainingItem[] {
  const files = [...walk(folder, '')]
    .filter((path) => [...IMAGES, ...VIDEOS].includes(splitExtension(path).extension.toLowerCase()))
    // `_controls` is left out by the name of the folder that the file is directly in.
    .filter((path) => basename(join(folder, path, '..')) !== '_controls');
  if (files.length === 0) throw new Error(`AssertionError: no images found in ${folder}`);
  return files.toSorted().map((path) => ({ path, caption: captionOf(join(folder, path), extension) }));
}

/** `os.walk` does not follow links to folders; links to files are files. */
function* walk(root: string, below: string): Generator<string> {
  for (const entry of readdirSync(join(root, below), { withFileTypes: true })) {
    if (entry.name.startsWith('.')) continue;
    const path = join(below, entry.name);
    const isLinkToFolder = entry.isSymbolicLink() && statSync(realpathSync(join(root, path))).isDirectory();
    if (entry.isDirectory()) yield* walk(root, path);
    else if (!isLinkToFolder) yield path;
  }
}

/** As `os.path.splitext`: leading dots belong to the stem. */
function splitExtension(path: string): { stem: string; extension: string } {
  const name = basename(path);
  const dot = name.lastIndexOf('.');
  if (dot <= 0) return { stem: path, extension: '' };
  return { stem: path.slice(0, path.length - name.length + dot), extension: name.slice(dot) };
}

/** The stem and the extension, exactly; read as strict UTF-8. */
function captionOf(path: string, extension: string): string | undefined {
  const captionPath = splitExtension(path).stem + extension;
  // The name as the folder has it: a file system that ignores case or Unicode form would hide a caption that is not there.
  if (!readdirSync(join(captionPath, '..')).includes(basename(captionPath))) return undefined;
  return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(readFileSync(captionPath));
}

/**
 * The control or mask of each training item, found as ai-toolkit does (`toolkit/dataloader_mixins.py:1087-1122, 1576`): the stem
 * of the file name, the case kept, with each of these lower-case extensions in this order, directly in the folder.
 *
 * @returns the name of each file; `undefined` where the trainer would take zeros, train without, or stop
 */
export function trainerCounterparts(targetFolder: string, linkedFolder: string): (string | undefined)[] {
  const names = new Set(readdirSync(linkedFolder));
  return trainerWalk(targetFolder).map(({ path }) => {
    const { stem } = splitExtension(basename(path));
    return IMAGES.map((extension) => stem + extension).find((name) => names.has(name));
  });
}
