import type { Dataset, DatasetFile, LinkSlot } from '../../dataset/dataset.js';
import type { Database } from '../database/database.js';
import type { DatasetKeyOfAccount } from './dataset-changes.js';
import { type LinkedFile, linkedFilesOf, selectLinkedFiles } from './pairs/linked-files.js';
import { datasetLinksOf, linksOf } from './pairs/links.js';
import { datasetRecordOf, fileOf, STORED_COLUMNS, storedFileOf } from './rows.js';

/** A dataset and its files at one moment. */
export interface DatasetContents {
  readonly dataset: Dataset;
  readonly files: readonly DatasetFile[];
  /** The stored files of the datasets that it links to. */
  readonly linkedFiles: ReadonlyMap<LinkSlot, readonly LinkedFile[]>;
}

/**
 * Reads a dataset, all its files and those of the datasets that it links to, unordered, from one snapshot, so that the counts
 * agree with the files.
 */
export async function readContents(
  db: Database,
  { accountId, id }: DatasetKeyOfAccount,
): Promise<DatasetContents | undefined> {
  const { query } = db;
  const own = query.selectFrom('dataset').where('id', '=', id).where('account_id', '=', accountId);
  const files = query.selectFrom('file');
  const hasOthers = own.where(({ eb }) =>
    eb(eb(eb('pending', '+', eb.ref('rejected')), '+', eb.ref('received')), '>', 0),
  );
  const [[dataset], stored, others, links, linkedFiles] = await db.read([
    own.selectAll(),
    // Nearly all rows are stored files. To skip their empty columns saves a third of the cost of reading them.
    files.select(STORED_COLUMNS).where('dataset_id', '=', own.select('id')).where('state', '=', 'stored'),
    files.selectAll().where('dataset_id', '=', hasOthers.select('id')).where('state', '<>', 'stored'),
    linksOf(query).where('link.dataset_id', '=', own.select('id')),
    selectLinkedFiles(query).where('link.dataset_id', '=', own.select('id')),
  ]);
  if (dataset === undefined) return undefined;
  return {
    dataset: { ...datasetRecordOf(dataset), links: datasetLinksOf(links) },
    files: [...stored.map((row) => storedFileOf(row, id)), ...others.map(fileOf)],
    linkedFiles: linkedFilesOf(linkedFiles),
  };
}
