import { type Kysely, sql } from 'kysely';

/**
 * What was announced of a dataset moves to its row, and jobs replace the leases of webhooks and the comparison of all datasets.
 * What had changed and was not announced yet, and what was not delivered yet, gets its job.
 */
export async function makeOutbox(db: Kysely<unknown>): Promise<void> {
  await db.schema.alterTable('dataset').addColumn('announced', 'text').execute();
  await sql`
    update dataset set announced = (
      select case status when 'READY' then 'READY ' || digest else status end
      from announcement where dataset_id = dataset.id
    )
  `.execute(db);
  const isNewer = sql`exists (
    select 1 from link join dataset as linked on linked.id = link.linked_id
    where link.dataset_id = dataset.id and linked.updated_at > announcement.seen_at
  )`;
  await sql`
    insert into job (kind, key, account_id, payload, due_at)
    select 'announce', dataset.id, dataset.account_id, '{}', 0
    from dataset
    join (select account_id, min(created_at) as since from webhook group by account_id) as watched
      on watched.account_id = dataset.account_id
    left join announcement on announcement.dataset_id = dataset.id
    where case
      when announcement.dataset_id is null then dataset.updated_at > watched.since
      else announcement.status is null or dataset.updated_at > announcement.seen_at or ${isNewer}
    end
  `.execute(db);
  await sql`
    insert into job (kind, key, account_id, payload, due_at)
    select 'deliver', id, account_id, '{}', 0 from webhook
    where exists (select 1 from webhook_delivery where webhook_id = webhook.id and next_at is not null)
  `.execute(db);
  await db.schema.dropTable('announcement').execute();
  for (const column of ['lease_until', 'lease_token']) {
    await db.schema.alterTable('webhook').dropColumn(column).execute();
  }
}
