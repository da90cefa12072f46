import type { Dataset, DatasetFile, LinkSlot } from '../../dataset/dataset.js';
import { LINK_SLOTS } from '../../dataset/pairs/roles.js';
import { MAX_ITEMS_AT_ONCE, mapInPieces, ONE_PIECE, type Pieces } from '../../pieces.js';
import type { Database, Query } from '../database/database.js';
import { type ParameterOf, preparedStatement } from '../database/prepared-statement.js';
import type { DatasetKeyOfAccount } from './dataset-changes.js';
import { type LinkedFile, linkedFilesOf, selectLinkedFiles } from './pairs/linked-files.js';
import { datasetLinksOf, linksOf } from './pairs/links.js';
import { datasetRecordOf, fileOf, STORED_COLUMNS, storedFilesOf } from './rows.js';
import { IS_STORED } from './statements.js';

/** A dataset and its files at one moment. */
export interface DatasetContents {
  readonly dataset: Dataset;
  readonly files: readonly DatasetFile[];
  /** The stored files of the datasets that it links to; none if they were not asked for. */
  readonly linkedFiles: ReadonlyMap<LinkSlot, readonly LinkedFile[]>;
}

/** What is read, and how. */
export interface ContentsOptions {
  /** Leaves out the files of the datasets that it links to. */
  readonly isAlone?: boolean;
  /** In which many files are read. */
  readonly pieces?: Pieces;
}

/**
 * Reads a dataset, all its files and those of the datasets that it links to, unordered, from one snapshot, so that the counts
 * agree with the files.
 */
export async function readContents(
  db: Database,
  key: DatasetKeyOfAccount,
  { isAlone = false, pieces = ONE_PIECE }: ContentsOptions,
): Promise<DatasetContents | undefined> {
  const { query } = db;
  const [[dataset], stored, others, links, ...linkedFiles] = await db.read([
    rowOf(query, key),
    storedRowsOf(query, key),
    otherRowsOf(query, key),
    linkRowsOf(query, key),
    ...(isAlone ? [] : LINKED_ROWS_OF.map((rowsOf) => rowsOf(query, key))),
  ]);
  if (dataset === undefined) return undefined;
  if ([stored, others, ...linkedFiles].some((rows) => rows.length > MAX_ITEMS_AT_ONCE)) await pieces.begin();
  return {
    dataset: { ...datasetRecordOf(dataset), links: datasetLinksOf(links) },
    files: [...(await storedFilesOf(stored, key.id, pieces)), ...(await mapInPieces(others, pieces, fileOf))],
    linkedFiles: linkedFilesOf(linkedFiles),
  };
}

function selectOwn(query: Query, parameter: ParameterOf<DatasetKeyOfAccount>) {
  return query.selectFrom('dataset').where('id', '=', parameter('id')).where('account_id', '=', parameter('accountId'));
}

const rowOf = preparedStatement((query, parameter: ParameterOf<DatasetKeyOfAccount>) =>
  selectOwn(query, parameter).selectAll(),
);

/** Nearly all rows are stored files. To skip their empty columns saves a third of the cost of reading them. */
const storedRowsOf = preparedStatement((query, parameter: ParameterOf<DatasetKeyOfAccount>) =>
  query
    .selectFrom('file')
    .select(STORED_COLUMNS)
    .where('dataset_id', '=', selectOwn(query, parameter).select('id'))
    .where('state', '=', 'stored'),
);

const otherRowsOf = preparedStatement((query, parameter: ParameterOf<DatasetKeyOfAccount>) => {
  const having = selectOwn(query, parameter).where(({ eb }) =>
    eb(eb(eb('pending', '+', eb.ref('rejected')), '+', eb.ref('received')), '>', 0),
  );
  return query
    .selectFrom('file')
    .selectAll()
    .where('dataset_id', '=', having.select('id'))
    .where('state', '<>', IS_STORED);
});

const linkRowsOf = preparedStatement((query, parameter: ParameterOf<DatasetKeyOfAccount>) =>
  linksOf(query).where('link.dataset_id', '=', selectOwn(query, parameter).select('id')),
);

const LINKED_ROWS_OF = LINK_SLOTS.map((slot) =>
  preparedStatement((query, parameter: ParameterOf<DatasetKeyOfAccount>) =>
    selectLinkedFiles(query, slot).where('link.dataset_id', '=', selectOwn(query, parameter).select('id')),
  ),
);
