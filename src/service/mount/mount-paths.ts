import { randomUUID } from 'node:crypto';
import { lstat, readdir, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { hasErrno } from '../../dataset/errors.js';
import { syncFolder } from '../../storage/sync-folder.js';
import { readRecord } from './mounted-folder.js';
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

/** Renames the staged folder to the dataset's name, atomically if possible, and marks the old folder for removal. */
export async function moveIntoPlace(paths: MountPaths): Promise<void> {
  const { folder, staging, aside, root } = paths;
  if (!(await exists(folder))) {
    await rename(staging, folder);
  } else if (await swapFolders(staging, folder)) {
    await markForRemoval(paths, staging);
  } else if ((await exists(aside)) || !(await isMounted(folder, paths))) {
    await markForRemoval(paths, folder);
    await rename(staging, folder);
  } else {
    // After a kill between the renames there is no folder until `removeLeftovers` of the next mount restores the old one.
    await rename(folder, aside);
    await rename(staging, folder);
    await markForRemoval(paths, aside);
  }
  await syncFolder(root);
}

/** Renames a folder so that `removeLeftovers` removes it. */
export async function markForRemoval({ root, name }: MountPaths, folder: string): Promise<void> {
  await rename(folder, join(root, `.${name}.removing-${randomUUID()}`));
}

const REMOVING = /^\.removing-[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

/**
 * Cleans up after an earlier process that was killed: restores an old folder without a successor, and removes folders that
 * are marked for removal.
 *
 * @returns a warning for each folder that could not be removed
 */
export async function removeLeftovers(paths: MountPaths): Promise<string[]> {
  const { root, folder, aside } = paths;
  const warnings: string[] = [];
  if (await isMounted(aside, paths)) {
    if (await exists(folder)) await markForRemoval(paths, aside);
    else await rename(aside, folder);
  } else if (await exists(aside)) {
    warnings.push(`${aside} was not written by trainyard, and is left as it is.`);
  }
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
  return (await exists(paths.staging)) || (await exists(paths.aside)) || (await foldersToRemove(paths)).length > 0;
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

async function exists(path: string): Promise<boolean> {
  return lstat(path).then(
    () => true,
    (error) => {
      if (hasErrno(error, 'ENOENT')) return false;
      throw error;
    },
  );
}
