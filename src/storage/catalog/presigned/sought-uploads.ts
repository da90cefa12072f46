import type { Micros } from '../../../dataset/dataset.js';
import type { Query } from '../../database/database.js';
import type { FileRow } from '../rows.js';
import { hasDataset, IS_PENDING, IS_PRESIGNED } from '../statements.js';

/** A pending presigned upload, as a search of the store needs it. */
export interface SoughtUpload {
  readonly id: string;
  readonly filename: string;
  readonly createdAt: Micros;
  readonly expiresAt: Micros;
  readonly isReplaced: boolean;
  readonly isRetired: boolean;
}

const SOUGHT_COLUMNS = ['id', 'filename', 'created_at', 'expires_at', 'replaced_at', 'live_until'] as const;

export function soughtUploadOf(row: Pick<FileRow, (typeof SOUGHT_COLUMNS)[number]>): SoughtUpload {
  const { id, filename, created_at: createdAt, expires_at: expiresAt } = row;
  const isReplaced = row.replaced_at !== null;
  return { id, filename, createdAt, expiresAt: expiresAt ?? 0, isReplaced, isRetired: row.live_until === null };
}

/** Selects a page of the pending presigned uploads of a dataset, ordered by id. */
export function presignedPage(
  query: Query,
  { datasetId, after, limit }: { datasetId: string; after: string; limit: number },
) {
  return query
    .selectFrom('file')
    .select(SOUGHT_COLUMNS)
    .where(hasDataset('file'))
    .where('state', '=', IS_PENDING)
    .where('via', '=', IS_PRESIGNED)
    .where('dataset_id', '=', datasetId)
    .where('id', '>', after)
    .orderBy('id')
    .limit(limit);
}
