import { type Kysely, sql } from 'kysely';

/**
 * Enqueues the jobs of files that an earlier version has received and not checked, and of datasets that wait for presigned uploads.
 * Drops the indexes by which such files were found.
 */
export async function enqueueBackgroundWork(db: Kysely<unknown>): Promise<void> {
  const columns = sql`(kind, key, account_id, payload, due_at)`;
  const isLive = sql`dataset.account_id <> 'deleted'`;
  await sql`
    insert into job ${columns}
    select 'check-file', file.id, dataset.account_id, '{}', file.settled_at
    from file join dataset on dataset.id = file.dataset_id
    where file.state = 'received' and ${isLive}
  `.execute(db);
  await sql`
    insert into job ${columns}
    select distinct 'find-uploads', dataset.id, dataset.account_id, '{}', 0
    from file join dataset on dataset.id = file.dataset_id
    where file.state = 'pending' and file.via = 'presigned' and ${isLive}
  `.execute(db);
  await sql`update file set arriving_until = null, arriving_by = null where state = 'received'`.execute(db);
  for (const index of ['file_received', 'dataset_received', 'file_awaited', 'file_replaced']) {
    await db.schema.dropIndex(index).execute();
  }
}
