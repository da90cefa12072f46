import { DatabaseSync } from '@photostructure/sqlite';
import { isBusy } from './backend-unusable.js';

/** Another process holds the lock of the folder. */
export class FolderInUse extends Error {}

/**
 * Locks a folder for one process, until `release` or the end of the process. The lock is an open exclusive transaction on a
 * SQLite database at `path`, which the kernel releases even if the process crashes.
 *
 * @throws FolderInUse
 */
export function lockFolder(path: string): { release: () => void } {
  const db = new DatabaseSync(path);
  try {
    db.exec('begin exclusive');
  } catch (error) {
    db.close();
    if (!isBusy(error)) throw error;
    throw new FolderInUse(`Another process is serving the same data (${path} is locked). Stop it first.`, {
      cause: error,
    });
  }
  return { release: () => db.close() };
}
