import { type Compilable, type RawBuilder, sql } from 'kysely';
import type { Dataset, Micros } from '../../../dataset/dataset.js';
import type { Database, Query } from '../../database/database.js';
import { enqueueSelected } from '../jobs.js';
import { insertDeliveries, type NewEvent, receivers } from './deliveries.js';

/**
 * Enqueues the job `announce` of a dataset, and of the datasets that link to it, whose status may change too. An account
 * without webhooks gets none.
 *
 * @param change.dueAt when the event is recorded, unless the dataset changes again before
 */
export function enqueueAnnouncements(
  query: Query,
  { datasetId, isLinkedTo, dueAt }: { datasetId: string; isLinkedTo: boolean; dueAt: Micros },
): Compilable<unknown> {
  const own = sql`select cast(${datasetId} as text)`;
  const ids = isLinkedTo ? sql`${own} union all select dataset_id from link where linked_id = ${datasetId}` : own;
  return enqueueOf(query, sql`id in (${ids})`, sql`cast(${dueAt} as bigint)`);
}

/** Announces the datasets of an account with a first webhook. Those that wait for uploads may become FAILED without a change. */
export function beginAnnouncing(query: Query, accountId: string, now: Micros): Compilable<unknown>[] {
  return [
    // An earlier webhook does not count.
    query
      .updateTable('dataset')
      .set({ announced: null })
      .where('account_id', '=', accountId)
      .where('announced', 'is not', null),
    enqueueOf(query, sql`account_id = ${accountId} and pending_until > ${now}`, sql`pending_until`),
  ];
}

function enqueueOf(query: Query, condition: RawBuilder<unknown>, dueAt: RawBuilder<unknown>) {
  // Ordered, since concurrent changes of two controls of the same datasets lock the jobs.
  const datasets = sql<{ key: string; account_id: string; due_at: number }>`(
    select id as key, account_id, ${dueAt} as due_at from dataset
    where ${condition} and exists (select 1 from webhook where webhook.account_id = dataset.account_id)
    order by id
  )`;
  return enqueueSelected(query, 'announce', datasets);
}

/** What was last announced: `FAILED`, or `READY` and its digest. */
export async function announcedOf(query: Query, datasetId: string): Promise<string | null> {
  const row = await query.selectFrom('dataset').select('announced').where('id', '=', datasetId).executeTakeFirst();
  return row?.announced ?? null;
}

/** Records an event and what it announces, unless another process has announced since `before` was read. */
export function announce(
  db: Database,
  { accountId, id }: Pick<Dataset, 'accountId' | 'id'>,
  { before, after, event }: { before: string | null; after: string; event: NewEvent },
): Promise<void> {
  const { query } = db;
  return db.transact({ isDurable: true }, async ({ send, commit }) => {
    const [changed, webhooks] = await send([
      query
        .updateTable('dataset')
        .set({ announced: after })
        .where('id', '=', id)
        .where('account_id', '=', accountId)
        .where('announced', 'is not distinct from', before)
        .returning('id'),
      receivers(query, accountId, event.event),
    ]);
    if (changed.length > 0) await commit(insertDeliveries(query, webhooks, event));
  });
}
