import { randomBytes } from 'node:crypto';
import type { BigIntStats } from 'node:fs';
import { link, lstat, mkdir, open, readdir, readFile, rename, rm, stat, unlink, writeFile } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { hasErrno } from '../../dataset/errors.js';
import { fixCaption } from '../../dataset/fix/fix-caption.js';
import { byFilename } from '../../dataset/names.js';
import { forEachConcurrent } from '../../for-each-concurrent.js';
import { convertInProcess } from '../../service/inspection/image-conversion.js';
import type { InspectionPool } from '../../service/inspection/inspection-pool.js';
import { sha256Of } from '../../service/mount/bring-files.js';
import { syncFolder } from '../../storage/folders.js';
import { fileVersionOf } from '../folder/read-folder.js';
import { errorMessage } from '../terminal/text.js';
import { type Fix, FileLeftAlone, isOneFile, type NotFixed, notFixedBecause } from './plan-fixes.js';

/** Conversions at a time: each may hold two large pictures. */
const CONCURRENCY = 2;

/** Incomplete files within the folder, where renaming is atomic. Trainers, `push` and `pull` skip hidden files. */
const PARTIAL = /^\.trainyard-fix-[0-9a-f]{16}$/;

export interface AppliedFix {
  readonly fix: Fix;
  /** The path of the original; `undefined` after a rename or with `--in-place`. */
  readonly original: string | undefined;
}

export interface AppliedFixes {
  readonly fixed: readonly AppliedFix[];
  readonly notFixed: readonly NotFixed[];
}

interface ApplyOptions {
  readonly pool: InspectionPool;
  readonly signal: AbortSignal;
  readonly isInPlace: boolean;
  readonly onDone: (files: number) => void;
}

/** Fixes files, each atomically: a crash leaves its old or its new content, and the original is kept before it is replaced. */
export async function applyFixes(fixes: readonly Fix[], options: ApplyOptions): Promise<AppliedFixes> {
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
  return { fixed: fixed.sort((a, b) => byFilename(a.fix.file, b.fix.file)), notFixed: notFixed.sort(byFilename) };
}

/** Removes the incomplete files of a killed command. */
export async function removePartialFiles(folder: string): Promise<void> {
  const names = await readdir(folder).catch(() => []);
  for (const name of names) if (PARTIAL.test(name)) await unlink(join(folder, name)).catch(() => {});
}

/** The content changes before the name: a crash leaves a wrong extension, which `--fix` renames. */
async function applyFix(fix: Fix, options: ApplyOptions): Promise<string | undefined> {
  const { folder, name, to } = fix;
  const [path, target] = [join(folder, name), join(folder, to)];
  const stats = await statsOf(path);
  if (stats === undefined || fileVersionOf(stats) !== fix.file.version) throw changedMeanwhile();
  if (to !== name && fix.kind === 'convert') await requireFree(target);
  const original = fix.kind === 'rename' ? undefined : await replaceContent(fix, stats, options);
  if (to !== name) await moveFile(path, target);
  await syncFolder(folder);
  return original;
}

async function replaceContent(fix: Fix, stats: BigIntStats, options: ApplyOptions): Promise<string | undefined> {
  const { folder, name } = fix;
  const path = join(folder, name);
  const partial = join(folder, `.trainyard-fix-${randomBytes(8).toString('hex')}`);
  try {
    if (fix.kind === 'convert') await writeConverted(fix, partial, options);
    else await writeCaption(path, partial);
    await finishNewFile(partial, stats);
    const original = options.isInPlace ? undefined : await keepOriginal(folder, name);
    const now = await statsOf(path);
    // Not the version, which changes with the link of the original.
    const isSame = now?.ino === stats.ino && now.size === stats.size && now.mtimeNs === stats.mtimeNs;
    if (!isSame) throw changedMeanwhile();
    await rename(partial, path);
    return original;
  } finally {
    await rm(partial, { force: true });
  }
}

async function writeCaption(path: string, partial: string): Promise<void> {
  const caption = fixCaption(await readFile(path));
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

async function finishNewFile(path: string, { uid, gid, mode }: BigIntStats): Promise<void> {
  const handle = await open(path, 'r+');
  try {
    await handle.chown(Number(uid), Number(gid)).catch(() => {});
    await handle.chmod(Number(mode & 0o777n));
    await handle.sync();
  } finally {
    await handle.close();
  }
}

/** Renames a file, never over another one. @throws FileLeftAlone */
async function moveFile(path: string, to: string): Promise<void> {
  const isLinked = await link(path, to).then(
    () => true,
    () => false,
  );
  // An interrupted run may have left the file with both names.
  if (isLinked || (await isOneFile(path, to))) return unlink(path);
  // The file system may have no links.
  await requireFree(to);
  await rename(path, to);
}

async function requireFree(path: string): Promise<void> {
  if ((await statsOf(path)) === undefined) return;
  throw new FileLeftAlone(`is left alone, since a file with the name ${basename(path)} has appeared`);
}

function changedMeanwhile(): FileLeftAlone {
  return new FileLeftAlone('has changed meanwhile, and is left alone. Run the same command again');
}

const statsOf = (path: string) => lstat(path, { bigint: true }).catch(() => undefined);

/** The folder that keeps the originals of a folder: beside it, since trainers read all that is inside. */
export function originalsFolderOf(folder: string): string {
  return `${folder}.orig`;
}

/** Keeps a file as a hard link `NAME.orig`, or `NAME.2.orig` if that is taken. @returns its path. @throws FileLeftAlone */
async function keepOriginal(folder: string, name: string): Promise<string> {
  const originals = originalsFolderOf(folder);
  const path = join(folder, name);
  try {
    await mkdir(originals).catch(unlessExists);
    if (!(await lstat(originals)).isDirectory()) {
      throw new Error(`${originals} is in the way: it is not a folder. Move it away`);
    }
    for (let number = 1; ; number++) {
      const kept = join(originals, `${name}${number === 1 ? '' : `.${number}`}.orig`);
      const isLinked = await link(path, kept).then(() => true, unlessExists);
      // The name may be taken by another original, or by a symbolic link to the file itself.
      if (!isLinked && !((await lstat(kept)).isFile() && (await sha256Of(kept)) === (await sha256Of(path)))) continue;
      await syncFolder(originals);
      await syncFolder(dirname(originals));
      return kept;
    }
  } catch (error) {
    const message = `is left alone, since its original can't be kept in ${originals}: ${errorMessage(error)}. To keep none, add --in-place`;
    throw new FileLeftAlone(message, { cause: error });
  }
}

function unlessExists(error: unknown): void {
  if (!hasErrno(error, 'EEXIST')) throw error;
}
