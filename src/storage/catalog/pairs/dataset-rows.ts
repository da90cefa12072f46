import { sql } from 'kysely';
import type { Dataset, DatasetFile, LinkSlot, StoredFile } from '../../../dataset/dataset.js';
import type { FileKind } from '../../../dataset/media.js';
import type { LinkedFile } from '../../../dataset/pairs/links.js';
import type { PairFile } from '../../../dataset/pairs/pair-faults.js';
import type { Database, Query } from '../../database/database.js';
import { type ParameterOf, preparedStatement } from '../../database/prepared-statement.js';
import { type DatasetRow, factsReader, fileOf, STORED_COLUMNS, storedFilesOf } from '../rows.js';
import { IS_STORED } from '../statements.js';

/** A dataset id and the account that it must belong to. */
type Key = Pick<Dataset, 'accountId' | 'id'>;

/** A row of `link` with the dataset that it leads to. */
export type LinkRow = DatasetRow & { readonly target_id: string; readonly slot: string };

/** Sound stored files of the datasets that a dataset links to. */
export type LinkedFilesBySlot = ReadonlyMap<LinkSlot, readonly LinkedFile[]>;

/** A dataset with its links at one moment. */
interface DatasetRows {
  readonly row: DatasetRow;
  readonly links: readonly LinkRow[];
}

/** Reads a dataset, its links and all its files from one snapshot; `undefined` if the account has no such dataset. */
export async function readFiles(
  db: Database,
  key: Key,
  { withLinkedFiles }: { withLinkedFiles: boolean },
): Promise<(DatasetRows & { files: readonly DatasetFile[]; linkedFiles: LinkedFilesBySlot }) | undefined> {
  const { query } = db;
  const [[row], links, stored, others, ...linkedFiles] = await db.read([
    rowOf(query, key),
    linkRowsOf(query, key),
    storedRowsOf(query, key),
    otherRowsOf(query, key),
    ...(withLinkedFiles ? [linkedRowsOf(query, key)] : []),
  ]);
  if (row === undefined) return undefined;
  const files = [...storedFilesOf(stored, key.id), ...others.map(fileOf)];
  return { row, links, files, linkedFiles: linkedFilesOf(linkedFiles.flat()) };
}

/**
 * Reads the stored files of a dataset from one snapshot, as if they had no warnings: those of ten thousand files may take a hundred
 * megabytes. `undefined` if the account has no such dataset.
 */
export async function readStoredFiles(
  db: Database,
  key: Key,
): Promise<{ name: string; files: StoredFile[] } | undefined> {
  const [[row], stored] = await db.read([rowOf(db.query, key), rowsWithoutWarningsOf(db.query, key)]);
  return row && { name: row.name, files: storedFilesOf(stored, key.id) };
}

/** Reads a dataset, its links and what their pairs depend on from one snapshot. */
export async function readPairs(
  db: Database,
  key: Key,
): Promise<(DatasetRows & { media: readonly PairFile[]; linkedFiles: LinkedFilesBySlot }) | undefined> {
  const { query } = db;
  const [[row], links, media, linkedFiles] = await db.read([
    rowOf(query, key),
    linkRowsOf(query, key),
    mediaOf(query, key),
    linkedRowsOf(query, key),
  ]);
  if (row === undefined) return undefined;
  const factsOf = factsReader();
  const pairFileOf = ({ filename, kind, facts }: (typeof media)[number]): PairFile => {
    return { filename, kind: kind as FileKind, upload: { facts: factsOf(facts) } };
  };
  return { row, links, media: media.map(pairFileOf), linkedFiles: linkedFilesOf(linkedFiles) };
}

/** Selects the links of target datasets; each target's in the order of the slots. */
export function linksOf(query: Query) {
  return query
    .selectFrom('link')
    .innerJoin('dataset', 'dataset.id', 'link.linked_id')
    .selectAll('dataset')
    .select(['link.dataset_id as target_id', 'link.slot'])
    .orderBy('link.slot');
}

function selectOwn(query: Query, parameter: ParameterOf<Key>) {
  return query.selectFrom('dataset').where('id', '=', parameter('id')).where('account_id', '=', parameter('accountId'));
}

const rowOf = preparedStatement((query, parameter: ParameterOf<Key>) => selectOwn(query, parameter).selectAll());

/** Nearly all rows are stored files. To skip their empty columns saves a third of the cost of reading them. */
const storedRowsOf = preparedStatement((query, parameter: ParameterOf<Key>) =>
  ownStored(query, parameter).select(STORED_COLUMNS),
);

const BUT_WARNINGS = STORED_COLUMNS.filter((column) => column !== 'warnings');

const rowsWithoutWarningsOf = preparedStatement((query, parameter: ParameterOf<Key>) =>
  ownStored(query, parameter).select(BUT_WARNINGS).select(sql<string>`'[]'`.as('warnings')),
);

const mediaOf = preparedStatement((query, parameter: ParameterOf<Key>) =>
  ownStored(query, parameter)
    .select(['filename', 'kind', 'facts'])
    .where('kind', '<>', 'caption')
    .where('problem', 'is', null),
);

function ownStored(query: Query, parameter: ParameterOf<Key>) {
  const own = selectOwn(query, parameter).select('id');
  return query.selectFrom('file').where('dataset_id', '=', own).where('state', '=', 'stored');
}

const otherRowsOf = preparedStatement((query, parameter: ParameterOf<Key>) => {
  const having = selectOwn(query, parameter).where(({ eb }) =>
    eb(eb(eb('pending', '+', eb.ref('rejected')), '+', eb.ref('received')), '>', 0),
  );
  return query
    .selectFrom('file')
    .selectAll()
    .where('dataset_id', '=', having.select('id'))
    .where('state', '<>', IS_STORED);
});

const linkRowsOf = preparedStatement((query, parameter: ParameterOf<Key>) =>
  linksOf(query).where('link.dataset_id', '=', selectOwn(query, parameter).select('id')),
);

/** The warnings about a mask decide something in its targets, those about a control don't. */
const linkedRowsOf = preparedStatement((query, parameter: ParameterOf<Key>) =>
  query
    .selectFrom('link')
    .innerJoin('file', 'file.dataset_id', 'link.linked_id')
    .select(['link.slot', 'file.filename', 'file.kind', 'file.facts', 'file.sha256'])
    .select(sql<string | null>`case when link.slot = 'mask' then file.warnings end`.as('warnings'))
    .where('link.dataset_id', '=', selectOwn(query, parameter).select('id'))
    .where('file.state', '=', 'stored')
    .where('file.problem', 'is', null),
);

interface LinkedFileRow {
  readonly slot: string;
  readonly filename: string;
  readonly kind: string;
  readonly facts: string | null;
  readonly sha256: string | null;
  readonly warnings: string | null;
}

function linkedFilesOf(rows: readonly LinkedFileRow[]): LinkedFilesBySlot {
  const factsOf = factsReader();
  const files = new Map<LinkSlot, LinkedFile[]>();
  for (const { slot, filename, kind, facts, sha256, warnings } of rows) {
    const ofSlot = files.get(slot as LinkSlot) ?? [];
    files.set(slot as LinkSlot, ofSlot);
    ofSlot.push({
      ...{ filename, kind: kind as FileKind },
      upload: { facts: factsOf(facts), sha256: sha256 ?? '', warnings: warnings === null ? [] : JSON.parse(warnings) },
    });
  }
  return files;
}
