import { BackendUnusable } from '../../storage/backend-unusable.js';
import type { BlobReader } from '../../storage/blobs/blobs.js';
import { linkKeyOf } from '../../storage/catalog/copy-catalog.js';
import { type Database, query } from '../../storage/database/database.js';

/**
 * A new catalog must have an empty store. Otherwise the earlier one was lost or is elsewhere, and this one knows nothing of the files.
 *
 * @throws BackendUnusable
 */
export async function requireOwnCatalog(isNew: () => boolean | Promise<boolean>, blobs: BlobReader): Promise<void> {
  if (!(await isNew())) return;
  const name = await firstBlobOf(blobs);
  // Another instance may have been first.
  if (name === undefined || !(await isNew())) return;
  throw new BackendUnusable(
    `The catalog is new, but the store has files of datasets, such as ${name}. If the earlier catalog is missing or empty, put it back, or restore a backup into an empty store (trainyard restore). Otherwise set --data, DATABASE_URL and BLOBS_URL to the catalog and the store that belong together, or run an interrupted restore or migrate-data again. To start from scratch, move the files away, or use another prefix.`,
    { isTemporary: false },
  );
}

export async function isNewCatalog(database: Database): Promise<boolean> {
  if ((await linkKeyOf(database)) !== undefined) return false;
  return (await database.run(query.selectFrom('dataset').select('id').limit(1))).length === 0;
}

async function firstBlobOf(blobs: BlobReader): Promise<string | undefined> {
  for await (const objects of blobs.objects()) {
    const blob = objects.find(({ kind }) => kind === 'blob');
    if (blob !== undefined) return blob.name;
  }
  return undefined;
}
