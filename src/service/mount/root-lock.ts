import { access, constants } from 'node:fs/promises';
import { join } from 'node:path';
import { acquireLock, LockObstructed } from '../../storage/lock-file.js';
import { MountError } from './mount-source.js';

const LOCK_NAME = '.trainyard-mount.lock';

/**
 * Runs `work` while no other process mounts into the root.
 *
 * @throws MountError; the signal's reason while it waits
 */
export async function withRootLock<T>(
  root: string,
  options: { signal: AbortSignal; onWaiting?: () => void },
  work: () => Promise<T>,
): Promise<T> {
  await access(root, constants.W_OK);
  const release = await acquireLock(join(root, LOCK_NAME), options).catch((error) => {
    if (!(error instanceof LockObstructed)) throw error;
    throw new MountError('cannot_write', error.message, { cause: error });
  });
  return work().finally(release);
}
