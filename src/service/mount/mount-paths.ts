import { randomUUID } from 'node:crypto';
import { access, constants, lstat, readdir, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { hasErrno } from '../../dataset/errors.js';
import { FolderInUse, lockFolder } from '../../storage/folder-lock.js';
import { swapFolders, syncFolder } from './swap-folders.js';

/** The names that one dataset has in a root. Those beside the folder itself are hidden, and gone after a mount. */
export interface MountPaths {
  readonly root: string;
  /** Where the trainer looks. */
  readonly folder: string;
  readonly name: string;
  /** Where the new folder is made. */
  readonly staging: string;
  /** Where the old folder waits while the name is without one, where two renames can't be one. */
  readonly aside: string;
}

export function mountPathsOf(root: string, name: string): MountPaths {
  const hidden = (what: string) => join(root, `.${name}.${what}`);
  return { root, name, folder: join(root, name), staging: hidden('mounting'), aside: hidden('aside') };
}

const LOCK_NAME = '.trainyard.lock';
const LOCK_POLL_MS = 50;

/** Does something in a root while no other process does. @throws the signal's reason while it waits */
export async function withLock<T>(
  root: string,
  { signal, onWaiting }: { signal: AbortSignal; onWaiting?: () => void },
  work: () => Promise<T>,
): Promise<T> {
  // The lock itself can't tell a folder that it may not write to from one that is taken.
  await access(root, constants.W_OK);
  const path = join(root, LOCK_NAME);
  for (let isFirst = true; ; isFirst = false) {
    try {
      const lock = lockFolder(path);
      return await work().finally(lock.release);
    } catch (error) {
      if (!(error instanceof FolderInUse)) throw error;
      if (isFirst) onWaiting?.();
      await wait(LOCK_POLL_MS, undefined, { signal });
    }
  }
}

/** Gives the staged folder the dataset's name. Whatever had that name is taken away in the same step. */
export async function moveIntoPlace(place: MountPaths): Promise<void> {
  const { folder, staging, aside, root } = place;
  if (!(await exists(folder))) {
    await rename(staging, folder);
  } else if (await swapFolders(staging, folder)) {
    await markForRemoval(place, staging);
  } else {
    // Killed here, the name is without a folder until somebody mounts again and puts the old one back, see `removeLeftovers`.
    await rename(folder, aside);
    await rename(staging, folder);
    await markForRemoval(place, aside);
  }
  await syncFolder(root);
}

/** Gives a folder a name under which nobody looks for it any more, and `removeLeftovers` removes it. */
export async function markForRemoval({ root, name }: MountPaths, folder: string): Promise<void> {
  await rename(folder, join(root, `.${name}.removing-${randomUUID()}`));
}

const REMOVING = /^\.removing-[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

/**
 * Ends what an earlier process was killed in: puts the old folder back where the new one had not taken its place, and
 * removes what is of no use.
 *
 * @returns what could not be removed
 */
export async function removeLeftovers(place: MountPaths): Promise<string[]> {
  const { root, folder, aside } = place;
  if (await exists(aside)) {
    if (await exists(folder)) await markForRemoval(place, aside);
    else await rename(aside, folder);
  }
  const warnings: string[] = [];
  for (const name of await removals(place)) {
    const path = join(root, name);
    await rm(path, { recursive: true, force: true }).catch((error) => {
      // A trainer that runs as another user leaves caches that only that user can remove.
      warnings.push(`${path} holds what was replaced and can't be removed: ${error.message}`);
    });
  }
  return warnings;
}

/** Whether an earlier process was killed in something. */
export async function hasLeftovers(place: MountPaths): Promise<boolean> {
  return (await exists(place.staging)) || (await exists(place.aside)) || (await removals(place)).length > 0;
}

async function removals({ root, name }: MountPaths): Promise<string[]> {
  const begin = `.${name}`;
  return (await readdir(root)).filter((entry) => entry.startsWith(begin) && REMOVING.test(entry.slice(begin.length)));
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
