import { constants } from 'node:fs';
import { mkdir, open, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { hasErrno } from '../dataset/errors.js';
import { forEachConcurrent } from '../for-each-concurrent.js';

/**
 * Creates a folder and its parents. `mkdir` of Node with `recursive` hangs where the system answers ENOENT although the
 * parent exists, as in `/proc`.
 *
 * @returns the topmost folder that was created; `undefined` if all existed
 */
export async function makeFolders(path: string, { mode = 0o777 } = {}): Promise<string | undefined> {
  const make = () =>
    mkdir(path, { mode }).then(
      () => path,
      async (error) => {
        if (hasErrno(error, 'EEXIST') && (await stat(path)).isDirectory()) return undefined;
        throw error;
      },
    );
  try {
    return await make();
  } catch (error) {
    if (!hasErrno(error, 'ENOENT') || dirname(path) === path) throw error;
  }
  const created = await makeFolders(dirname(path), { mode });
  const own = await make();
  return created ?? own;
}

/** Calls fsync on a folder, so that the names in it survive a power cut. */
export async function syncFolder(path: string): Promise<void> {
  const handle = await open(path);
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

/** Makes thousands of files and their names durable. One `syncfs` takes far less time than an fsync of each. */
export async function flushFolder(folder: string, names: readonly string[]): Promise<void> {
  // Imported here, since commands that only make a folder should start fast.
  const { execFile } = await import('node:child_process');
  // coreutils and busybox have it, macOS and old systems do not.
  const isFlushed = await promisify(execFile)('sync', ['-f', folder]).then(
    () => true,
    () => false,
  );
  if (isFlushed) return;
  await forEachConcurrent(names, 8, async (name) => {
    // A person may have removed it, or replaced it by a pipe, at which opening would wait.
    const handle = await open(join(folder, name), constants.O_RDONLY | constants.O_NONBLOCK).catch(() => undefined);
    await handle?.sync().finally(() => handle.close());
  });
  await syncFolder(folder);
}
