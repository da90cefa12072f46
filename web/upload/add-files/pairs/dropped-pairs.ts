import { type PairFolder, pairFoldersOf } from '../../../../src/dataset/pairs/pair-folders.js';
import { groupedBy } from '../../../grouped-by.js';
import { commonFolderOf, type DroppedFile } from '../dropped-files.js';

/** A dropped folder with sub-folders of targets, controls and masks. */
export interface DroppedPairs {
  /** The name of the folder; `''` if its sub-folders were dropped without it. */
  readonly folder: string;
  readonly parts: readonly DroppedPart[];
  /** Files that are in none of these sub-folders. */
  readonly outside: readonly DroppedFile[];
  /** The names of all sub-folders. */
  readonly folders: readonly string[];
}

export interface DroppedPart extends PairFolder {
  readonly files: readonly DroppedFile[];
}

/** Finds the sub-folders of targets, controls and masks; `undefined` if there are no controls and no masks. */
export function droppedPairsOf(files: readonly DroppedFile[]): DroppedPairs | undefined {
  const folder = commonFolderOf(files);
  return (folder === '' ? undefined : pairsBelow(files, folder)) ?? pairsBelow(files, '');
}

function pairsBelow(files: readonly DroppedFile[], folder: string): DroppedPairs | undefined {
  const start = folder === '' ? 0 : folder.length + 1;
  const byFolder = groupedBy(files, ({ path }) => path.slice(start, Math.max(start, path.indexOf('/', start))));
  const folders = [...byFolder.keys()].filter((name) => name !== '');
  const found = pairFoldersOf(folders);
  if (found === undefined) return undefined;
  const names = new Set(found.folders.map((each) => each.folder));
  return {
    folder,
    parts: found.folders.map((each) => ({ ...each, files: byFolder.get(each.folder) ?? [] })),
    outside: [...byFolder].flatMap(([name, group]) => (names.has(name) ? [] : group)),
    folders,
  };
}
