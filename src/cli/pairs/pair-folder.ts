import { readdir, realpath, stat } from 'node:fs/promises';
import { join, sep } from 'node:path';
import { type PairFolder, pairFoldersOf } from '../../dataset/pairs/pair-folders.js';
import { isFolder } from '../folder/read-folder.js';
import { CommandError, EXIT } from '../terminal/exit-codes.js';
import { errorMessage, printable } from '../terminal/text.js';

/** What is in a folder of pairs. */
export interface PairFolderContents {
  /** In the order target, controls, mask. */
  readonly folders: readonly (PairFolder & { readonly path: string })[];
  /** Sentences about entries that are in none of these folders. */
  readonly leftOut: readonly string[];
}

/**
 * Finds the sub-folders with targets, controls and masks.
 *
 * @param options.follow follows links that lead out of the folder
 * @throws CommandError with 64 if the path is not a folder, 66 if it has no such sub-folders, 65 if they don't make pairs
 */
export async function readPairFolder(root: string, { follow }: { follow: boolean }): Promise<PairFolderContents> {
  const shown = printable(root);
  if (!(await isFolder(root))) throw new CommandError(EXIT.usage, `--pairs takes a folder, and ${shown} is a file.`);
  const names = await readdir(root).catch((error) => {
    throw new CommandError(EXIT.noInput, `${shown} can't be read: ${errorMessage(error)}.`, { cause: error });
  });
  const visible = names.filter((name) => !name.startsWith('.')).sort();
  const folders: string[] = [];
  for (const name of visible) if (await isFolderOrLink(join(root, name))) folders.push(name);
  const pairs = pairFoldersOf(folders);
  if (pairs === undefined) {
    const message = `${shown} is not a folder of pairs. It needs a folder target/ with the images to train on and their captions, and control/ (or control_1/ to control_3/) or mask/ with images of the same names.`;
    throw new CommandError(EXIT.noInput, message);
  }
  if (pairs.fault !== undefined) throw new CommandError(EXIT.dataError, `${shown}: ${printable(pairs.fault)}`);
  const paths = pairs.folders.map((each) => ({ ...each, path: join(root, each.folder) }));
  if (!follow) for (const { path } of paths) await requireInside(root, path);
  const isPart = (name: string) => pairs.folders.some(({ folder }) => folder === name);
  const leftOut = visible.filter((name) => !isPart(name) && !isOfOriginals(name, pairs.folders));
  return { folders: paths, leftOut: leftOut.map((name) => leftOutText(name, { isFolder: folders.includes(name) })) };
}

/** Whether a path is a folder or a link to one; false for a broken link. */
async function isFolderOrLink(path: string): Promise<boolean> {
  return (await stat(path).catch(() => undefined))?.isDirectory() === true;
}

async function requireInside(root: string, path: string): Promise<void> {
  const [folder, target] = await Promise.all([realpath(root), realpath(path)]);
  if (target.startsWith(folder + sep)) return;
  const message = `${printable(path)} is a link that leads out of the folder. To follow such links, add --follow.`;
  throw new CommandError(EXIT.dataError, message);
}

/** `--fix` keeps originals in such folders. */
function isOfOriginals(name: string, folders: readonly PairFolder[]): boolean {
  return folders.some(({ folder }) => name === `${folder}.orig`);
}

function leftOutText(name: string, { isFolder: isDirectory }: { isFolder: boolean }): string {
  return isDirectory
    ? `${printable(name)}/ is not a folder of targets, controls or masks.`
    : `${printable(name)} is in no folder of targets, controls or masks.`;
}
