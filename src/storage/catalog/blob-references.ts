import { sql } from 'kysely';
import type { DatasetFile } from '../../dataset/dataset.js';
import type { Database } from '../database/database.js';
import { fileOf } from './rows.js';
import { rowChunksOf } from './statements.js';

/** The dataset of each of these files that the history has, by the id of the file. */
export async function pastDatasetIds({ query }: Database, ids: readonly string[]): Promise<Map<string, string>> {
  const found = new Map<string, string>();
  for (const chunk of rowChunksOf(ids)) {
    const rows = await query.selectFrom('past_file').select(['id', 'dataset_id']).where('id', 'in', chunk).execute();
    for (const { id, dataset_id } of rows) found.set(id, dataset_id);
  }
  return found;
}

/** The files in any state that have one of these ids, by id. */
export async function filesById({ query }: Database, ids: readonly string[]): Promise<Map<string, DatasetFile>> {
  const found = new Map<string, DatasetFile>();
  for (const chunk of rowChunksOf(ids)) {
    const rows = await query.selectFrom('file').selectAll().where('id', 'in', chunk).execute();
    for (const row of rows) found.set(row.id, fileOf(row));
  }
  return found;
}

/** The keys in the trash that end with one of these ids of files. */
export async function trashOf({ query }: Database, fileIds: readonly string[]): Promise<Set<string>> {
  const found = new Set<string>();
  const [length = 0] = fileIds.map((id) => id.length);
  // Both databases have these functions; a folder does not know the id of the dataset, with which keys begin.
  const fileId = sql<string>`substr(blob_key, length(blob_key) - ${sql.lit(length - 1)})`;
  for (const chunk of rowChunksOf(fileIds)) {
    const rows = await query.selectFrom('trash').select('blob_key').where(fileId, 'in', chunk).execute();
    for (const row of rows) found.add(row.blob_key);
  }
  return found;
}
