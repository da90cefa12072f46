import { join } from 'node:path';
import type { BlobStore } from './blobs.js';
import { DiskBlobs } from './disk/disk-blobs.js';
import type { S3Location } from './s3/location.js';
import type { Log } from './s3/s3-blobs.js';

/** Where blobs are kept: beside the catalog, or in a bucket. */
export type BlobsLocation = { readonly kind: 'disk' } | S3Location;

/**
 * Opens the store that the configuration names.
 *
 * @throws BackendUnusable
 */
export async function openBlobs(
  config: { dataFolder: string; blobs: BlobsLocation; spoolFolder: string; spoolBytes: number },
  log: Log,
): Promise<BlobStore> {
  const { blobs, dataFolder, spoolFolder, spoolBytes } = config;
  if (blobs.kind === 'disk') return DiskBlobs.open(join(dataFolder, 'blobs'));
  // Loaded here, so that nobody else waits for the SDK.
  const { S3Blobs } = await import('./s3/s3-blobs.js');
  return S3Blobs.open(blobs, { spoolFolder, spoolBytes, log });
}
