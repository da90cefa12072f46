import { type KohyaFolder, kohyaOf, lastPartOf, topFolderOf } from '../../../src/dataset/import/entry-paths.js';
import { type FileKind, mediaTypeOf } from '../../../src/dataset/media.js';
import { pairFoldersOf } from '../../../src/dataset/pairs/pair-folders.js';
import { groupedBy } from '../../../src/dataset/grouped-by.js';
import type { Candidate } from './check-files.js';
import type { DroppedFile } from './dropped-files.js';

/** A dropped folder that has files itself. */
export interface DroppedFolder {
  /** As in `Candidate`. */
  readonly path: string;
  /** Its path below the listed folder that it is in, such as `deep/deeper`. */
  readonly name: string;
  /** How many listed folders it is in. */
  readonly depth: number;
  readonly counts: Readonly<Record<FileKind, number>>;
  /** What kohya's `10_cat` says; `undefined` for another name. */
  readonly kohya: KohyaFolder | undefined;
}

/** What happens to the files of a folder. */
export type FolderChoice = 'add' | 'own' | 'skip';

/** The dataset of the page, or the new one, among those of folders: what is beside folders has no dataset of its own. */
export const MAIN = '';

/** By path. A folder without a choice is skipped with the folder around it, and added otherwise. */
export type ChosenFolders = ReadonlyMap<string, FolderChoice>;

/** The folders that have files, as a tree: each after the folder that it is in. */
export function droppedFoldersOf(candidates: readonly Candidate[]): DroppedFolder[] {
  const byFolder = groupedBy(candidates, ({ folder }) => folder);
  const paths = [...byFolder.keys()].sort((a, b) => compareParts(a.split('/'), b.split('/')));
  const listed = new Set(paths);
  return paths.map((path) => {
    const around = foldersAround(path).filter((each) => listed.has(each));
    const start = around[0] === undefined ? 0 : around[0].length + 1;
    const counts = { image: 0, video: 0, caption: 0 };
    for (const { name } of byFolder.get(path) ?? []) counts[mediaTypeOf(name)!.kind]++;
    return { path, name: path.slice(start), depth: around.length, counts, kohya: kohyaOf(path) };
  });
}

/** Finds the sub-folders of targets, controls and masks; `undefined` if there are no controls and no masks. */
export function droppedPairsOf(files: readonly DroppedFile[]) {
  const folder = topFolderOf(files);
  return (folder === '' ? undefined : pairsBelow(files, folder)) ?? pairsBelow(files, '');
}

/** @param folder the folder around them; `''` if they were dropped without it */
function pairsBelow(files: readonly DroppedFile[], folder: string) {
  const start = folder === '' ? 0 : folder.length + 1;
  const byFolder = groupedBy(files, ({ path }) => path.slice(start, Math.max(start, path.indexOf('/', start))));
  const folders = [...byFolder.keys()].filter((name) => name !== '');
  const found = pairFoldersOf(folders);
  if (found === undefined) return undefined;
  const names = new Set(found.folders.map((each) => each.folder));
  return {
    folder,
    folders,
    parts: found.folders.map((each) => ({ ...each, files: byFolder.get(each.folder) ?? [] })),
    /** Files that are in none of these sub-folders. */
    outside: [...byFolder].flatMap(([name, group]) => (names.has(name) ? [] : group)),
  };
}

/** A choice for a folder is one for all in it, each of which can be changed after that. */
export function withChoice(choices: ChosenFolders, path: string, choice: FolderChoice): ChosenFolders {
  return new Map([...[...choices].filter(([other]) => !other.startsWith(`${path}/`)), [path, choice]]);
}

/** The choice that a folder shows. */
export function choiceOf(path: string, choices: ChosenFolders): FolderChoice {
  return choices.get(path) ?? (destinationOf(path, choices) === undefined ? 'skip' : 'add');
}

/** The folder that becomes the dataset of the files of a folder; `MAIN` for those that none does; `undefined` to skip them. */
export function destinationOf(path: string, choices: ChosenFolders): string | undefined {
  const isAdded = choices.get(path) === 'add';
  for (const each of [path, ...foldersAround(path)]) {
    const choice = choices.get(each);
    if (choice === 'own') return each;
    if (choice === 'skip' && !isAdded) return undefined;
  }
  return MAIN;
}

/** The name that a dataset of the folder gets: its own, without the repeats of kohya's. */
export function datasetNameOf(path: string): string {
  return kohyaOf(path)?.name ?? lastPartOf(path);
}

/** The folders that a folder is in, from the inside out. */
function foldersAround(path: string): string[] {
  const parts = path.split('/').slice(0, -1);
  return parts.map((_, index) => parts.slice(0, parts.length - index).join('/'));
}

function compareParts(a: readonly string[], b: readonly string[]): number {
  for (const [index, part] of a.entries()) {
    const other = b[index];
    if (other === undefined) return 1;
    const order = part.localeCompare(other, 'en', { numeric: true });
    if (order !== 0) return order;
  }
  return a.length - b.length;
}
