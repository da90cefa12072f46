import type { BlobInventory, BlobStore } from './blobs/blobs.js';
import { DiskBlobs } from './blobs/disk/disk-blobs.js';
import { DiskInventory } from './blobs/disk/disk-inventory.js';
import type { S3Credentials } from './blobs/s3/connection.js';
import type { S3Location } from './blobs/s3/location.js';
import type { Log } from './blobs/s3/s3-blobs.js';
import { dataFolderPaths } from './data-folder.js';

/** Where blobs are stored: in the data folder, or in a bucket. */
export type BlobsLocation = { readonly kind: 'disk' } | S3Location;

/**
 * Opens the blob store of the configuration.
 *
 * @throws BackendUnusable
 */
export async function openBlobs(
  config: {
    dataFolder: string;
    blobs: BlobsLocation;
    linkCredentials?: S3Credentials | undefined;
    spoolFolder: string;
  },
  log: Log,
): Promise<BlobStore> {
  const { blobs, dataFolder, linkCredentials, spoolFolder } = config;
  if (blobs.kind === 'disk') return DiskBlobs.open(dataFolderPaths(dataFolder).blobs);
  // Imported only here, so that a process without S3 does not load the SDK.
  const { S3Blobs } = await import('./blobs/s3/s3-blobs.js');
  return S3Blobs.open(blobs, { linkCredentials, spoolFolder, log });
}

/** Opens the blob store for a check beside running services. @throws BackendUnusable */
export async function openInventory({
  blobs,
  dataFolder,
}: {
  dataFolder: string;
  blobs: BlobsLocation;
}): Promise<BlobInventory> {
  if (blobs.kind === 'disk') return new DiskInventory(dataFolderPaths(dataFolder).blobs);
  const { S3Inventory } = await import('./blobs/s3/s3-blobs.js');
  return S3Inventory.open(blobs);
}
