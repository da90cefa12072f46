import type { BlobReader, BlobStore } from './blobs/blobs.js';
import { DiskBlobs } from './blobs/disk/disk-blobs.js';
import type { S3Credentials } from './blobs/s3/connection.js';
import type { S3Location } from './blobs/s3/location.js';
import type { Log } from './blobs/s3/s3-blobs.js';
import { dataFolderPaths } from './data-folder.js';

export type BlobsLocation = { readonly kind: 'disk' } | S3Location;

/** Opens the blob store of the configuration. @throws BackendUnusable */
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
  // Imported here, so that a process without S3 does not load the SDK.
  const { S3Blobs } = await import('./blobs/s3/s3-blobs.js');
  return S3Blobs.open(blobs, { linkCredentials, spoolFolder, log });
}

/** Opens the blob store beside running services. @throws BackendUnusable */
export async function openBlobReader(config: { dataFolder: string; blobs: BlobsLocation }): Promise<BlobReader> {
  const { blobs, dataFolder } = config;
  if (blobs.kind === 'disk') return DiskBlobs.openBeside(dataFolderPaths(dataFolder).blobs);
  const { S3Bucket } = await import('./blobs/s3/bucket.js');
  return S3Bucket.openBeside(blobs);
}
