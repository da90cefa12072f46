import type { BigIntStats } from 'node:fs';
import { readdir, realpath, rm, stat } from 'node:fs/promises';
import { basename, dirname, join, resolve, sep } from 'node:path';
import { hasErrno, ServiceError } from '../../dataset/errors.js';
import { shellWord } from '../../command-line.js';
import { isHiddenPath } from '../../dataset/import/entry-paths.js';
import type { SkipCode } from '../../dataset/import/survey.js';
import { extensionOf, isDatasetFile, mediaTypeOf } from '../../dataset/media.js';
import { byFilename, parseFilename } from '../../dataset/names.js';
import { forEachConcurrent } from '../../for-each-concurrent.js';
import { escapeOf } from '../../json-text.js';
import { CommandError, EXIT } from '../terminal/exit-codes.js';
import { errorMessage, printable } from '../terminal/text.js';

/** A local file that a dataset could take. */
export interface LocalFile {
  /** The name in the dataset, in Unicode form NFC. */
  readonly filename: string;
  readonly path: string;
  readonly sizeBytes: number;
  /** Changes with each write to the file. */
  readonly version: string;
  /** Writes an entry of an archive to `path`, where it is while it is used. */
  readonly unpack?: () => Promise<void>;
}

/** Runs `use` while the file is at its path. */
export async function withContent<T>(
  { path, unpack }: Pick<LocalFile, 'path' | 'unpack'>,
  use: () => Promise<T>,
): Promise<T> {
  if (unpack === undefined) return use();
  try {
    await unpack();
    return await use();
  } finally {
    await rm(path, { force: true });
  }
}

/** Contains `ctime`, which also changes with a write that keeps the size and sets the modification time back. */
export function fileVersionOf({ dev, ino, size, mtimeNs, ctimeNs }: BigIntStats): string {
  return [dev, ino, size, mtimeNs, ctimeNs].join();
}

/** An entry that is left out, and why. */
export interface Notice {
  readonly code: SkipCode | 'FOLDER' | 'LINK_OUTSIDE' | 'NOT_A_FILE' | 'SAME_NAME';
  readonly filename: string;
  readonly message: string;
}

export interface FolderContents {
  readonly files: readonly LocalFile[];
  readonly skipped: readonly Notice[];
  /** Names that no dataset accepts, and files of another type that were named in `paths`. */
  readonly faults: readonly Notice[];
  readonly unreadable: readonly Notice[];
}

const READS_AT_ONCE = 64;

/** Lists single files, and the top level of folders; links in `paths` are always followed. @throws CommandError with 66 */
export async function readPaths(paths: readonly string[], options: { follow: boolean }): Promise<FolderContents> {
  const found: Found = { files: [], skipped: [], faults: [], unreadable: [] };
  for (const path of paths) {
    if (await isFolder(path)) await readFolder(path, options, found);
    else await addFile({ name: basename(path), path, isNamed: true }, found);
  }
  const files = withoutDuplicates(found);
  for (const list of [found.skipped, found.faults, found.unreadable]) list.sort(byFilename);
  return { ...found, files: files.sort(byFilename) };
}

type Found = { -readonly [list in keyof FolderContents]: FolderContents[list][number][] };

/** @throws CommandError with 66 if the path does not exist */
export async function isFolder(path: string): Promise<boolean> {
  const found = await stat(path).catch((error) => {
    const reason = hasErrno(error, 'ENOENT', 'ENOTDIR') ? 'there is no such file or folder' : errorMessage(error);
    throw new CommandError(EXIT.noInput, `${printable(path)}: ${reason}.`, { cause: error });
  });
  return found.isDirectory();
}

/** The folders, and those of files, each once. @throws CommandError with 66 */
export async function foldersOfPaths(paths: readonly string[]): Promise<string[]> {
  const folders = paths.map(async (path) => ((await isFolder(path)) ? path : dirname(path)));
  return [...new Set(await Promise.all(folders))];
}

/** The folder of all files, or `undefined` if they are in several. */
export async function folderOf(paths: readonly string[]): Promise<string | undefined> {
  const folders = new Set((await foldersOfPaths(paths)).map((folder) => resolve(folder)));
  return folders.size === 1 ? [...folders][0] : undefined;
}

/** @returns a function that throws a CommandError with 66 */
export function unreadable(path: string): (error: unknown) => never {
  return (error) => {
    throw new CommandError(EXIT.noInput, `${printable(path)} can't be read: ${errorMessage(error)}.`, { cause: error });
  };
}

async function readFolder(path: string, { follow }: { follow: boolean }, found: Found): Promise<void> {
  const root = await realpath(path);
  const entries = await readdir(path, { withFileTypes: true, encoding: 'buffer' }).catch(unreadable(path));
  await forEachConcurrent(entries, READS_AT_ONCE, async (entry) => {
    // Linux stores names as bytes, which need not be UTF-8.
    const name = entry.name.toString();
    if (!Buffer.from(name).equals(entry.name)) {
      found.faults.push(notice('INVALID_NAME', name, 'has a name that is not UTF-8. Rename it.'));
    } else if (!isHiddenPath(name)) {
      const link = entry.isSymbolicLink() ? { root: follow ? '/' : root } : undefined;
      await addFile({ name, path: join(path, name), link }, found);
    }
  });
}

/** @param file.link for a link, the folder that it may not lead out of */
async function addFile(
  { name, path, link, isNamed }: { name: string; path: string; link?: { root: string } | undefined; isNamed?: true },
  { files, skipped, faults, unreadable }: Found,
): Promise<void> {
  try {
    const stats = await stat(path, { bigint: true });
    if (link !== undefined && !(await realpath(path)).startsWith(join(link.root, sep))) {
      const message = 'is a link that leads out of the folder. To follow such links, add --follow.';
      skipped.push(notice('LINK_OUTSIDE', name, message));
    } else if (stats.isDirectory()) {
      const message = 'is a folder, and datasets have no folders. Push it by itself if it is a dataset.';
      skipped.push(notice('FOLDER', `${name}/`, message));
    } else if (!stats.isFile()) {
      skipped.push(notice('NOT_A_FILE', name, 'is not a file but a device, a pipe or a socket.'));
    } else if (mediaTypeOf(name) === undefined) {
      const extension = extensionOf(name);
      const advice = extension === '.zip' ? ` To bring its files, run: trainyard import ${shellWord(path)}` : '';
      const message = isDatasetFile(name)
        ? 'describes a whole dataset, and is the caption of no single file.'
        : `is not an image, video or caption${extension && ` (${extension})`}.${advice}`;
      (isNamed ? faults : skipped).push(notice('OTHER_TYPE', name, message));
    } else {
      const filename = parseFilename(name);
      files.push({ filename, path, sizeBytes: Number(stats.size), version: fileVersionOf(stats) });
    }
  } catch (error) {
    if (error instanceof ServiceError) faults.push({ code: 'INVALID_NAME', filename: name, message: error.message });
    else {
      const reason = link && hasErrno(error, 'ENOENT') ? 'is a broken link.' : `can't be read: ${errorMessage(error)}.`;
      unreadable.push(notice('UNREADABLE', name, reason));
    }
  }
}

/** A name can stand twice in two Unicode forms or in two folders; the first file keeps it. */
function withoutDuplicates({ files, faults }: Found): LocalFile[] {
  const owners = new Map<string, LocalFile>();
  for (const file of files) {
    const owner = owners.get(file.filename);
    if (owner === undefined) owners.set(file.filename, file);
    else if (resolve(owner.path) !== resolve(file.path)) {
      // Escapes characters beyond ASCII, since two Unicode forms of a name look the same.
      const [one, other] = [owner, file].map(({ path }) => `"${printable(path).replace(/[^ -~]/gu, escapeOf)}"`);
      const message = `would be the name of two files in the dataset: ${one} and ${other}. Rename or delete one.`;
      faults.push(notice('SAME_NAME', file.filename, message));
    }
  }
  return [...owners.values()];
}

export function notice(code: Notice['code'], filename: string, message: string): Notice {
  return { code, filename, message: `${printable(filename)} ${message}` };
}
