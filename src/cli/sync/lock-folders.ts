import { dirname, join } from 'node:path';
import { hasErrno } from '../../dataset/errors.js';
import { acquireLock, LockObstructed } from '../../storage/lock-file.js';
import { isFolder } from '../folder/read-folder.js';
import { CommandError, EXIT } from '../terminal/exit-codes.js';
import { printMessage } from '../terminal/print.js';
import { errorMessage, printable } from '../terminal/text.js';
import { realFolders } from './common-state.js';

/** The dot keeps it from trainers, `push` and `--watch`. */
const LOCK_NAME = '.trainyard-sync.lock';

/** Runs `work` while no other command on any machine uses these folders. @throws CommandError with 66 or 73 */
export async function withLockedFolders<T>(
  folders: readonly string[],
  { signal }: { signal: AbortSignal },
  work: () => Promise<T>,
): Promise<T> {
  const releases: (() => Promise<void>)[] = [];
  try {
    // Sorted, so that two commands can't wait for each other's locks.
    const real = await realFolders(folders).catch(throwGone);
    // An archive is locked by its folder.
    const locked = await Promise.all(real.map(async (path) => ((await isFolder(path)) ? path : dirname(path))));
    for (const folder of new Set(locked.sort())) releases.push(await lock(folder, signal));
    return await work();
  } finally {
    // The next command removes the lock of an ended process.
    for (const release of releases.reverse()) await release().catch(() => {});
  }
}

async function lock(folder: string, signal: AbortSignal): Promise<() => Promise<void>> {
  const onWaiting = (pid: number | undefined) => {
    const [holder, end] =
      pid === undefined
        ? ['perhaps on another machine', ' If it was killed, the wait ends after a minute.']
        : [`process ${pid}`, ''];
    printMessage(`waiting for another trainyard command (${holder}) that uses ${printable(folder)}.${end}`);
  };
  try {
    return await acquireLock(join(folder, LOCK_NAME), { signal, onWaiting });
  } catch (error) {
    // An unwritable folder can be pushed; a pull into it fails with the reason.
    if (hasErrno(error, 'EACCES', 'EPERM', 'EROFS', 'ENOSPC', 'EDQUOT')) return async () => {};
    if (error instanceof LockObstructed) throw new CommandError(EXIT.cannotCreate, error.message, { cause: error });
    return throwGone(error);
  }
}

function throwGone(error: unknown): never {
  if (!hasErrno(error, 'ENOENT', 'ENOTDIR')) throw error;
  throw new CommandError(EXIT.noInput, `the folder was removed or renamed meanwhile: ${errorMessage(error)}.`, {
    cause: error,
  });
}
