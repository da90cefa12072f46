import { lstat, mkdtemp, readdir, rm, rmdir } from 'node:fs/promises';
import { join } from 'node:path';
import { hasErrno } from '../../dataset/errors.js';
import { stemOf } from '../../dataset/media.js';
import { isSameFile, makeRealFolder, requireRealFolder } from './file-changes.js';

/** The folder of incomplete files within the folder that is fixed, where renaming is atomic. Trainers skip hidden folders. */
const NAME = '.trainyard-fix';

/** Its sub-folders, one for each file. */
const PREFIX = 'file-';

/** As `mkdtemp` names them. */
const SUB_FOLDER = /^file-[0-9A-Za-z]{6}$/;

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
 * Completes conversions that a killed process had written but not ended, and removes incomplete files. Sub-folders of another
 * name, or with other content than one file, are a person's, and stay.
 *
 * A partial file has the name of the original. If it is also the converted image, that is complete, and the original is kept: all
 * that is missing is to remove the original from the folder, unless it was written to since.
 *
 * @throws CommandError with 73 if something else has the name of the folder of incomplete files: a link could lead to files of a
 *   person; the system's errors
 */
export async function finishInterruptedFixes(folder: string): Promise<void> {
  const workspace = join(folder, NAME);
  if ((await statsOf(workspace)) === undefined) return;
  await requireRealFolder(workspace);
  const entries = await readdir(workspace, { withFileTypes: true }).catch(() => []);
  for (const entry of entries.filter((each) => each.isDirectory() && SUB_FOLDER.test(each.name))) {
    const subFolder = join(workspace, entry.name);
    const content = await readdir(subFolder, { withFileTypes: true });
    if (content.length > 1 || !content.every((each) => each.isFile())) continue;
    for (const { name } of content) {
      await finishConversion(folder, { name, partial: join(subFolder, name) });
      await rm(join(subFolder, name));
    }
    await rmdir(subFolder);
  }
  if (entries.length > 0) await closeWorkspace(folder);
}

/** Removes the original from the folder if `partial` is the converted image, and in its place. */
async function finishConversion(folder: string, { name, partial }: { name: string; partial: string }): Promise<void> {
  const paths = [partial, join(folder, name), join(folder, `${stemOf(name)}.png`)];
  const [written, source, target] = await Promise.all(paths.map(statsOf));
  if (written === undefined || source === undefined || target === undefined) return;
  const isPlaced = isSameFile(written, target) && !isSameFile(source, target);
  if (isPlaced && source.ctimeMs <= target.ctimeMs) await rm(join(folder, name));
}

const statsOf = (path: string) => lstat(path).catch(() => undefined);
