import { expect } from 'vitest';
import { blobKeyOf } from '../../../src/storage/blobs/blobs.js';
import { onDatabase } from '../../harness/postgres.js';
import { keysBelow, type TestBucket } from '../../harness/s3.js';
import { environmentOf, type TestServer } from '../../harness/server.js';
import { NOTHING_REMAINS, remainsIn } from '../remains.js';

/** With Postgres, the uploads and the work of a killed server are free again after this time. */
export const LEASES = { 'lease-seconds': 10 };

/**
 * No temporary file, no bytes without a row, and no row without bytes is left. Captions that were being saved stay in the
 * trash for as long as that may take, and with Postgres what the killed server was receiving until its lease ends.
 */
export async function expectNothingRemains({ dataFolder, url }: TestServer): Promise<void> {
  const { DATABASE_URL: databaseUrl, BLOBS_URL: blobsUrl } = await environmentOf(dataFolder);
  if (databaseUrl === undefined || blobsUrl === undefined) {
    // A job stages thumbnails meanwhile.
    await expect.poll(() => ({ ...remainsIn(dataFolder), trash: [] })).toEqual(NOTHING_REMAINS);
    return;
  }
  const at = { instances: [url], databaseUrl, bucket: { keys: () => keysBelow(blobsUrl, '') } };
  // The cleanup may delete an object between the two looks.
  await expect.poll(async () => ({ ...(await unhealed(at)), trash: [], pending: [] })).toEqual(HEALED);
}

/** Unfinished and orphaned things in Postgres and a bucket; all of it is empty once the service has healed. */
export interface Unhealed {
  readonly notReady: string[];
  /** Pending uploads. */
  readonly pending: string[];
  readonly trash: string[];
  /** Objects that neither a file, the history nor the trash names, and files without an object. */
  readonly strays: string[];
  readonly missing: string[];
}

export const HEALED: Unhealed = { notReady: [], pending: [], trash: [], strays: [], missing: [] };

/** @param at the addresses of the instances, the database and the bucket without injected faults */
export async function unhealed(at: {
  instances: readonly string[];
  databaseUrl: string;
  bucket: Pick<TestBucket, 'keys'>;
}): Promise<Unhealed> {
  const answers = await Promise.all(at.instances.map((instance) => fetch(`${instance}/readyz`)));
  // Objects before rows, so that an upload in flight does not count as an orphan.
  const keys = await at.bucket.keys();
  const queries = ['select * from file', 'select * from trash', 'select * from past_file'];
  const [files, trash, past] = await onDatabase(at.databaseUrl, ...queries);
  const keyOf = (row: { id: string; dataset_id: string }) => blobKeyOf({ id: row.id, datasetId: row.dataset_id });
  const stored = [...files!.rows.filter(({ state }) => state === 'stored'), ...past!.rows].map(keyOf);
  const trashed: string[] = trash!.rows.map(({ blob_key }) => blob_key);
  const explained = new Set([...[...files!.rows, ...past!.rows].map(keyOf), ...trashed]);
  const there = new Set(keys);
  return {
    notReady: at.instances.filter((_, i) => answers[i]?.status !== 200),
    pending: files!.rows.filter(({ state }) => state === 'pending').map((row) => JSON.stringify(row)),
    trash: trash!.rows
      .filter(({ delete_after }) => Number(delete_after) <= Date.now() * 1000)
      .map((row) => row.blob_key),
    strays: keys.filter((key) => !explained.has(key.replace(/\.thumbnail$/, ''))),
    missing: stored.filter((key) => !there.has(key)),
  };
}
