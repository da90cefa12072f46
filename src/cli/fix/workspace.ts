import { lstat, mkdtemp, readdir, rm, rmdir } from 'node:fs/promises';
import { join } from 'node:path';
import { hasErrno } from '../../dataset/errors.js';
import { stemOf } from '../../dataset/media.js';
import { isSameFile, makeRealFolder } from './file-changes.js';

/** The folder of incomplete files within the folder that is fixed, where renaming is atomic. Trainers skip hidden folders. */
const NAME = '.trainyard-fix';

/** Its sub-folders, one for each file. */
const PREFIX = 'file-';

/** @returns the path of a new, incomplete file for the file of that name, alone in its folder */
export async function newPartialFile(folder: string, name: string): Promise<string> {
  const workspace = join(folder, NAME);
  await makeRealFolder(workspace, 0o700);
  return join(await mkdtemp(join(workspace, PREFIX)), name);
}

/** Removes a partial file and its folder. */
export async function removePartialFile(path: string): Promise<void> {
  await rm(join(path, '..'), { recursive: true, force: true });
}

/** Removes the folder of incomplete files, unless another process uses it. */
export async function closeWorkspace(folder: string): Promise<void> {
  await rmdir(join(folder, NAME)).catch((error) => {
    if (!hasErrno(error, 'ENOENT', 'ENOTEMPTY', 'EEXIST')) throw error;
  });
}

/**
 * Completes conversions that a killed process had written but not ended, and removes incomplete files.
 *
 * A partial file has the name of the original. If it is also the converted image, that is complete, and the original is kept: all
 * that is missing is to remove the original from the folder, unless it was written to since.
 */
export async function finishInterruptedFixes(folder: string): Promise<void> {
  const workspace = join(folder, NAME);
  const entries = await readdir(workspace, { withFileTypes: true }).catch(() => []);
  for (const entry of entries.filter((each) => each.isDirectory() && each.name.startsWith(PREFIX))) {
    for (const name of await readdir(join(workspace, entry.name))) {
      const [partial, source, target] = await Promise.all([
        statsOf(join(workspace, entry.name, name)),
        statsOf(join(folder, name)),
        statsOf(join(folder, `${stemOf(name)}.png`)),
      ]);
      if (partial === undefined || source === undefined || target === undefined) continue;
      const isPlaced = isSameFile(partial, target) && !isSameFile(source, target);
      if (isPlaced && source.ctimeMs <= target.ctimeMs) await rm(join(folder, name));
    }
    await rm(join(workspace, entry.name), { recursive: true, force: true });
  }
  if (entries.length > 0) await closeWorkspace(folder);
}

const statsOf = (path: string) => lstat(path).catch(() => undefined);
