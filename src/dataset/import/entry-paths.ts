import { groupedBy } from '../grouped-by.js';
import { stemOf } from '../media.js';
import { parseGroupName } from '../names.js';

/** The last are folders that the trainer keeps beside the files (ai-toolkit; it does not train on `_controls`). */
const SYSTEM_FILES = /^((eh)?thumbs\.db|desktop\.ini|__macosx|_(latent|t_e|clip_vision)_cache|_controls)$/i;

/** Whether an operating system or a trainer made the file, such as `.DS_Store`, or hides it. */
export function isHiddenPath(path: string): boolean {
  return path.split('/').some((part) => (part.startsWith('.') && part !== '..') || SYSTEM_FILES.test(part));
}

/** The top folder that all files share; `''` if they share none. */
export function topFolderOf(files: readonly { readonly path: string }[]): string {
  const folders = new Set(files.map(({ path }) => path.slice(0, Math.max(0, path.indexOf('/')))));
  const [folder = ''] = folders;
  return folders.size === 1 ? folder : '';
}

export function parentOf(path: string): string {
  return path.slice(0, Math.max(0, path.lastIndexOf('/')));
}

export function lastPartOf(path: string): string {
  return path.slice(path.lastIndexOf('/') + 1);
}

/** How often a trainer of kohya's repeats the images of a folder, and what they show. */
export interface KohyaFolder {
  readonly repeats: number;
  readonly name: string;
}

/**
 * Reads the name of a folder such as `10_cat` (https://github.com/kohya-ss/sd-scripts/blob/main/docs/train_README-en.md). The number
 * in `2024_summer` is a year.
 */
export function kohyaOf(path: string): KohyaFolder | undefined {
  const [, repeats, name] = /^(?!(?:19|20)\d\d_)(\d{1,4})_(.+)$/.exec(lastPartOf(path)) ?? [];
  if (name === undefined || Number(repeats) === 0) return undefined;
  try {
    return { repeats: Number(repeats), name: parseGroupName(name) };
  } catch {
    return undefined;
  }
}

/** A path below a folder of images that only regularize, such as kohya's `reg` beside `img`. */
export const REGULARIZATION = /(^|\/)(reg|regularization|regularisation|class)([ _-]?images?)?\//i;

export interface KohyaGroup extends KohyaFolder {
  readonly is_reg: boolean;
  readonly files: readonly string[];
}

/**
 * The files of kohya's folders, with the repeats that the names of the folders say. Of two folders of one name, such as `10_dog` and
 * `reg/1_dog`, one keeps its number in the name: the one that regularizes, or the later one.
 */
export function kohyaGroupsOf(files: readonly { readonly folder: string; readonly name: string }[]): KohyaGroup[] {
  const byPath = groupedBy(files, ({ folder }) => {
    const parts = folder.split('/');
    return parts.slice(0, parts.findLastIndex((part) => kohyaOf(part) !== undefined) + 1).join('/');
  });
  byPath.delete('');
  const isReg = (path: string) => REGULARIZATION.test(path);
  const taken = new Set<string>();
  return [...byPath]
    .sort(([a], [b]) => Number(isReg(a)) - Number(isReg(b)))
    .map(([path, members]) => {
      const { repeats, name: own } = kohyaOf(path)!;
      const name = [own, lastPartOf(path)].find((each) => !taken.has(each)) ?? path.replaceAll('/', '_');
      taken.add(name);
      return { name, repeats, is_reg: isReg(path), files: members.map((file) => file.name) };
    });
}

/** A change of a group of a dataset, for `client.groups.save`. */
export interface ImportedGroup {
  readonly name: string;
  readonly change: { readonly add: string[]; readonly repeats?: number; readonly is_reg?: boolean };
}

/**
 * What to save after an import. A file that has a group keeps it, and a group that the dataset has keeps its repeats. An export puts
 * files without a group in `1_NAME` with the name of the dataset.
 */
export function groupsToSave(
  groups: readonly KohyaGroup[],
  dataset: {
    readonly name: string;
    readonly files?: readonly { readonly filename: string; readonly group?: string | undefined }[];
    readonly groups?: readonly { readonly name: string }[] | undefined;
  },
): ImportedGroup[] {
  const grouped = new Set(
    dataset.files?.flatMap(({ filename, group }) => (group === undefined ? [] : stemOf(filename))),
  );
  const known = new Set(dataset.groups?.map(({ name }) => name));
  return groups
    .filter(({ name, repeats, is_reg }) => name !== dataset.name || repeats > 1 || is_reg)
    .map(({ name, repeats, is_reg, files }) => {
      const add = files.filter((filename) => !grouped.has(stemOf(filename)));
      return { name, change: known.has(name) ? { add } : { add, repeats, is_reg } };
    })
    .filter(({ change }) => change.add.length > 0);
}
