import { type Compilable, type SelectQueryBuilder, sql } from 'kysely';
import type { Dataset, Micros } from '../../../dataset/dataset.js';
import type { Database, Query } from '../../database/database.js';
import { type ParameterOf, preparedStatement } from '../../database/prepared-statement.js';
import type { Schema } from '../../database/schema.js';
import { dueAt, enqueueSelected } from '../jobs.js';
import { insertDeliveries, type NewEvent, receivers } from './deliveries.js';

/** A dataset whose files, role or links change. */
interface Change {
  readonly datasetId: string;
  /** When the event is recorded, unless the dataset changes again before. */
  readonly dueAt: Micros;
}

/**
 * The statements that enqueue the job `announce` of a dataset, for the transaction that changes it. If others link to the
 * dataset, so that their status may change too, also their jobs. An account without webhooks gets none.
 */
export function enqueueAnnouncements(
  query: Query,
  { isLinkedTo, ...change }: Change & { readonly isLinkedTo: boolean },
): Compilable<unknown>[] {
  return [enqueueOfDataset(query, change), ...(isLinkedTo ? [enqueueOfLinking(query, change)] : [])];
}

const enqueueOfDataset = preparedStatement((query, parameter: ParameterOf<Change>) => {
  const dataset = query.selectFrom('dataset').where('id', '=', parameter('datasetId'));
  return enqueueOf(query, dataset.select(dueAt(parameter('dueAt'))));
});

const enqueueOfLinking = preparedStatement((query, parameter: ParameterOf<Change>) => {
  const linking = query.selectFrom('link').select('dataset_id').where('linked_id', '=', parameter('datasetId'));
  // Two controls of the same datasets may change concurrently: their transactions lock the jobs in one order.
  const datasets = query.selectFrom('dataset').where('id', 'in', linking).orderBy('id');
  return enqueueOf(query, datasets.select(dueAt(parameter('dueAt'))));
});

/**
 * The statements that begin to announce the datasets of an account whose first webhook is added. Those that wait for uploads
 * may become FAILED without a change.
 */
export function beginAnnouncing(query: Query, accountId: string, now: Micros): Compilable<unknown>[] {
  const ofAccount = query.selectFrom('dataset').where('account_id', '=', accountId);
  const waiting = ofAccount.where('pending_until', '>', now).select(sql<number>`pending_until`.as('due_at'));
  // What was announced to an earlier webhook does not count.
  return [
    query.updateTable('dataset').set({ announced: null }).where('account_id', '=', accountId),
    enqueueOf(query, waiting),
  ];
}

/** Enqueues the jobs of those of these datasets whose account has webhooks, which may be disabled. */
function enqueueOf(query: Query, datasets: SelectQueryBuilder<Schema, 'dataset', { due_at: number }>) {
  const announced = datasets
    .select(['id as key', 'account_id'])
    .where(({ exists, selectFrom }) =>
      exists(selectFrom('webhook').select('webhook.id').whereRef('webhook.account_id', '=', 'dataset.account_id')),
    );
  return enqueueSelected(query, 'announce', announced);
}

/** What was last announced of a dataset: `FAILED`, or `READY` and its digest; null if nothing was. */
export async function announcedOf(query: Query, datasetId: string): Promise<string | null> {
  const row = await query.selectFrom('dataset').select('announced').where('id', '=', datasetId).executeTakeFirst();
  return row?.announced ?? null;
}

/**
 * Records an event of a dataset for the webhooks that receive it, and what it announces. Does nothing if another process has
 * announced something since `before` was read, or the dataset was deleted.
 */
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
