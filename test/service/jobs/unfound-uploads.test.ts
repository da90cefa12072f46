import { expect, test } from 'vitest';
import type { PendingFile } from '../../../src/dataset/dataset.js';
import { reserve } from '../../../src/dataset/upload-transitions.js';
import { cleanUpJobs } from '../../../src/service/jobs/clean-up-jobs.js';
import { blobKeyOf, type Staging } from '../../../src/storage/blobs/blobs.js';
import type { RetentionOptions } from '../../../src/storage/catalog/history/retention.js';
import { openPlace, SECOND } from '../check/check-service.js';

const HOUR = 3600 * SECOND;

test('presigned uploads that no search finds are deleted after a day, unless they are pending', async () => {
  const { blobs, catalog, key, newInstance, database, time } = await openPlace();
  const { dependencies } = newInstance();
  const { now, newId } = dependencies;
  const lease = { leaseUntil: null, leaseToken: null };
  const upload = { state: 'pending', via: 'presigned', expectedBytes: 5, expiresAt: now() + HOUR, ...lease } as const;
  const created = { id: newId(), datasetId: key.id, createdAt: now() };
  const pending: PendingFile = { ...created, filename: 'a.txt', kind: 'caption', upload };
  const change = { datasetId: key.id, filenames: ['a.txt'], now: now(), isActivity: true };
  await catalog.change(change, (group) => reserve(group, pending));
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
  const handlers = cleanUpJobs(withStaging, { database, retention: {} as RetentionOptions });
  const { kind, run } = handlers.find((handler) => handler.kind === 'clean-store')!;
  const claim = { failures: 0, error: undefined, lease: 'lease', generation: 1 };
  const clean = () => run({ kind, key: '', accountId: '', payload: {}, ...claim }, new AbortController().signal);
  time.ahead += 23 * HOUR;
  await clean();
  expect(written.size).toBe(2);
  time.ahead += 2 * HOUR;
  await clean();
  expect([...written]).toEqual([blobKeyOf(pending)]);
});
