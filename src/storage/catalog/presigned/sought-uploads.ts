import { sql } from 'kysely';
import type { Micros } from '../../../dataset/dataset.js';
import type { Query } from '../../database/database.js';
import type { FileRow } from '../rows.js';
import { hasDataset, IS_PENDING, IS_PRESIGNED } from '../statements.js';

/** A pending presigned upload, as a poll needs it. */
export interface SoughtUpload {
  readonly id: string;
  readonly filename: string;
  readonly expiresAt: Micros;
  readonly isReplaced: boolean;
  readonly isRetired: boolean;
}

const SOUGHT_COLUMNS = ['id', 'filename', 'expires_at', 'settled_at', 'alive_until'] as const;

export function soughtUploadOf(row: Pick<FileRow, (typeof SOUGHT_COLUMNS)[number]>): SoughtUpload {
  const { id, filename, expires_at: expiresAt } = row;
  return {
    id,
    filename,
    expiresAt: expiresAt ?? 0,
    isReplaced: row.settled_at !== null,
    isRetired: row.alive_until === null,
  };
}

/** Selects the pending presigned uploads that no lease holds at `now`. */
export function pendingPresigned(query: Query, now: Micros) {
  return query
    .selectFrom('file')
    .where(hasDataset('file'))
    .where('state', '=', IS_PENDING)
    .where('via', '=', IS_PRESIGNED)
    .where((eb) => eb.or([eb('arriving_until', 'is', null), eb('arriving_until', '<=', now)]));
}

/** Selects a page of those of a dataset, ordered by id. */
export function presignedPage(
  query: Query,
  { now, datasetId, after, limit }: { now: Micros; datasetId: string; after: string; limit: number },
) {
  const ofDataset = pendingPresigned(query, now).select(SOUGHT_COLUMNS).where('dataset_id', '=', datasetId);
  return ofDataset.where('id', '>', after).orderBy('id').limit(limit);
}

/** Selects the datasets with those that are replaced or expire at or after `expiringFrom`. */
export function presignedByDataset(query: Query, { now, expiringFrom }: { now: Micros; expiringFrom: Micros }) {
  const all = pendingPresigned(query, now).select(['dataset_id', 'created_at', 'settled_at', 'alive_until']);
  // Each has an index, which skips those that have expired: they stay, and may be many. With `or`, SQLite would read them all.
  // It uses that of `settled_at` for a range, not for `is not null`.
  const found = all.where('expires_at', '>=', expiringFrom).unionAll(all.where('settled_at', '>=', 0));
  // Not retired. Some are found twice.
  const replaced = sql<number>`sum(case when settled_at is not null and alive_until is not null then 1 else 0 end)`;
  const reservedAt = sql<number>`max(found.created_at)`.as('reservedAt');
  return query
    .selectFrom(found.as('found'))
    .innerJoin('dataset', 'dataset.id', 'found.dataset_id')
    .select(['found.dataset_id as datasetId', 'dataset.account_id as accountId', reservedAt, replaced.as('replaced')])
    .groupBy(['found.dataset_id', 'dataset.account_id']);
}
