import { randomUUID } from 'node:crypto';
import { lstat, readdir, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { hasErrno } from '../../dataset/errors.js';
import { folderStateOf, foreignChangesIn, readRecord, UNFINISHED_RECORD_NAME } from './mounted-folder.js';
import { swapFolders } from './swap-folders.js';

/** The paths of one dataset in a root. Those beside `folder` are hidden, and removed by the end of a mount. */
export interface MountPaths {
  readonly root: string;
  /** The trainer reads this folder. */
  readonly folder: string;
  readonly name: string;
  /** The new folder while it is written. */
  readonly staging: string;
  /** The old folder between two renames, if an atomic swap is not possible. */
  readonly aside: string;
}

export function mountPathsOf(root: string, name: string): MountPaths {
  const hidden = (suffix: string) => join(root, `.${name}.${suffix}`);
  return { root, name, folder: join(root, name), staging: hidden('mounting'), aside: hidden('aside') };
}

/** A folder that was moved into place, and the one that it replaced. */
export interface PlacedFolder {
  /** Marks the old folder for removal. */
  readonly keep: () => Promise<void>;
  /** Brings the old folder back. The new one is the staged folder again. */
  readonly undo: () => Promise<void>;
}

/** Renames the staged folder to the dataset's name, atomically if possible. The old folder stays until `keep`, or the next mount. */
export async function moveIntoPlace(paths: MountPaths): Promise<PlacedFolder> {
  const { folder, staging, aside } = paths;
  if (!(await exists(folder))) {
    await rename(staging, folder);
    return { keep: async () => {}, undo: () => rename(folder, staging) };
  }
  if (await swapFolders(staging, folder)) {
    const undo = async () => {
      if (!(await swapFolders(staging, folder))) throw new Error(`${staging} and ${folder} can't be swapped again`);
    };
    return { keep: async () => void (await markForRemoval(paths, staging)), undo };
  }
  // After a kill between the renames there is no folder until `removeLeftovers` of the next mount restores the old one.
  const canSetAside = !(await exists(aside)) && (await isMounted(folder, paths));
  const old = canSetAside ? aside : await markForRemoval(paths, folder);
  if (canSetAside) await rename(folder, aside);
  await rename(staging, folder);
  return {
    keep: async () => void (canSetAside && (await markForRemoval(paths, aside))),
    undo: async () => {
      await rename(folder, staging);
      await rename(old, folder);
    },
  };
}

/** Renames a folder so that `removeLeftovers` removes it. @returns its path then */
export async function markForRemoval({ root, name }: MountPaths, folder: string): Promise<string> {
  const marked = join(root, `.${name}.removing-${randomUUID()}`);
  await rename(folder, marked);
  return marked;
}

/** Renames a folder with files that no mount wrote, so that no later mount uses or removes it. @returns a warning for a person */
export async function keepUnderOtherName({ root, name }: MountPaths, folder: string): Promise<string> {
  const kept = join(root, `.${name}.kept-${randomUUID()}`);
  await rename(folder, kept);
  return `${folder} has files that trainyard did not write. They are now in ${kept}.`;
}

const REMOVING = /^\.removing-[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

/**
 * Cleans up after an earlier process that was killed: restores an old folder without a successor, and removes folders that
 * are marked for removal. An old folder with files of a person is kept under another name.
 *
 * @returns a warning for each folder that was kept or could not be removed
 */
export async function removeLeftovers(paths: MountPaths): Promise<string[]> {
  const { root, folder, aside } = paths;
  const warnings: string[] = [];
  if (await isMounted(aside, paths)) {
    if (!(await exists(folder))) await rename(aside, folder);
    else if (await hasForeignChanges(aside)) warnings.push(await keepUnderOtherName(paths, aside));
    else await markForRemoval(paths, aside);
  } else if (await exists(aside)) {
    warnings.push(`${aside} was not written by trainyard, and is left as it is.`);
  }
  const unfinished = join(folder, UNFINISHED_RECORD_NAME);
  if ((await exists(unfinished)) && (await isMounted(folder, paths))) await rm(unfinished, { force: true });
  for (const name of await foldersToRemove(paths)) {
    const path = join(root, name);
    await rm(path, { recursive: true, force: true }).catch((error) => {
      // Caches of a trainer that runs as another user can be removed by that user only.
      warnings.push(`The replaced folder ${path} can't be removed: ${error.message}. Remove it yourself.`);
    });
  }
  return warnings;
}

/** Whether an earlier process was killed while it mounted or removed the dataset. */
export async function hasLeftovers(paths: MountPaths): Promise<boolean> {
  const { folder, staging, aside } = paths;
  for (const path of [staging, aside, join(folder, UNFINISHED_RECORD_NAME)]) if (await exists(path)) return true;
  return (await foldersToRemove(paths)).length > 0;
}

async function foldersToRemove({ root, name }: MountPaths): Promise<string[]> {
  const prefix = `.${name}`;
  return (await readdir(root)).filter((entry) => entry.startsWith(prefix) && REMOVING.test(entry.slice(prefix.length)));
}

/** Whether a path is a folder that this dataset, and no person, was mounted in. */
async function isMounted(path: string, { name }: MountPaths): Promise<boolean> {
  const stats = await lstat(path).catch(() => undefined);
  return stats?.isDirectory() === true && (await readRecord(path))?.name === name;
}

async function hasForeignChanges(folder: string): Promise<boolean> {
  const existing = await folderStateOf(folder);
  return existing.state === 'mounted' && foreignChangesIn(existing).length > 0;
}

async function exists(path: string): Promise<boolean> {
  return lstat(path).then(
    () => true,
    (error) => {
      // A file may be in the way of the folder.
      if (hasErrno(error, 'ENOENT', 'ENOTDIR')) return false;
      throw error;
    },
  );
}
