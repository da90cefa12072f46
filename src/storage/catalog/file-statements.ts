import { type Compilable, type Selectable, sql } from 'kysely';
import { COUNT_FIELDS, type StemCounts } from '../../dataset/counts.js';
import { type DatasetFile, liveUntil, type Micros, type PendingFile } from '../../dataset/dataset.js';
import type { FileKind } from '../../dataset/media.js';
import { blobKeyOf } from '../blobs/blobs.js';
import type { Query } from '../database/database.js';
import { type ParameterOf, preparedStatement } from '../database/prepared-statement.js';
import type { Schema } from '../database/schema.js';
import { FILE_COLUMNS, type FileRow, fileColumns, UPLOAD_COLUMNS } from './rows.js';

/** Stays below the number of parameters a statement may have: 32,766 in SQLite, 65,535 in Postgres. */
export const ROWS_PER_STATEMENT = 500;

/** In the text rather than among the parameters: SQLite takes an index over some rows only where the text names them. */
export const IS_PENDING = sql<string>`'pending'`;
export const IS_PRESIGNED = sql<string>`'presigned'`;

/** One dataset. */
export const datasetById = preparedStatement((query, slot: ParameterOf<string>) =>
  query
    .selectFrom('dataset')
    .selectAll()
    .where(
      'id',
      '=',
      slot((id) => id),
    ),
);

/** One dataset, which nobody else changes until the end of the transaction. */
export const lockedDatasetById = preparedStatement((query, slot: ParameterOf<string>) =>
  query
    .selectFrom('dataset')
    .selectAll()
    .where(
      'id',
      '=',
      slot((id) => id),
    )
    .forNoKeyUpdate(),
);

const filesOfStem = preparedStatement((query, slot: ParameterOf<{ datasetId: string; stem: string }>) =>
  query
    .selectFrom('file')
    .selectAll()
    .where(
      'dataset_id',
      '=',
      slot((of) => of.datasetId),
    )
    .where(
      'stem',
      '=',
      slot((of) => of.stem),
    ),
);

/** As `filesOfStems`, to be sent in a transaction. */
export function groupsOfStems(
  query: Query,
  datasetId: string,
  stems: readonly string[],
): readonly Compilable<Selectable<Schema['file']>>[] {
  const [stem, ...others] = stems;
  if (stem !== undefined && others.length === 0) return [filesOfStem(query, { datasetId, stem })];
  return filesOfStems(query, datasetId, stems);
}

/** All rows of some stems of a dataset. */
export function filesOfStems(query: Query, datasetId: string, stems: readonly string[]) {
  return rowChunksOf(stems).map((chunk) =>
    query.selectFrom('file').selectAll().where('dataset_id', '=', datasetId).where('stem', 'in', chunk),
  );
}

/** Good files of a dataset behind a name, `limit` at the most. */
export interface FilePage {
  readonly datasetId: string;
  readonly after: string;
  readonly kind?: FileKind | undefined;
  readonly limit: number;
}

/** A page of files in the order of their names, which the index of settled names gives without reading the others. */
export function storedAfter(query: Query, { datasetId, after, kind, limit }: FilePage) {
  const page = query
    .selectFrom('file')
    .selectAll()
    .where('dataset_id', '=', datasetId)
    .where('state', '<>', IS_PENDING)
    .where('state', '=', 'stored')
    .where('filename', '>', after)
    .orderBy('filename')
    .limit(limit);
  return kind === undefined ? page : page.where('kind', '=', kind);
}

/** Writes what a change made of the rows. */
export function writeDifference(
  query: Query,
  { removed, written }: { removed: readonly DatasetFile[]; written: readonly DatasetFile[] },
) {
  return [
    // What goes makes room for what takes its name.
    ...rowChunksOf(removed.map((file) => file.id)).map((chunk) => query.deleteFrom('file').where('id', 'in', chunk)),
    ...rowChunksOf(written).map((chunk) => upsert(query, chunk)),
  ];
}

/** Gives bytes to the trash; those that a presigned link may still bring, once it can't any more. */
export function discard(
  query: Query,
  files: readonly DatasetFile[],
  { now, blobGrace }: { now: Micros; blobGrace: Micros },
) {
  const unusedFrom = ({ upload }: DatasetFile) =>
    upload.state === 'pending' && upload.via === 'presigned' ? Math.max(now, liveUntil(upload)) : now;
  return rowChunksOf(files).map((chunk) =>
    query
      .insertInto('trash')
      .values(chunk.map((file) => ({ blob_key: blobKeyOf(file), delete_after: unusedFrom(file) + blobGrace })))
      .onConflict((conflict) => conflict.column('blob_key').doNothing()),
  );
}

function upsert(query: Query, files: readonly DatasetFile[]) {
  const rows = files.map(fileColumns);
  const [row, ...others] = rows;
  return row !== undefined && others.length === 0 ? upsertRow(query, row) : upsertOf(query, rows);
}

const upsertRow = preparedStatement((query, slot: ParameterOf<FileRow>) =>
  upsertOf(query, [
    Object.fromEntries(FILE_COLUMNS.map((name) => [name, slot((row) => row[name])])) as unknown as FileRow,
  ]),
);

function upsertOf(query: Query, rows: readonly FileRow[]) {
  return query
    .insertInto('file')
    .values(rows)
    .onConflict((conflict) =>
      conflict
        .column('id')
        .doUpdateSet((eb) =>
          Object.fromEntries(UPLOAD_COLUMNS.map((column) => [column, eb.ref(`excluded.${column}`)])),
        ),
    );
}

/** Adds a file where its dataset exists and is the account's. */
export const insertFile = preparedStatement((query, slot: ParameterOf<{ accountId: string; row: FileRow }>) =>
  query
    .insertInto('file')
    .columns(FILE_COLUMNS)
    .expression((eb) =>
      eb
        .selectFrom('dataset')
        .select(FILE_COLUMNS.map((name) => eb.val(slot(({ row }) => row[name])).as(name)))
        .where(
          'id',
          '=',
          slot(({ row }) => row.dataset_id),
        )
        .where(
          'account_id',
          '=',
          slot(({ accountId }) => accountId),
        ),
    ),
);

/** Moves the counts of a dataset by a promise that is added; gives the dataset. */
export const countReservation = preparedStatement(
  (query, slot: ParameterOf<{ accountId: string; file: PendingFile }>) => {
    const aliveUntil = slot(({ file }) => liveUntil(file.upload));
    return query
      .updateTable('dataset')
      .set((eb) => ({
        pending: eb('pending', '+', 1),
        pending_until: eb
          .case()
          .when('pending_until', '>', aliveUntil)
          .then(eb.ref('pending_until'))
          .else(eb.val(aliveUntil))
          .end(),
        updated_at: slot(({ file }) => file.createdAt),
      }))
      .where(
        'id',
        '=',
        slot(({ file }) => file.datasetId),
      )
      .where(
        'account_id',
        '=',
        slot(({ accountId }) => accountId),
      )
      .returningAll();
  },
);

/** Writes the counts of a dataset, and works out when the last of its pending uploads stops being alive. */
export const writeCounts = preparedStatement(
  (query, slot: ParameterOf<{ datasetId: string; counts: StemCounts; lastActivity: Micros }>) => {
    const datasetId = slot((of) => of.datasetId);
    const pendingUntil = query
      .selectFrom('file')
      .select(({ fn }) => fn.max('alive_until').as('latest'))
      .where('dataset_id', '=', datasetId)
      .where('state', '=', IS_PENDING);
    return query
      .updateTable('dataset')
      .set({
        ...(Object.fromEntries(
          COUNT_FIELDS.map((name) => [name, slot(({ counts }) => counts[name])]),
        ) as unknown as StemCounts),
        updated_at: slot((of) => of.lastActivity),
        pending_until: pendingUntil,
      })
      .where('id', '=', datasetId)
      .returning('pending_until');
  },
);

/** Gives the bytes of a whole dataset to the trash as `discard` does, those that may be there included. */
export function discardDataset(
  query: Query,
  key: { accountId: string; id: string },
  { now, blobGrace }: { now: Micros; blobGrace: Micros },
) {
  const files = query
    .selectFrom('file')
    .innerJoin('dataset', 'dataset.id', 'file.dataset_id')
    .where('dataset.id', '=', key.id)
    .where('dataset.account_id', '=', key.accountId)
    .where('file.state', '<>', 'rejected')
    .select((eb) => [
      // As `blobKeyOf` has it.
      sql<string>`dataset.id || '/' || file.id`.as('blob_key'),
      eb
        .case()
        .when(eb.and([eb('file.via', '=', IS_PRESIGNED), eb('file.alive_until', '>', now)]))
        .then(eb('file.alive_until', '+', blobGrace))
        .else(eb.val(now + blobGrace))
        .end()
        .as('delete_after'),
    ]);
  return query.insertInto('trash').columns(['blob_key', 'delete_after']).expression(files);
}

/** Pieces that fit into one statement. */
export function rowChunksOf<T>(items: readonly T[]): T[][] {
  const chunks: T[][] = [];
  for (let i = 0; i < items.length; i += ROWS_PER_STATEMENT) chunks.push(items.slice(i, i + ROWS_PER_STATEMENT));
  return chunks;
}
