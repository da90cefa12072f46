import { COUNT_FIELDS, countsOfStem, recount, stemGroupsOf } from '../../src/dataset/counts.js';
import { liveUntil, type Micros } from '../../src/dataset/dataset.js';
import { runOn } from '../../src/storage/catalog/catalog-rows.js';
import { recountUnpaired } from '../../src/storage/catalog/pairs/recount-pairs.js';
import { countsInRow, type DatasetRow, fileOf, LINKED } from '../../src/storage/catalog/rows.js';
import type { Database } from '../../src/storage/database/database.js';

/** A value in the row of a dataset that is not that of its files and links. */
export interface WrongCount {
  readonly name: string;
  readonly recorded: number | null;
  readonly counted: number | null;
}

/** Counts the files of a dataset, its links and the errors of its pairs anew, and compares them with its row. */
export async function wrongCountsOf({ query }: Database, datasetId: string): Promise<WrongCount[]> {
  const select = query.selectFrom('dataset').selectAll().where('id', '=', datasetId);
  const row: DatasetRow = await select.executeTakeFirstOrThrow();
  const recorded = countsInRow(row);
  const rows = await query.selectFrom('file').selectAll().where('dataset_id', '=', datasetId).execute();
  const files = rows.map(fileOf);
  let counts = countsOfStem([]);
  for (const group of stemGroupsOf(files).values()) counts = recount(counts, [], group);
  const pendingUntil = files.reduce<Micros | null>(
    (latest, { upload }) => (upload.state === 'pending' ? Math.max(latest ?? 0, liveUntil(upload)) : latest),
    null,
  );
  const links = query.selectFrom('link').select('slot').limit(1);
  const from = await links.where('dataset_id', '=', datasetId).execute();
  const to = await links.where('linked_id', '=', datasetId).execute();
  const linked = from.length > 0 ? LINKED.from : to.length > 0 ? LINKED.to : LINKED.none;
  const unpaired = await recountUnpaired(query, runOn(query), datasetId);
  return [
    ...COUNT_FIELDS.map((name) => ({ name, recorded: recorded[name], counted: counts[name] })),
    { name: 'linked', recorded: row.linked, counted: linked },
    { name: 'unpaired', recorded: row.unpaired, counted: unpaired },
    { name: 'pendingUntil', recorded: recorded.pendingUntil, counted: pendingUntil },
  ].filter((count) => count.recorded !== count.counted);
}
