import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';

/** The names in a data folder, with the defaults of settings. They never change. */
export const DATA_FOLDER_NAMES = {
  /** The SQLite database. */
  catalog: 'catalog.sqlite',
  blobs: 'blobs',
  /** Files in flight between a client and a bucket. */
  spool: 'tmp',
  /** Locked by the one process that serves the folder, see `lockFolder`. */
  lock: 'serving.lock',
} as const;

/** The paths in a data folder. */
export function dataFolderPaths(folder: string): Record<keyof typeof DATA_FOLDER_NAMES, string> {
  const { catalog, blobs, spool, lock } = DATA_FOLDER_NAMES;
  return {
    catalog: join(folder, catalog),
    blobs: join(folder, blobs),
    spool: join(folder, spool),
    lock: join(folder, lock),
  };
}

/** Makes a folder and its parents, unless they exist. Only the owner may read them. */
export async function makePrivateFolder(path: string): Promise<void> {
  await mkdir(path, { recursive: true, mode: 0o700 });
}
