import { rename } from 'node:fs/promises';
import { type MountPaths, markForRemoval, mountPathsOf, removeLeftovers } from '../mount-paths.js';
import { folderStateOf, foreignChangesIn, readRecord, writeRecord } from '../mounted-folder.js';
import { discardStaging } from '../staging/staging-folder.js';
import type { RecordedFolder } from './root-records.js';

/** The folders in which a dataset was mounted before it was renamed. */
export interface EarlierFolders {
  /** Unchanged ones. */
  readonly folders: readonly MountPaths[];
  /** For a person: folders that were changed, and stay as they are. */
  readonly warnings: readonly string[];
}

/** Finds the folders of a dataset that have other names than the dataset has now. */
export async function earlierFoldersOf(
  { datasetId, name, source }: { readonly datasetId: string; readonly name: string; readonly source: string },
  { root, recorded }: { readonly root: string; readonly recorded: readonly RecordedFolder[] },
): Promise<EarlierFolders> {
  const folders: MountPaths[] = [];
  const warnings: string[] = [];
  for (const { name: folderName, record } of recorded) {
    // Another service could give its datasets the same ids.
    if (folderName === name || record.dataset_id !== datasetId || record.source !== source) continue;
    const earlier = mountPathsOf(root, folderName);
    warnings.push(...(await removeLeftovers(earlier)), ...(await discardStaging(earlier)));
    const existing = await folderStateOf(earlier.folder);
    if (existing.state !== 'mounted') continue;
    const changes = foreignChangesIn(existing);
    if (changes.length === 0) folders.push(earlier);
    else {
      const what = `${earlier.folder} has ${JSON.stringify(name)} under its earlier name, and was changed after it was mounted`;
      warnings.push(`${what} (${changes.join('; ')}). It is left as it is.`);
    }
  }
  return { folders, warnings };
}

/** Renames a folder with its trainer's caches to the name that its dataset has now, which no folder has. */
export async function followRename(earlier: MountPaths, { folder, name }: MountPaths): Promise<void> {
  await rename(earlier.folder, folder);
  const record = await readRecord(folder);
  if (record !== undefined) await writeRecord(folder, { ...record, name });
}

/** Removes folders of earlier names. @returns warnings for a person */
export async function removeEarlier(folders: readonly MountPaths[]): Promise<string[]> {
  const warnings: string[] = [];
  for (const earlier of folders) {
    await markForRemoval(earlier, earlier.folder);
    warnings.push(...(await removeLeftovers(earlier)));
  }
  return warnings;
}
