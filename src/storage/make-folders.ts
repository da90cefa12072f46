import { mkdir, stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import { hasErrno } from '../dataset/errors.js';

/**
 * Creates a folder and its parents. `mkdir` of Node with `recursive` hangs where the system answers ENOENT although the
 * parent exists, as in `/proc`.
 *
 * @returns the topmost folder that was created; `undefined` if all existed
 */
export async function makeFolders(path: string, { mode = 0o777 } = {}): Promise<string | undefined> {
  try {
    await mkdir(path, { mode });
    return path;
  } catch (error) {
    if (hasErrno(error, 'EEXIST') && (await stat(path)).isDirectory()) return undefined;
    if (!hasErrno(error, 'ENOENT') || dirname(path) === path) throw error;
  }
  const created = await makeFolders(dirname(path), { mode });
  const isNew = await mkdir(path, { mode }).then(
    () => true,
    async (error) => {
      if (hasErrno(error, 'EEXIST') && (await stat(path)).isDirectory()) return false;
      throw error;
    },
  );
  return created ?? (isNew ? path : undefined);
}
