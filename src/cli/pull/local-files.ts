import { existsSync, linkSync, lstatSync, renameSync, unlinkSync } from 'node:fs';
import { lstat, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { hasErrno } from '../../dataset/errors.js';
import { mediaTypeOf } from '../../dataset/media.js';
import { forEachConcurrent } from '../../for-each-concurrent.js';
import type { FileInspector } from '../folder/inspect-files.js';
import { fileVersionOf } from '../folder/read-folder.js';
import { CommandError, EXIT } from '../terminal/exit-codes.js';
import { errorMessage, printable } from '../terminal/text.js';

const CONCURRENT_HASHES = 4;

/** An image, video or caption in the folder of a pull. */
export interface PulledFile {
  readonly path: string;
  readonly sizeBytes: number;
  /** Empty for a file that is not compared. */
  readonly sha256: string;
  /** Changes with each write to the file. */
  readonly version: string;
}

/**
 * Reads the top level of a folder; one that is missing is empty.
 *
 * @param options.isCompared whether the SHA-256 of a file is needed
 * @returns the files by their names in a dataset, which are in Unicode form NFC, and the names of folders, links and others
 * @throws CommandError with 73 if it is not a folder, or can't be read
 */
export async function readLocalFiles(
  folder: string,
  {
    isCompared,
    inspector,
    signal,
  }: { isCompared: (name: string) => boolean; inspector: FileInspector; signal: AbortSignal },
): Promise<{ files: Map<string, PulledFile>; others: Set<string> }> {
  const names = await readdir(folder).catch((error) => {
    if (hasErrno(error, 'ENOENT')) return [];
    throw unusableFolder(folder, error);
  });
  const files = new Map<string, PulledFile>();
  const others = new Set<string>();
  const media = names.filter((name) => !name.startsWith('.') && mediaTypeOf(name) !== undefined);
  await forEachConcurrent(media, CONCURRENT_HASHES, async (name) => {
    signal.throwIfAborted();
    const filename = name.normalize('NFC');
    const path = join(folder, name);
    const stats = await lstat(path, { bigint: true });
    if (!stats.isFile()) others.add(filename);
    else {
      const version = fileVersionOf(stats);
      const sha256 = isCompared(filename) ? await inspector.sha256({ path, version }) : '';
      files.set(filename, { path, sizeBytes: Number(stats.size), sha256, version });
    }
  }).catch((error) => {
    signal.throwIfAborted();
    throw new CommandError(EXIT.ioError, `${printable(folder)} can't be compared: ${errorMessage(error)}.`, {
      cause: error,
    });
  });
  return { files, others };
}

/** The error for a path that can't be the folder of a pull. */
export function unusableFolder(folder: string, cause: unknown): CommandError {
  if (hasErrno(cause, 'ENOSPC', 'EDQUOT')) return fullDisk(folder, cause);
  const message = `${printable(folder)} can't be used as a folder: ${errorMessage(cause)}.`;
  return new CommandError(EXIT.cannotCreate, message, { cause });
}

function fullDisk(folder: string, cause: unknown): CommandError {
  const message = `the dataset does not fit on the disk of ${printable(folder)}. Free some space, and run the same command again to fetch the rest.`;
  return new CommandError(EXIT.ioError, message, { cause });
}

/** The error in words, if it is one of the system's about a folder that a pull writes; otherwise the same error. */
export function unwritableFolder(folder: string, error: unknown): unknown {
  const shown = printable(folder);
  if (hasErrno(error, 'ENOSPC', 'EDQUOT')) return fullDisk(folder, error);
  if (hasErrno(error, 'ENOENT', 'ENOTDIR') && !existsSync(folder)) {
    const message = `${shown} was removed or renamed during the pull. Run the same command again to fetch all files.`;
    return new CommandError(EXIT.cannotCreate, message, { cause: error });
  }
  if (!hasErrno(error, 'EACCES', 'EPERM', 'EROFS')) return error;
  return new CommandError(EXIT.cannotCreate, `${shown} can't be written: ${errorMessage(error)}.`, { cause: error });
}

/**
 * Moves a received file to `path`, unless a person has changed that file since `version` was read.
 *
 * @param version `undefined`: there was no file
 * @returns whether it was moved
 */
export function installFile(temporary: string, path: string, version: string | undefined): boolean {
  if (versionAt(path) !== version) return false;
  if (version !== undefined) {
    renameSync(temporary, path);
    return true;
  }
  try {
    // Unlike `rename`, this never replaces a file that was created in this moment.
    linkSync(temporary, path);
  } catch (error) {
    if (hasErrno(error, 'EEXIST')) return false;
    // The file system has no hard links.
    renameSync(temporary, path);
    return true;
  }
  unlinkSync(temporary);
  return true;
}

/** Removes a file, unless a person has changed it since `version` was read. @returns whether it was removed */
export function removeUnchanged(path: string, version: string): boolean {
  if (versionAt(path) !== version) return false;
  unlinkSync(path);
  return true;
}

function versionAt(path: string): string | undefined {
  const stats = lstatSync(path, { bigint: true, throwIfNoEntry: false });
  return stats && fileVersionOf(stats);
}
