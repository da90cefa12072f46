import { COUNT_FIELDS } from '../../src/dataset/counts.js';
import { datasetCountsOf } from './counts-of.js';
import { countsInRow, type DatasetRow, fileOf, LINKED } from '../../src/storage/catalog/rows.js';
import { type Database, query } from '../../src/storage/database/database.js';

/** A value in the row of a dataset that is not that of its files and links. */
interface WrongCount {
  readonly name: string;
  readonly recorded: number | null;
  readonly counted: number | null;
}

/** Counts the files of a dataset and its links anew, and compares them with its row. */
export async function wrongCountsOf({ run }: Database, datasetId: string): Promise<WrongCount[]> {
  const select = query.selectFrom('dataset').selectAll().where('id', '=', datasetId);
  const row: DatasetRow = (await run(select))[0]!;
  const recorded = countsInRow(row);
  const rows = await run(query.selectFrom('file').selectAll().where('dataset_id', '=', datasetId));
  const files = rows.map(fileOf);
  const counts = datasetCountsOf(files, recorded.lastActivity);
  const links = query.selectFrom('link').select('slot').limit(1);
  const from = await run(links.where('dataset_id', '=', datasetId));
  const to = await run(links.where('linked_id', '=', datasetId));
  const linked = from.length > 0 ? LINKED.from : to.length > 0 ? LINKED.to : LINKED.none;
  return [
    ...COUNT_FIELDS.map((name) => ({ name, recorded: recorded[name], counted: counts[name] })),
    { name: 'linked', recorded: row.linked, counted: linked },
    { name: 'pendingUntil', recorded: recorded.pendingUntil, counted: counts.pendingUntil },
  ].filter((count) => count.recorded !== count.counted);
}
