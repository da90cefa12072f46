import type { Selectable } from 'kysely';
import type { ChangeKind } from '../../../dataset/dataset.js';
import type { PastFile, Revision } from '../../../dataset/history/revisions.js';
import type { Schema } from '../../database/schema.js';
import { STORED_COLUMNS, storedFileOf } from '../rows.js';

export const PAST_FILE_COLUMNS = ['dataset_id', ...STORED_COLUMNS, 'removed_in'] as const;

export function pastFileOf(row: Selectable<Schema['past_file']>): PastFile {
  return { ...storedFileOf(row, row.dataset_id), removedIn: row.removed_in };
}

export function revisionOf(row: Selectable<Schema['revision']>): Revision {
  const { number, added, removed, changed, files, bytes, digest } = row;
  return {
    number,
    startedAt: row.started_at,
    changedAt: row.changed_at,
    token: row.token_id === null ? null : { id: row.token_id, name: row.token_name ?? '' },
    how: row.how as ChangeKind,
    ...{ added, removed, changed, files, bytes },
    changeId: row.change_id,
    restoredFrom: row.restored_from,
    digest,
    isReady: row.ready === null ? null : row.ready === 1,
    pin: row.pinned_at === null ? null : { at: row.pinned_at, by: row.pinned_by ?? '', note: row.pin_note },
  };
}
