import { rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import type { PendingFile } from '../../../src/dataset/dataset.js';
import { reserve } from '../../../src/dataset/upload-transitions.js';
import type { ServiceDependencies } from '../../../src/service/dependencies.js';
import { thumbnailKeyOf } from '../../../src/service/download/thumbnails.js';
import { cleanUpJobs, emptyTrash } from '../../../src/service/jobs/clean-up-jobs.js';
import type { JobHandler } from '../../../src/service/jobs/job-runner.js';
import { findUploadsJob } from '../../../src/service/jobs/presigned-jobs.js';
import { blobKeyOf, type Staging } from '../../../src/storage/blobs/blobs.js';
import type { RetentionOptions } from '../../../src/storage/catalog/history/retention.js';
import { query } from '../../../src/storage/database/database.js';
import { onCatalogs, openDisk, storeBlob } from '../../harness/backends.js';
import { openPlace, SECOND } from '../check/check-service.js';

const HOUR = 3600 * SECOND;

onCatalogs((open) => {
  test("blobs that can not be deleted stay in the trash, and don't keep others in it", async () => {
    const { catalog, database } = await open();
    const { folder, blobs } = await openDisk();
    const names = Array.from(
      { length: 1200 },
      (_, i) => `d/${(i % 256).toString(16).padStart(2, '0')}${'0'.repeat(26)}${i}`,
    );
    await catalog.trash.add(names, 5);
    await catalog.trash.add(['d/later'], 12);
    const thumbnail = thumbnailKeyOf(names[0]!);
    await storeBlob(blobs, thumbnail, Buffer.from('x'));
    const left = async () =>
      (await database.run(query.selectFrom('trash').select('blob_key'))).map((row) => row.blob_key);
    // Nothing can be deleted below a file in place of a folder.
    const shard = join(folder, '07');
    await rm(shard, { recursive: true });
    await writeFile(shard, '');
    const dependencies = { catalog, blobs, now: () => 10 } as unknown as ServiceDependencies;
    await expect(emptyTrash(dependencies)).rejects.toMatchObject({ code: 'unavailable' });
    expect((await left()).sort()).toEqual(['d/later', ...names.filter((name) => name.startsWith('d/07'))].sort());
    await rm(shard);
    await emptyTrash({ ...dependencies, now: () => 11 });
    expect([await left(), await blobs.read(thumbnail)]).toEqual([['d/later'], undefined]);
  });
});

test('a search goes on for a day after the last link expired; what no search or machine has taken is deleted after a day, and expired links hold no bytes', async () => {
  const { accounts, blobs, catalog, key, newInstance, database, time } = await openPlace();
  const { dependencies } = newInstance();
  const { now, newId } = dependencies;
  const lease = { leaseUntil: null, leaseToken: null };
  const upload = { state: 'pending', via: 'presigned', expectedBytes: 5, expiresAt: now() + HOUR, ...lease } as const;
  const created = { id: newId(), datasetId: key.id, createdAt: now() };
  const pending: PendingFile = { ...created, filename: 'a.txt', kind: 'caption', upload };
  const change = { datasetId: key.id, filenames: ['a.txt'], now: now(), isActivity: true };
  await catalog.change(change, (group) => reserve(group, pending));
  const expiring: PendingFile = { ...pending, id: newId(), filename: 'b.txt', upload: { ...upload, via: 'link' } };
  await catalog.change({ ...change, filenames: ['b.txt'] }, (group) => reserve(group, expiring));
  const written = new Set([blobKeyOf(pending), blobKeyOf({ datasetId: key.id, id: newId() })]);
  const changedAt = now() / 1000;
  const staging: Partial<Staging> = {
    async *list() {
      yield [...written].map((name) => ({ key: name, changedAt }));
    },
    delete: async (keys) => {
      for (const name of keys) written.delete(name);
    },
  };
  const withStaging = { ...dependencies, blobs: Object.assign(Object.create(blobs), { staging }) };
  const cleaning = cleanUpJobs(withStaging, { database, retention: {} as RetentionOptions });
  const claim = { accountId: key.accountId, payload: {}, failures: 0, error: undefined, lease: 'lease', generation: 1 };
  const run = ({ kind, run }: JobHandler) => run({ ...claim, kind, key: key.id }, new AbortController().signal);
  await dependencies.jobs.add([{ kind: 'mount', key: 'machine/', accountId: 'machine/', dueAt: now() }]);
  const left = async () => {
    for (const each of cleaning) if (['clean-up', 'clean-store'].includes(each.kind)) await run(each);
    return [...written, ...(await dependencies.jobs.owners(['mount'])).map(({ accountId }) => accountId)];
  };
  const all = [...written, 'machine/'];
  time.ahead += 23.1 * HOUR;
  expect(await run(findUploadsJob(withStaging))).toEqual({ dueAt: expect.any(Number) });
  expect(await left()).toEqual(all);
  expect(await accounts.usage(key.accountId)).toMatchObject({ files: 2, bytes: 5 });
  time.ahead += 2 * HOUR;
  expect(await run(findUploadsJob(withStaging))).toBe('done');
  expect(await left()).toEqual([blobKeyOf(pending)]);
});
