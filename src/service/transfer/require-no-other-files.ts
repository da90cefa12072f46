import { existsSync } from 'node:fs';
import type { StoredObject } from '../../storage/blobs/blobs.js';
import { filesById, pastDatasetIds, trashOf } from '../../storage/catalog/store-verification.js';
import { dataFolderPaths } from '../../storage/data-folder.js';
import type { Database } from '../../storage/database/database.js';
import { openInventory } from '../../storage/open-blobs.js';
import { displayNameOf, type Installation, requireFolder, TransferError } from './installation.js';

/**
 * Requires that the store of the target has no files but those of the source. It may be that of another installation:
 * `verify --store --repair` of the target would remove its files, which the catalog does not name. The files of an interrupted
 * migration are named by the source.
 *
 * @throws TransferError `occupied`, ServiceError, BackendUnusable; the signal's reason
 */
export async function requireNoOtherFiles(source: Database, to: Installation, signal: AbortSignal): Promise<void> {
  const { blobs } = to;
  const dataFolder = blobs.kind === 'disk' ? requireFolder(to.dataFolder) : '';
  if (blobs.kind === 'disk' && !existsSync(dataFolderPaths(dataFolder).blobs)) return;
  const inventory = await openInventory({ dataFolder, blobs });
  try {
    for await (const objects of inventory.objects()) {
      signal.throwIfAborted();
      const other = await firstOtherOf(objects, source);
      if (other === undefined) continue;
      const message = `${await displayNameOf(to)} already holds files that the source does not name, such as ${other.name}. They may be those of another installation. Name an empty folder, bucket or prefix. If an interrupted run has left them, and they were deleted in the source since then, remove them first.`;
      throw new TransferError('occupied', message);
    }
  } finally {
    await inventory.close();
  }
}

/** The first blob or thumbnail of a file that the catalog has in no state, neither now, in the history nor in the trash. */
async function firstOtherOf(objects: readonly StoredObject[], source: Database): Promise<StoredObject | undefined> {
  const stored = objects.filter(({ kind }) => kind === 'blob' || kind === 'thumbnail');
  const ids = [...new Set(stored.flatMap(({ fileId }) => fileId ?? []))];
  const [files, past, trash] = [
    await filesById(source, ids),
    await pastDatasetIds(source, ids),
    await trashOf(source, ids),
  ];
  const trashedIds = new Set([...trash].map((key) => key.slice(key.indexOf('/') + 1)));
  return stored.find(({ fileId: id = '' }) => !files.has(id) && !past.has(id) && !trashedIds.has(id));
}
