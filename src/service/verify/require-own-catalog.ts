import { BackendUnusable } from '../../storage/backend-unusable.js';
import type { BlobReader } from '../../storage/blobs/blobs.js';
import { linkKeyOf } from '../../storage/catalog/copy-catalog.js';
import { type Database, query } from '../../storage/database/database.js';

/**
 * A new catalog must have an empty store. Otherwise its database was lost or is the wrong one, and knows nothing of the files.
 *
 * @throws BackendUnusable
 */
export async function requireOwnCatalog(database: Database, blobs: BlobReader): Promise<void> {
  if (!(await isNew(database))) return;
  const name = await firstBlobOf(blobs);
  // Another instance may have been first.
  if (name === undefined || !(await isNew(database))) return;
  throw new BackendUnusable(
    `The catalog is new, but the store has files of datasets, such as ${name}. Set DATABASE_URL and BLOBS_URL to the database and the store that belong together, run an interrupted restore or migrate-data again, or restore a backup into an empty store (trainyard restore). To start anew, use another prefix, or move the files away.`,
    { isTemporary: false },
  );
}

async function isNew(database: Database): Promise<boolean> {
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
