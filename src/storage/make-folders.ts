import { mkdir, stat } from 'node:fs/promises';
import { dirname } from 'node:path';

/**
 * Creates a folder and its parents, as far as they are missing. `mkdir` of Node with `recursive` never returns where the
 * system answers ENOENT although the parent exists, as for a new name in `/proc`.
 *
 * @returns the topmost folder that was created; `undefined` if all existed
 * @throws the system's error
 */
export async function makeFolders(path: string, { mode = 0o777 }: { mode?: number } = {}): Promise<string | undefined> {
  const attempt = await makeFolder(path, mode);
  if (attempt === 'created') return path;
  if (attempt === 'existed') return undefined;
  if (dirname(path) === path) throw attempt;
  const created = await makeFolders(dirname(path), { mode });
  const secondAttempt = await makeFolder(path, mode);
  if (secondAttempt instanceof Error) throw secondAttempt;
  return created ?? (secondAttempt === 'created' ? path : undefined);
}

/** @returns an error if the parent may be missing */
async function makeFolder(path: string, mode: number): Promise<'created' | 'existed' | Error> {
  try {
    await mkdir(path, { mode });
    return 'created';
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT') return error as Error;
    if (code === 'EEXIST' && (await stat(path)).isDirectory()) return 'existed';
    throw error;
  }
}
