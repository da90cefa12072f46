import { mediaTypeOf, stemOf } from '../media.js';
import { parseFilename } from '../names.js';

/** A file in a folder of what is imported. */
export interface NestedFile {
  /** Such as `evening/extra`; `''` for a single file. */
  readonly folder: string;
  readonly file: { readonly name: string };
}

/** The files of one folder that have one stem: a picture with its caption. They keep one stem, or the pair would be lost. */
export type NestedGroup<T extends NestedFile> = readonly [T, ...T[]];

/** By folder and stem, the outer folders first. Two spellings of one name in a folder are two groups. */
export function nestedGroupsOf<T extends NestedFile>(files: readonly T[]): NestedGroup<T>[] {
  const groups: [T, ...T[]][] = [];
  const last = new Map<string, [T, ...T[]]>();
  const depthOf = ({ folder }: T) => folder.split('/').length;
  for (const nested of files.toSorted((a, b) => depthOf(a) - depthOf(b))) {
    const key = `${nested.folder}\n${stemOf(nested.file.name)}`;
    const group = last.get(key);
    if (group?.every(({ file }) => file.name !== nested.file.name) === true) group.push(nested);
    else {
      const next: [T, ...T[]] = [nested];
      last.set(key, next);
      groups.push(next);
    }
  }
  return groups;
}

/** Whether two groups of one stem can't both be in a dataset: they share a name, or would share a caption. */
export function groupsClash<T extends NestedFile>(a: NestedGroup<T>, b: NestedGroup<T>): boolean {
  const names = new Set(a.map(({ file }) => file.name));
  return b.some(({ file }) => names.has(file.name)) || (hasMedia(a) && hasMedia(b));
}

function hasMedia<T extends NestedFile>(group: NestedGroup<T>): boolean {
  return group.some(({ file }) => mediaTypeOf(file.name)?.kind !== 'caption');
}

/** `extra_IMG_4003`, or with more folders of its path; without a folder, or if all are taken, `IMG_4003_2`. */
export function freeStemFor<T extends NestedFile>(
  [first, ...others]: NestedGroup<T>,
  taken: ReadonlySet<string>,
): string {
  const stem = stemOf(first.file.name);
  const endings = [first, ...others].map(({ file }) => file.name.slice(stem.length));
  const parts = first.folder === '' ? [] : first.folder.split('/');
  const prefixed = parts.map((_, index) => [...parts.slice(-1 - index), stem].join('_'));
  const isUsable = (name: string) => !taken.has(name) && endings.every((end) => isFilename(name + end));
  const found = prefixed.find(isUsable);
  if (found !== undefined) return found;
  for (let count = 2; ; count++) {
    const numbered = `${stem}_${count}`;
    if (!taken.has(numbered)) return numbered;
  }
}

/** Gives each file a name in one flat folder, the same for the same files. Files of a name that is taken get another one. */
export function flattened<T extends NestedFile>(files: readonly T[]): { readonly nested: T; readonly name: string }[] {
  const taken = new Set(files.map(({ file }) => stemOf(file.name)));
  const earlier = new Map<string, NestedGroup<T>[]>();
  return nestedGroupsOf(files).flatMap((group) => {
    const stem = stemOf(group[0].file.name);
    const others = earlier.get(stem) ?? [];
    const isFree = others.every((other) => !groupsClash(other, group));
    earlier.set(stem, [...others, group]);
    if (isFree) return group.map((nested) => ({ nested, name: nested.file.name }));
    const free = freeStemFor(group, taken);
    taken.add(free);
    return group.map((nested) => ({ nested, name: free + nested.file.name.slice(stem.length) }));
  });
}

function isFilename(name: string): boolean {
  try {
    return parseFilename(name) === name;
  } catch {
    return false;
  }
}
