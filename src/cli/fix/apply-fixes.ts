import { randomBytes } from 'node:crypto';
import { constants, type Stats } from 'node:fs';
import {
  copyFile,
  type FileHandle,
  link,
  lstat,
  mkdir,
  open,
  readdir,
  rename,
  rm,
  stat,
  unlink,
  writeFile,
} from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { hasErrno } from '../../dataset/errors.js';
import { fixCaption } from '../../dataset/fix/fix-caption.js';
import { forEachConcurrent } from '../../for-each-concurrent.js';
import { convertInProcess } from '../../service/inspection/image-conversion.js';
import type { InspectionPool } from '../../service/inspection/inspection-pool.js';
import { sha256Of } from '../../service/mount/bring-files.js';
import { syncFolder } from '../../storage/sync-folder.js';
import { byName, fileVersionOf, type LocalFile } from '../folder/read-folder.js';
import { errorMessage } from '../terminal/text.js';
import { type Fix, FileLeftAlone, isOneFile, type NotFixed, notFixedBecause } from './plan-fixes.js';

/** Conversions at a time: each may hold two large pictures. */
const CONCURRENCY = 2;

/** Incomplete files within the folder, where renaming is atomic. Trainers, `push` and `pull` skip hidden files. */
const PARTIAL = /^\.trainyard-fix-[0-9a-f]{16}$/;

/** A file system without hard links, such as exFAT, or a link to another file system. */
const NO_LINKS = ['EPERM', 'ENOTSUP', 'EOPNOTSUPP', 'EXDEV', 'EMLINK', 'ENOSYS'] as const;

const CHANGED = 'has changed meanwhile, and is left alone. Run the same command again';

/** A file that was fixed. */
export interface AppliedFix {
  readonly fix: Fix;
  /** The path of the original; `undefined` after a rename or with `--in-place`. */
  readonly original: string | undefined;
}

interface ApplyOptions {
  readonly pool: InspectionPool;
  readonly signal: AbortSignal;
  /** Keeps no originals. */
  readonly isInPlace: boolean;
  readonly onDone: (files: number) => void;
}

/**
 * Fixes files, each atomically: whenever the process or the machine stops, each has its old content or its new one, and the
 * original is kept before it is replaced. Stops between two files when the signal is aborted.
 */
export async function applyFixes(
  fixes: readonly Fix[],
  options: ApplyOptions,
): Promise<{ fixed: AppliedFix[]; notFixed: NotFixed[] }> {
  const fixed: AppliedFix[] = [];
  const notFixed: NotFixed[] = [];
  await forEachConcurrent(fixes, CONCURRENCY, async (fix) => {
    if (options.signal.aborted) return;
    try {
      fixed.push({ fix, original: await applyFix(fix, options) });
    } catch (error) {
      if (!options.signal.aborted) notFixed.push(notFixedBecause(fix.file.filename, error));
    }
    options.onDone(fixed.length + notFixed.length);
  });
  return { fixed: fixed.sort((a, b) => byName(a.fix.file, b.fix.file)), notFixed: notFixed.sort(byName) };
}

/** Removes the incomplete files of a killed command. */
export async function removePartialFiles(folder: string): Promise<void> {
  const names = await readdir(folder).catch(() => []);
  for (const name of names) if (PARTIAL.test(name)) await unlink(join(folder, name)).catch(() => {});
}

/** The content changes first and then the name. In between, the file is one under a wrong extension, which `--fix` renames. */
async function applyFix(fix: Fix, options: ApplyOptions): Promise<string | undefined> {
  const { folder, name, to } = fix;
  const [path, target] = [join(folder, name), join(folder, to)];
  const { handle, stats } = await openUnchanged(fix.file);
  try {
    if (fix.kind === 'rename') {
      await moveFile(path, target, stats);
      return undefined;
    }
    if (to !== name && (await statsOf(target)) !== undefined) throw appeared(target);
    const replaced = await replaceContent(fix, { handle, stats, ...options });
    if (to !== name) await moveFile(path, target, replaced.stats);
    return replaced.original;
  } finally {
    await handle.close();
  }
}

/** @returns the original, if it is kept, and the new file */
async function replaceContent(
  fix: Fix,
  options: ApplyOptions & { handle: FileHandle; stats: Stats },
): Promise<{ original: string | undefined; stats: Stats }> {
  const { folder, name } = fix;
  const path = join(folder, name);
  const partial = join(folder, `.trainyard-fix-${randomBytes(8).toString('hex')}`);
  try {
    if (fix.kind === 'convert') await writeConverted(fix, partial, options);
    else await writeCaption(partial, options);
    await finishNewFile(partial, options.stats);
    await requireSame(path, options.stats);
    const original = options.isInPlace ? undefined : await keepOriginal(folder, name);
    await requireSame(path, options.stats);
    const stats = await lstat(partial);
    await rename(partial, path);
    await syncFolder(folder);
    return { original, stats };
  } finally {
    await rm(partial, { force: true });
  }
}

async function writeCaption(partial: string, { handle }: { handle: FileHandle }): Promise<void> {
  const caption = fixCaption(await handle.readFile());
  if (!caption.ok) throw new FileLeftAlone(caption.reason);
  await writeFile(partial, caption.bytes, { flag: 'wx' });
}

async function writeConverted(
  { folder, name, to }: Fix,
  partial: string,
  { pool, signal }: ApplyOptions,
): Promise<void> {
  await convertInProcess(pool, { path: join(folder, name), target: partial }, signal);
  const converted = { filename: to.normalize('NFC'), path: partial, sizeBytes: (await stat(partial)).size };
  const inspection = await pool.inspect(converted, { accountId: '', signal });
  if (!inspection.ok) throw new FileLeftAlone(`can't be converted: ${inspection.problem.message}`);
}

/** Gives a new file the permissions and, as far as the system allows, the owner of the old one, and flushes it to the disk. */
async function finishNewFile(path: string, old: Stats): Promise<void> {
  const handle = await open(path, 'r+');
  try {
    const { uid, gid } = await handle.stat();
    if (uid !== old.uid || gid !== old.gid) await handle.chown(old.uid, old.gid).catch(() => {});
    await handle.chmod(old.mode & 0o777);
    await handle.sync();
  } finally {
    await handle.close();
  }
}

/** Opens the file itself, not the target of a link. @throws FileLeftAlone if it has changed since it was inspected */
async function openUnchanged({ path, version }: LocalFile): Promise<{ handle: FileHandle; stats: Stats }> {
  const { O_RDONLY, O_NOFOLLOW, O_NONBLOCK } = constants;
  const handle = await open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK).catch((error) => {
    throw hasErrno(error, 'ENOENT', 'ELOOP') ? new FileLeftAlone(CHANGED, { cause: error }) : error;
  });
  const stats = await handle.stat();
  if (stats.isFile() && fileVersionOf(await handle.stat({ bigint: true })) === version) return { handle, stats };
  await handle.close();
  throw new FileLeftAlone(CHANGED);
}

/** @throws FileLeftAlone if the path no longer leads to this file, or it was written to */
async function requireSame(path: string, stats: Stats): Promise<void> {
  const now = await statsOf(path);
  const isSame =
    now?.ino === stats.ino && now.dev === stats.dev && now.size === stats.size && now.mtimeMs === stats.mtimeMs;
  if (!isSame) throw new FileLeftAlone(CHANGED);
}

/** Renames a file, never over another one. @throws FileLeftAlone if there is one, or the file is not this one any more */
async function moveFile(path: string, to: string, stats: Stats): Promise<void> {
  await requireSame(path, stats);
  try {
    await link(path, to);
    await rm(path, { force: true });
  } catch (error) {
    if (hasErrno(error, 'EEXIST')) {
      // An interrupted run left the file with both names.
      if (!(await isOneFile(path, to))) throw appeared(to, error);
      await rm(path);
    } else if (!hasErrno(error, ...NO_LINKS)) throw error;
    else if ((await statsOf(to)) !== undefined) throw appeared(to, error);
    else await rename(path, to);
  }
  await syncFolder(dirname(path));
}

function appeared(path: string, cause?: unknown): FileLeftAlone {
  const message = `is left alone, since a file with the name ${basename(path)} has appeared`;
  return new FileLeftAlone(message, { cause });
}

const statsOf = (path: string) => lstat(path).catch(() => undefined);

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
async function keepOriginal(folder: string, name: string): Promise<string> {
  const originals = originalsFolderOf(folder);
  const path = join(folder, name);
  try {
    await mkdir(originals).catch((error) => {
      if (!hasErrno(error, 'EEXIST')) throw error;
    });
    if (!(await lstat(originals)).isDirectory()) {
      throw new Error(`${originals} is in the way: it is not a folder. Move it away`);
    }
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
    await link(path, to).catch(async (error) => {
      if (!hasErrno(error, ...NO_LINKS)) throw error;
      await copyFile(path, to, constants.COPYFILE_EXCL);
      const handle = await open(to, 'r+');
      await handle.sync().finally(() => handle.close());
    });
    return true;
  } catch (error) {
    if (hasErrno(error, 'EEXIST')) return false;
    throw error;
  }
}
