import { DatabaseSync, type DatabaseSyncInstance } from '@photostructure/sqlite';
import { BackendUnusable, databaseFaultOf, readOnlyFolderIn } from './backend-unusable.js';

/** Another process holds the lock of the folder. */
export class FolderInUse extends BackendUnusable {}

/**
 * Locks a folder for one process with an exclusive transaction on a SQLite database, which the kernel ends if it crashes.
 *
 * @throws FolderInUse, BackendUnusable if the folder can't be written
 */
export function lockFolder(path: string): { release: () => void } {
  let db: DatabaseSyncInstance | undefined;
  try {
    db = new DatabaseSync(path);
    db.exec('begin exclusive');
  } catch (error) {
    db?.close();
    const readOnly = readOnlyFolderIn(error, path);
    if (readOnly !== undefined) throw new BackendUnusable(readOnly, { cause: error, isTemporary: false });
    if (databaseFaultOf(error) !== 'busy') throw error;
    const message = `Another process is serving the same data (${path} is locked). Stop it first.`;
    throw new FolderInUse(message, { cause: error, isTemporary: true });
  }
  return { release: () => db?.close() };
}
