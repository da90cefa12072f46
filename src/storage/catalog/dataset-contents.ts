import { sql } from 'kysely';
import type { Dataset, DatasetFile, LinkSlot } from '../../dataset/dataset.js';
import { LINK_SLOTS } from '../../dataset/pairs/roles.js';
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

/** What is read. */
export interface ContentsOptions {
  /** Leaves out the files of the datasets that it links to. */
  readonly isAlone?: boolean;
  /** Reads stored files as if they had no warnings. Those of ten thousand files may take a hundred megabytes. */
  readonly withoutWarnings?: boolean;
}

/**
 * Reads a dataset, all its files and those of the datasets that it links to, unordered, from one snapshot, so that the counts
 * agree with the files.
 */
export async function readContents(
  db: Database,
  key: DatasetKeyOfAccount,
  { isAlone = false, withoutWarnings = false }: ContentsOptions,
): Promise<DatasetContents | undefined> {
  const { query } = db;
  const [[dataset], stored, others, links, ...linkedFiles] = await db.read([
    rowOf(query, key),
    (withoutWarnings ? rowsWithoutWarningsOf : storedRowsOf)(query, key),
    otherRowsOf(query, key),
    linkRowsOf(query, key),
    ...(isAlone ? [] : LINKED_ROWS_OF.map((rowsOf) => rowsOf(query, key))),
  ]);
  if (dataset === undefined) return undefined;
  return {
    dataset: { ...datasetRecordOf(dataset), links: datasetLinksOf(links) },
    files: [...storedFilesOf(stored, key.id), ...others.map(fileOf)],
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
  ownStored(query, parameter).select(STORED_COLUMNS),
);

const BUT_WARNINGS = STORED_COLUMNS.filter((column) => column !== 'warnings');

const rowsWithoutWarningsOf = preparedStatement((query, parameter: ParameterOf<DatasetKeyOfAccount>) =>
  ownStored(query, parameter).select(BUT_WARNINGS).select(sql<string>`'[]'`.as('warnings')),
);

function ownStored(query: Query, parameter: ParameterOf<DatasetKeyOfAccount>) {
  const own = selectOwn(query, parameter).select('id');
  return query.selectFrom('file').where('dataset_id', '=', own).where('state', '=', 'stored');
}

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
