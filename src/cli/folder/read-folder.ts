import type { BigIntStats, Dirent } from 'node:fs';
import { readdir, realpath, stat } from 'node:fs/promises';
import { basename, dirname, join, resolve, sep } from 'node:path';
import { hasErrno, ServiceError } from '../../dataset/errors.js';
import { extensionOf, mediaTypeOf } from '../../dataset/media.js';
import { parseFilename } from '../../dataset/names.js';
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
}

/** Each write to a file changes its `ctime`, also one that keeps its size and sets its modification time back. */
export function fileVersionOf({ dev, ino, size, mtimeNs, ctimeNs }: BigIntStats): string {
  return [dev, ino, size, mtimeNs, ctimeNs].join();
}

/** An entry of a folder that is left out, and why. */
export interface Notice {
  readonly code: 'FOLDER' | 'OTHER_TYPE' | 'LINK_OUTSIDE' | 'NOT_A_FILE' | 'INVALID_NAME' | 'SAME_NAME' | 'UNREADABLE';
  readonly filename: string;
  readonly message: string;
}

export interface FolderContents {
  /** Sorted by name. */
  readonly files: readonly LocalFile[];
  /** Left out without an error: folders, other types, links out of the folder. */
  readonly skipped: readonly Notice[];
  /** Files with a name that no dataset accepts, and files of another type that were named in `paths`. */
  readonly faults: readonly Notice[];
  /** Files that the system can't read. */
  readonly unreadable: readonly Notice[];
}

/** Folders that the trainer keeps beside the files (ai-toolkit; it does not train on `_controls`). */
const TRAINER_FOLDERS = new Set(['_latent_cache', '_t_e_cache', '_clip_vision_cache', '_controls']);

/** `undefined` for entries that are skipped silently. */
type Entry = { file: LocalFile } | { as: 'skipped' | 'faults' | 'unreadable'; notice: Notice } | undefined;

/**
 * Lists single files, and the top level of folders.
 *
 * @param options.follow follows links that lead out of their folder; links named in `paths` are always followed
 * @throws CommandError with 66 if a path does not exist
 */
export async function readPaths(paths: readonly string[], options: { follow: boolean }): Promise<FolderContents> {
  const entries = (await Promise.all(paths.map((path) => entriesOf(path, options)))).flat();
  const files = entries.flatMap((entry) => (entry !== undefined && 'file' in entry ? [entry.file] : []));
  const noticesAs = (as: 'skipped' | 'faults' | 'unreadable') =>
    entries.flatMap((entry) => (entry !== undefined && 'as' in entry && entry.as === as ? [entry.notice] : []));
  const { unique, faults } = withoutDuplicates(files);
  return {
    files: unique.toSorted(byName),
    skipped: noticesAs('skipped').toSorted(byName),
    faults: [...noticesAs('faults'), ...faults].toSorted(byName),
    unreadable: noticesAs('unreadable').toSorted(byName),
  };
}

/** Whether a path is a folder. @throws CommandError with 66 if it does not exist */
export async function isFolder(path: string): Promise<boolean> {
  const found = await stat(path).catch((error) => {
    const reason = hasErrno(error, 'ENOENT', 'ENOTDIR') ? 'there is no such file or folder' : errorMessage(error);
    throw new CommandError(EXIT.noInput, `${printable(path)}: ${reason}.`, { cause: error });
  });
  return found.isDirectory();
}

/** @throws CommandError with 66 if one of these paths has gone since it was read */
export async function requireStillThere(paths: readonly string[]): Promise<void> {
  for (const path of paths) {
    await stat(path).catch((error) => {
      if (!hasErrno(error, 'ENOENT', 'ENOTDIR')) return;
      const message = `${printable(path)} was removed or renamed meanwhile. Run the command again once it is there.`;
      throw new CommandError(EXIT.noInput, message, { cause: error });
    });
  }
}

/** The folder that is the only path, or that contains all files; `undefined` if there are several folders. */
export async function folderOf(paths: readonly string[]): Promise<string | undefined> {
  const folders = await Promise.all(
    paths.map(async (path) => ((await isFolder(path)) ? resolve(path) : dirname(resolve(path)))),
  );
  return new Set(folders).size === 1 ? folders[0] : undefined;
}

async function entriesOf(path: string, { follow }: { follow: boolean }): Promise<Entry[]> {
  if (!(await isFolder(path))) return [await fileEntry({ name: basename(path), path, isNamed: true })];
  const root = await realpath(path);
  const names = await readdir(path, { withFileTypes: true, encoding: 'buffer' }).catch((error) => {
    throw new CommandError(EXIT.noInput, `${printable(path)} can't be read: ${errorMessage(error)}.`, { cause: error });
  });
  return Promise.all(names.map((entry) => entryOf(entry, { folder: path, root, follow })));
}

async function entryOf(
  entry: Dirent<Buffer>,
  { folder, root, follow }: { folder: string; root: string; follow: boolean },
): Promise<Entry> {
  // Linux stores names as bytes, which need not be UTF-8.
  const name = entry.name.toString();
  if (!Buffer.from(name).equals(entry.name)) {
    return { as: 'faults', notice: notice('INVALID_NAME', name, 'has a name that is not UTF-8. Rename it.') };
  }
  if (name.startsWith('.') || TRAINER_FOLDERS.has(name)) return undefined;
  const path = join(folder, name);
  if (entry.isDirectory()) return { as: 'skipped', notice: folderNotice(name) };
  if (entry.isSymbolicLink()) {
    try {
      const target = await realpath(path);
      if (!follow && !target.startsWith(root + sep)) {
        const message = 'is a link that leads out of the folder. To follow such links, add --follow.';
        return { as: 'skipped', notice: notice('LINK_OUTSIDE', name, message) };
      }
    } catch (error) {
      const reason = hasErrno(error, 'ENOENT') ? 'is a broken link.' : `can't be followed: ${errorMessage(error)}.`;
      return { as: 'unreadable', notice: notice('UNREADABLE', name, reason) };
    }
  }
  return fileEntry({ name, path, isNamed: false });
}

async function fileEntry({ name, path, isNamed }: { name: string; path: string; isNamed: boolean }): Promise<Entry> {
  try {
    const found = await stat(path, { bigint: true });
    if (found.isDirectory()) return { as: 'skipped', notice: folderNotice(name) };
    if (!found.isFile()) {
      return { as: 'skipped', notice: notice('NOT_A_FILE', name, 'is not a file but a device, a pipe or a socket.') };
    }
    if (mediaTypeOf(name) === undefined) {
      const message = `is not an image, video or .txt caption${extensionOf(name) && ` (${extensionOf(name)})`}.`;
      return { as: isNamed ? 'faults' : 'skipped', notice: notice('OTHER_TYPE', name, message) };
    }
    const filename = parseFilename(name);
    return { file: { filename, path, sizeBytes: Number(found.size), version: fileVersionOf(found) } };
  } catch (error) {
    if (error instanceof ServiceError) {
      return { as: 'faults', notice: { code: 'INVALID_NAME', filename: name, message: error.message } };
    }
    return { as: 'unreadable', notice: notice('UNREADABLE', name, `can't be read: ${errorMessage(error)}.`) };
  }
}

/** Keeps the first of several files with the same name in a dataset: in two Unicode forms, or in two folders. */
function withoutDuplicates(files: readonly LocalFile[]): { unique: LocalFile[]; faults: Notice[] } {
  const owners = new Map<string, LocalFile>();
  const faults: Notice[] = [];
  for (const file of files) {
    const owner = owners.get(file.filename);
    if (owner === undefined || resolve(owner.path) === resolve(file.path)) owners.set(file.filename, owner ?? file);
    else {
      const [one, other] = [owner, file].map(({ path }) => `"${spelled(path)}"`);
      const message = `would be the name of two files in the dataset: ${one} and ${other}. Rename or delete one.`;
      faults.push(notice('SAME_NAME', file.filename, message));
    }
  }
  return { unique: [...owners.values()], faults };
}

/** Escapes characters beyond ASCII, since two Unicode forms of a name look the same. */
function spelled(path: string): string {
  return printable(path).replace(/[^ -~]/gu, escapeOf);
}

function folderNotice(name: string): Notice {
  const message = 'is a folder, and datasets have no folders. Push it by itself if it is a dataset.';
  return notice('FOLDER', `${name}/`, message);
}

function notice(code: Notice['code'], filename: string, message: string): Notice {
  return { code, filename, message: `${printable(filename)} ${message}` };
}

export function byName(a: { readonly filename: string }, b: { readonly filename: string }): number {
  return a.filename < b.filename ? -1 : 1;
}
