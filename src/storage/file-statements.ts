import type { DatasetFile, Micros } from '../dataset/dataset.js';
import type { Database } from './database.js';
import { fileColumns, fileOf } from './rows.js';

/** Stays below the number of parameters a statement may have: 32,766 in SQLite, 65,535 in Postgres. */
export const ROWS_PER_STATEMENT = 500;

/** All rows of some stems of a dataset. */
export async function filesOfStems(tx: Database, datasetId: string, stems: readonly string[]): Promise<DatasetFile[]> {
  const files: DatasetFile[] = [];
  for (const chunk of chunksOf(stems)) {
    const rows = await tx
      .selectFrom('file')
      .selectAll()
      .where('dataset_id', '=', datasetId)
      .where('stem', 'in', chunk)
      .execute();
    files.push(...rows.map(fileOf));
  }
  return files;
}

/** Writes the difference that a change made; bytes whose row went away for good go to the trash. */
export async function replaceFiles(
  tx: Database,
  change: {
    removed: readonly DatasetFile[];
    written: readonly DatasetFile[];
    mayLeaveBytes: boolean;
    deleteAfter: Micros;
  },
): Promise<void> {
  const { removed, written, mayLeaveBytes, deleteAfter } = change;
  const writtenIds = new Set(written.map((file) => file.id));
  const discarded = removed.filter(
    (file) => !writtenIds.has(file.id) && (file.upload.state === 'stored' || (mayLeaveBytes && isArriving(file))),
  );
  for (const chunk of chunksOf(removed.map((file) => file.id))) {
    await tx.deleteFrom('file').where('id', 'in', chunk).execute();
  }
  for (const chunk of chunksOf(written)) await tx.insertInto('file').values(chunk.map(fileColumns)).execute();
  for (const chunk of chunksOf(discarded)) {
    const rows = chunk.map((file) => ({ blob_id: file.id, delete_after: deleteAfter }));
    await tx
      .insertInto('trash')
      .values(rows)
      .onConflict((conflict) => conflict.column('blob_id').doNothing())
      .execute();
  }
}

/** Its bytes may be in place already while the row is not settled yet. */
function isArriving({ upload }: DatasetFile): boolean {
  return upload.state === 'pending' && upload.arrivingUntil !== null;
}

/** When the last pending upload of a dataset stops being alive; `null` where there is none. */
export async function pendingUntil(tx: Database, datasetId: string): Promise<Micros | null> {
  const { latest } = await tx
    .selectFrom('file')
    .select(({ fn }) => fn.max('alive_until').as('latest'))
    .where('dataset_id', '=', datasetId)
    .where('state', '=', 'pending')
    .executeTakeFirstOrThrow();
  return latest;
}

/** Pieces that fit into one statement. */
export function chunksOf<T>(items: readonly T[]): T[][] {
  const chunks: T[][] = [];
  for (let i = 0; i < items.length; i += ROWS_PER_STATEMENT) chunks.push(items.slice(i, i + ROWS_PER_STATEMENT));
  return chunks;
}
