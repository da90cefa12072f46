import { randomBytes } from 'node:crypto';
import { constants, type Stats } from 'node:fs';
import { copyFile, type FileHandle, link, lstat, mkdir, open, rename, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { hasErrno } from '../../dataset/errors.js';
import { sha256Of } from '../../service/mount/mounted-folder.js';
import { syncFolder } from '../../storage/sync-folder.js';
import { type LocalFile, fileVersionOf } from '../folder/read-folder.js';
import { CommandError, EXIT } from '../terminal/exit-codes.js';
import { errorMessage, printable } from '../terminal/text.js';

/** Why a file is left as it is, as the rest of a sentence that begins with its name. */
export class FileLeftAlone extends Error {
  override readonly name = 'FileLeftAlone';
}

/** A file system without hard links, such as exFAT, or a link to another file system. */
const NO_LINKS = ['EPERM', 'ENOTSUP', 'EOPNOTSUPP', 'EXDEV', 'EMLINK', 'ENOSYS'] as const;

const CHANGED = 'has changed meanwhile, and is left alone. Run the same command again';

/** A file that is open, and has not changed since it was inspected. */
export interface OpenedFile {
  readonly handle: FileHandle;
  readonly stats: Stats;
}

/** Opens the file itself, not the target of a link. @throws FileLeftAlone if it has changed since it was inspected */
export async function openUnchanged({ path, version }: LocalFile): Promise<OpenedFile> {
  const { O_RDONLY, O_NOFOLLOW, O_NONBLOCK } = constants;
  const handle = await open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK).catch((error) => {
    throw hasErrno(error, 'ENOENT', 'ELOOP') ? new FileLeftAlone(CHANGED, { cause: error }) : error;
  });
  const stats = await handle.stat();
  if (stats.isFile() && fileVersionOf(await handle.stat({ bigint: true })) === version) return { handle, stats };
  await handle.close();
  throw new FileLeftAlone(CHANGED);
}

/** The bytes of a file that has not changed since it was inspected. @throws FileLeftAlone */
export async function readUnchanged(file: LocalFile): Promise<Buffer> {
  const { handle } = await openUnchanged(file);
  try {
    return await handle.readFile();
  } finally {
    await handle.close();
  }
}

/** @throws FileLeftAlone if the path no longer leads to the opened file, or the file was written to */
export async function requireUnchanged(path: string, { stats }: OpenedFile): Promise<void> {
  const now = await lstat(path).catch(() => undefined);
  const isSame =
    now !== undefined && isSameFile(now, stats) && now.size === stats.size && now.mtimeMs === stats.mtimeMs;
  if (!isSame) throw new FileLeftAlone(CHANGED);
}

export function isSameFile(one: Stats, other: Stats): boolean {
  return one.ino === other.ino && one.dev === other.dev;
}

/** Gives a new file the permissions and, as far as the system allows, the owner of the old one, and flushes it to the disk. */
export async function finishNewFile(path: string, { stats }: OpenedFile): Promise<void> {
  const handle = await open(path, 'r+');
  try {
    const { uid, gid } = await handle.stat();
    if (uid !== stats.uid || gid !== stats.gid) await handle.chown(stats.uid, stats.gid).catch(() => {});
    await handle.chmod(stats.mode & 0o777);
    await handle.sync();
  } finally {
    await handle.close();
  }
}

/**
 * Gives a file a second name, never over an existing file. On a file system without hard links, the file loses its first name.
 *
 * @throws FileLeftAlone if another file has that name
 */
export async function addName(from: string, to: string): Promise<void> {
  try {
    await link(from, to);
  } catch (error) {
    if (hasErrno(error, 'EEXIST')) {
      // An interrupted run left the file with both names.
      if (!isSameFile(await lstat(from), await lstat(to))) throw new FileLeftAlone(taken(to), { cause: error });
    } else if (hasErrno(error, ...NO_LINKS)) {
      if ((await lstat(to).catch(() => undefined)) !== undefined) throw new FileLeftAlone(taken(to), { cause: error });
      await rename(from, to);
    } else throw error;
  }
}

const taken = (path: string) =>
  `is left alone, since a file with the name ${path.slice(dirname(path).length + 1)} has appeared`;

/** Makes a folder, unless it exists. @throws CommandError with 73 if a file or a link is in the way; the system's errors */
export async function makeRealFolder(path: string, mode: number): Promise<void> {
  await mkdir(path, { mode }).catch((error) => {
    if (!hasErrno(error, 'EEXIST')) throw error;
  });
  await requireRealFolder(path);
}

/** @throws CommandError with 73 if the path is not a folder itself, as a link to one; the system's errors */
export async function requireRealFolder(path: string): Promise<void> {
  if ((await lstat(path)).isDirectory()) return;
  throw new CommandError(EXIT.cannotCreate, `${printable(path)} is in the way: it is not a folder. Move it away.`);
}

/** The folder that keeps the originals of a folder: beside it, since trainers read all that is inside. */
export function originalsFolderOf(folder: string): string {
  return `${folder}.orig`;
}

/**
 * Keeps a file as `NAME.orig` in the folder of originals, or as `NAME.2.orig` if that is something else. A hard link where the file
 * system has them, else a copy.
 *
 * @returns its path. @throws FileLeftAlone if it can't be kept
 */
export async function keepOriginal(folder: string, name: string): Promise<string> {
  const originals = originalsFolderOf(folder);
  const path = join(folder, name);
  try {
    await makeRealFolder(originals, 0o777);
    for (let number = 1; ; number++) {
      const kept = join(originals, `${name}${number === 1 ? '' : `.${number}`}.orig`);
      if (await linkOrCopy(path, kept)) {
        await syncFolder(originals);
        await syncFolder(dirname(originals));
        return kept;
      }
      // A link may lead to the file itself.
      if ((await lstat(kept)).isFile() && (await sha256Of(kept)) === (await sha256Of(path))) return kept;
    }
  } catch (error) {
    const message = `is left alone, since its original can't be kept in ${originals}: ${errorMessage(error)}. To keep none, add --in-place`;
    throw new FileLeftAlone(message, { cause: error });
  }
}

/** @returns false if a file with that name exists */
async function linkOrCopy(path: string, to: string): Promise<boolean> {
  try {
    await link(path, to);
    return true;
  } catch (error) {
    if (hasErrno(error, 'EEXIST')) return false;
    if (!hasErrno(error, ...NO_LINKS)) throw error;
  }
  if ((await lstat(to).catch(() => undefined)) !== undefined) return false;
  const partial = `${to}.${randomBytes(4).toString('hex')}.partial`;
  try {
    await copyFile(path, partial, constants.COPYFILE_EXCL);
    const handle = await open(partial, 'r+');
    await handle.sync().finally(() => handle.close());
    await rename(partial, to);
    return true;
  } finally {
    await rm(partial, { force: true });
  }
}
