import { type Kysely, sql } from 'kysely';

/** The files that unfinished rechecks have left become jobs; a recheck keeps when it started, and when it checked a file last. */
export async function moveRechecksToJobs(db: Kysely<unknown>): Promise<void> {
  await sql`
    insert into job (kind, key, account_id, payload, due_at)
    select 'inspect-again', dataset.id || '/' || file.id, dataset.account_id, '{}', recheck.started_at
    from recheck
    join dataset on dataset.id = recheck.dataset_id
    join file on file.dataset_id = dataset.id and file.state = 'stored'
      and file.settled_at <= recheck.started_at and file.id > recheck.after_id
    where recheck.finished_at is null
  `.execute(db);
  await db.schema.dropIndex('recheck_unfinished').execute();
  await db.schema.alterTable('recheck').renameColumn('finished_at', 'checked_at').execute();
  for (const column of ['checked', 'after_id', 'lease_until', 'lease_token']) {
    await db.schema.alterTable('recheck').dropColumn(column).execute();
  }
}
