import { expect } from 'vitest';
import type { WireDatasetWithFiles } from '../../src/api/schemas.js';
import { COUNT_FIELDS, countsOf } from '../../src/dataset/counts.js';
import { blobKeyOf } from '../../src/storage/blobs/blobs.js';
import type { OpenCatalog } from '../../src/storage/catalog/open-catalog.js';
import type { Api } from '../harness/api.js';
import { onDatabase } from '../harness/postgres.js';
import type { TestBucket } from '../harness/s3.js';
import { sha256 } from './contents.js';
import { ABSENT } from './ledger.js';
import type { Owed } from './load.js';

/** Unfinished and orphaned things; all of it is empty once the service has healed. */
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

/** Every acknowledged state is there, at every instance; an uncertain one is one of the two possible states. */
export async function expectAcknowledged(
  owed: readonly Owed[],
  apis: readonly Api[],
  metadata: OpenCatalog,
): Promise<void> {
  for (const [i, { id, name, files, status }] of owed.entries()) {
    const answers = await Promise.all(apis.map((api) => api.status(id)));
    const expected = status === 'removed' ? [404] : status === 'uncertain' ? [200, 404] : [200];
    for (const answer of answers) expect(expected, `${name}: ${JSON.stringify(answer.body)}`).toContain(answer.status);
    if (answers[0]!.status !== 200) continue;
    const [first, ...others] = answers.map(({ body }) => body);
    for (const other of others) expect(other).toEqual(first);
    if (status !== 'uncertain') expect(first!.status, name).toBe(status);
    expectFiles(first!, files, name);
    // Each file is read through one instance, and the datasets through both in turn.
    for (const [j, file] of first!.files.entries()) {
      const response = await apis[(i + j) % apis.length]!.raw('GET', `/${id}/files/${file.filename}`);
      const bytes = Buffer.from(await response.arrayBuffer());
      expect([response.status, sha256(bytes)], `${name}: ${file.filename}`).toEqual([200, file.sha256]);
    }
    const [kept] = await metadata.catalog.datasets({ ids: [id] });
    const recounted = countsOf(await metadata.catalog.files(id), kept!.counts.lastActivity);
    for (const count of COUNT_FIELDS) expect(kept!.counts[count], `${name}: ${count}`).toBe(recounted[count]);
    expect(kept!.counts.pendingUntil).toBe(recounted.pendingUntil);
  }
}

function expectFiles(dataset: WireDatasetWithFiles, files: Owed['files'], name: string): void {
  const listed = new Map(dataset.files.map((file) => [file.filename, file.sha256]));
  expect(
    [...listed.keys()].filter((filename) => !files.names().includes(filename)),
    name,
  ).toEqual([]);
  for (const filename of files.names()) {
    expect(files.possible(filename), `${name}: ${filename}`).toContain(listed.get(filename) ?? ABSENT);
  }
}
