import type { Micros } from '../../dataset/dataset.js';
import type { Query } from '../database/database.js';

/** Which datasets: all where nothing is said. */
export interface DatasetFilter {
  readonly accountId?: string | undefined;
  /** Some hundreds at the most. */
  readonly ids?: readonly string[] | undefined;
  readonly name?: string | undefined;
  /** Only those older than this one. */
  readonly after?: { readonly createdAt: Micros; readonly id: string } | undefined;
  readonly limit?: number | undefined;
}

/** Datasets, newest first. */
export function datasetsBy(query: Query, { accountId, ids, name, after, limit }: DatasetFilter) {
  let select = query.selectFrom('dataset').selectAll().orderBy('created_at', 'desc').orderBy('id', 'desc');
  if (accountId !== undefined) select = select.where('account_id', '=', accountId);
  if (ids !== undefined) select = select.where('id', 'in', ids);
  if (name !== undefined) select = select.where('name', '=', name);
  if (after !== undefined) {
    select = select.where(({ eb, refTuple, tuple }) =>
      eb(refTuple('created_at', 'id'), '<', tuple(after.createdAt, after.id)),
    );
  }
  return limit === undefined ? select : select.limit(limit);
}
