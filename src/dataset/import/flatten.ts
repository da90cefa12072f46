import { mediaTypeOf, stemOf } from '../media.js';
import { filenameFault, normalizedFilename } from '../names.js';

/** A file in a folder of what is imported. */
export interface NestedFile {
  /** Such as `evening/extra`; `''` for a single file. */
  readonly folder: string;
  readonly name: string;
}

/** The files of one folder that have one stem: a picture with its caption. They keep one stem, or the pair would be lost. */
export type NestedGroup<T extends NestedFile> = readonly [T, ...T[]];

/** By folder and stem, the outer folders first. Two spellings of one name in a folder are two groups. */
export function nestedGroupsOf<T extends NestedFile>(files: readonly T[]): NestedGroup<T>[] {
  const groups: [T, ...T[]][] = [];
  const last = new Map<string, [T, ...T[]]>();
  const depthOf = ({ folder }: T) => folder.split('/').length;
  for (const nested of files.toSorted((a, b) => depthOf(a) - depthOf(b))) {
    const key = `${nested.folder}\n${stemOf(nested.name)}`;
    const group = last.get(key);
    if (group?.every(({ name }) => name !== nested.name) === true) group.push(nested);
    else {
      groups.push([nested]);
      last.set(key, groups.at(-1)!);
    }
  }
  return joined(groups);
}

/** Captions alone join media in a folder of the same name (`text/night/1.txt`), or that share most outer folders (`night/text/1.txt`). */
function joined<T extends NestedFile>(groups: readonly [T, ...T[]][]): NestedGroup<T>[] {
  const hasMedia = (group: NestedGroup<T>) => group.some(({ name }) => mediaTypeOf(name)?.kind !== 'caption');
  /** The folder, its name alone, and the folders around it, each with the stem. */
  const placesOf = ([{ folder, name }]: NestedGroup<T>) => {
    const parts = folder.split('/').slice(0, MAX_PREFIX_FOLDERS);
    const [own = '', ...around] = [...parts, ''].map((_, out) => parts.slice(0, parts.length - out).join('/'));
    return [own, `…/${parts.at(-1)}`, ...around].map((place) => `${place}\n${stemOf(name)}`);
  };
  const nearest = new Map<string, [T, ...T[]]>();
  for (const group of groups.filter(hasMedia)) {
    for (const place of placesOf(group)) if (!nearest.has(place)) nearest.set(place, group);
  }
  return groups.filter((group) => {
    const place = hasMedia(group) ? undefined : placesOf(group).find((each) => nearest.has(each));
    const owner = nearest.get(place ?? '');
    if (owner?.every((file) => group.every(({ name }) => name !== file.name)) !== true) return true;
    owner.push(...group);
    return false;
  });
}

/** What only one group of a stem can have in a dataset: the name of each caption, and the images and clips. */
export function claimsOf<T extends NestedFile>(group: NestedGroup<T>): readonly string[] {
  const stem = stemOf(group[0].name);
  return [...new Set(group.map(({ name }) => (mediaTypeOf(name)?.kind === 'caption' ? name : `${stem}/`)))];
}

/** Answers, for one group after the other, whether none before had its claims: archives have thousands of one stem. */
export function claiming<T extends NestedFile>(): (group: NestedGroup<T>) => boolean {
  const claimed = new Set<string>();
  return (group) => {
    const claims = claimsOf(group);
    const isFree = claims.every((claim) => !claimed.has(claim));
    for (const claim of claims) claimed.add(claim);
    return isFree;
  };
}

const MAX_PREFIX_FOLDERS = 8;

/** `extra_IMG_4003`, or with more folders of its path; without a folder, or if all are taken, `IMG_4003_2`. */
export function freeStemFor<T extends NestedFile>(
  [first, ...others]: NestedGroup<T>,
  taken: ReadonlySet<string>,
): string {
  const stem = stemOf(first.name);
  const endings = [first, ...others].map(({ name }) => name.slice(stem.length));
  const parts = first.folder === '' ? [] : first.folder.split('/').slice(-MAX_PREFIX_FOLDERS);
  const prefixed = parts.map((_, index) => normalizedFilename([...parts.slice(-1 - index), stem].join('_')));
  const isFilename = (name: string) => mediaTypeOf(name) !== undefined && filenameFault(name) === undefined;
  const isUsable = (name: string) => !taken.has(name) && endings.every((end) => isFilename(name + end));
  const found = prefixed.find(isUsable);
  if (found !== undefined) return found;
  // Where hundreds are taken, as many names more than there are of all are free.
  for (let count = 2; ; count = count < 100 ? count + 1 : count + taken.size) {
    const numbered = `${stem}_${count}`;
    if (!taken.has(numbered)) return numbered;
  }
}

/** Gives each file a name in one flat folder, the same for the same files. Files of a name that is taken get another one. */
export function flattened<T extends NestedFile>(files: readonly T[]): T[] {
  const taken = new Set(files.map(({ name }) => stemOf(name)));
  const isFree = claiming<T>();
  return nestedGroupsOf(files).flatMap((group) => {
    const stem = stemOf(group[0].name);
    if (isFree(group)) return group;
    const free = freeStemFor(group, taken);
    taken.add(free);
    return group.map((nested) => ({ ...nested, name: free + nested.name.slice(stem.length) }));
  });
}
