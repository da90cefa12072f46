import { join } from 'node:path';
import { hasErrno } from '../../dataset/errors.js';
import { acquireLock, LockObstructed } from '../../storage/lock-file.js';
import { CommandError, EXIT } from '../terminal/exit-codes.js';
import { printMessage } from '../terminal/print.js';
import { errorMessage, printable } from '../terminal/text.js';
import { realFolders } from './common-state.js';

/** It begins with a dot: trainers and `push` skip it, and `push --watch` does not take it for a change. */
const LOCK_NAME = '.trainyard-sync.lock';

/**
 * Runs `work` while no other command pushes these folders, pulls into them or fixes their files; on any machine that shares
 * them. A command that finds them in use says so, and waits.
 *
 * @throws CommandError with 66 if one of them is removed meanwhile, 73 if something else has the name of the lock; the signal's
 *   reason while it waits
 */
export async function withLockedFolders<T>(
  folders: readonly string[],
  { signal }: { signal: AbortSignal },
  work: () => Promise<T>,
): Promise<T> {
  const releases: (() => Promise<void>)[] = [];
  try {
    // Sorted: of two commands with the same folders, each could have a lock that the other waits for.
    for (const folder of await realFolders(folders).catch(throwGone)) releases.push(await lock(folder, signal));
    return await work();
  } finally {
    // A lock that can't be removed is that of an ended process soon, and the next command removes it.
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
    // A folder that can't be written can be pushed, and pulling into it fails with the reason.
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
