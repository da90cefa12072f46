import type { Kysely } from 'kysely';
import { expect, test } from 'vitest';
import type { DatasetFile } from '../../../../src/dataset/dataset.js';
import { enqueueBackgroundWork } from '../../../../src/storage/database/migrations/enqueue-background-work.js';
import { catalogs, onEach } from '../../../harness/backends.js';

/** The indexes of the version before the migration. */
const EARLIER_INDEXES = ['file_received', 'file_awaited', 'file_replaced'];

const bytes = {
  ...{ sizeBytes: 10, sha256: 'ab'.repeat(32), contentType: 'video/mp4', warnings: [], blobVersion: null },
  facts: { kind: 'video', format: 'mp4' },
} as const;
const noLease = { leaseUntil: null, leaseToken: null } as const;
const received = { state: 'received', ...bytes, receivedAt: 7 } as const;
const presigned = { state: 'pending', via: 'presigned', expectedBytes: 5, expiresAt: 900, ...noLease } as const;
const linked = { ...presigned, via: 'link' } as const;

onEach(catalogs, (open) => {
  test('received files and datasets that wait for presigned uploads get their jobs, unless the dataset is deleted', async () => {
    const { catalog, accountId, database } = await open();
    const { query } = database;
    const add = async (datasetId: string, uploads: Record<string, DatasetFile['upload']>) => {
      await catalog.createDataset({ id: datasetId, accountId, name: datasetId, createdAt: 1 });
      for (const [name, upload] of Object.entries(uploads)) {
        const file = {
          id: `${datasetId}-${name}`,
          datasetId,
          filename: `${name}.mp4`,
          kind: 'video',
          createdAt: 2,
          upload,
        };
        const change = { datasetId, filenames: [file.filename], now: 3, isActivity: true };
        await catalog.change(change, () => [file as DatasetFile]);
      }
    };
    await add('clips', { long: received, link: linked });
    await add('bucket', { one: presigned, two: presigned });
    await add('plain', { link: linked });
    await add('gone', { long: received, one: presigned });
    await catalog.deleteDataset({ accountId, id: 'gone' }, 4);
    await query.deleteFrom('job').execute();
    const lease = { arriving_until: 50, arriving_by: 'me' };
    await query.updateTable('file').set(lease).where('state', '=', 'received').execute();
    for (const name of EARLIER_INDEXES) await query.schema.createIndex(name).on('file').column('expires_at').execute();
    await query.schema.createIndex('dataset_received').on('dataset').column('received').execute();

    await enqueueBackgroundWork(query as Kysely<unknown>);
    const jobs = await query.selectFrom('job').select(['kind', 'key', 'account_id', 'due_at']).execute();
    expect(jobs.toSorted((a, b) => (a.kind < b.kind ? -1 : 1))).toEqual([
      { kind: 'check-file', key: 'clips-long', account_id: accountId, due_at: 7 },
      { kind: 'find-uploads', key: 'bucket', account_id: accountId, due_at: 0 },
    ]);
    const file = await query.selectFrom('file').select('arriving_until').where('id', '=', 'clips-long').execute();
    expect(file).toEqual([{ arriving_until: null }]);
  });
});
