import { existsSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { makeFolders } from './folders.js';

/** The names in a data folder, which never change. */
export const DATA_FOLDER_NAMES = {
  catalog: 'catalog.sqlite',
  blobs: 'blobs',
  /** Files in flight between a client and a bucket. */
  spool: 'tmp',
  /** Locked by the one process that serves the folder. */
  lock: 'serving.lock',
} as const;

export function dataFolderPaths(folder: string): Record<keyof typeof DATA_FOLDER_NAMES, string> {
  const { catalog, blobs, spool, lock } = DATA_FOLDER_NAMES;
  return {
    catalog: join(folder, catalog),
    blobs: join(folder, blobs),
    spool: join(folder, spool),
    lock: join(folder, lock),
  };
}

/** The message for a folder that lacks one of these files and folders; `undefined` if it has all. */
export function missingData(
  folder: string,
  names: readonly (keyof typeof DATA_FOLDER_NAMES)[] = ['catalog'],
): string | undefined {
  const missing = names.map((name) => DATA_FOLDER_NAMES[name]).find((name) => !existsSync(join(folder, name)));
  if (missing === undefined) return undefined;
  return `No trainyard data in ${folder}: it has no ${missing}. Name the data folder with --data.`;
}

/** False also for an empty file, which SQLite takes for a new catalog. */
export function hasCatalog(folder: string): boolean {
  return (statSync(dataFolderPaths(folder).catalog, { throwIfNoEntry: false })?.size ?? 0) > 0;
}

/** Makes a folder and its parents, which only the owner may read. */
export async function makePrivateFolder(path: string): Promise<void> {
  await makeFolders(path, { mode: 0o700 });
}
