import { isDeepStrictEqual } from 'node:util';
import { countsOf } from '../../dataset/counts.js';
import type { ErrorProblem } from '../../dataset/problems.js';
import { blobKeyOf, type FoundBlob } from '../blobs/blobs.js';
import type { Database, Query } from '../database/database.js';
import {
  filePagesOf,
  inSnapshot,
  type PlainTable,
  PRIMARY_KEYS,
  pagesOf,
  type RunStatement,
  runOn,
} from './catalog-rows.js';
import { countColumns, type DatasetRow, type FileRow, fileColumns, fileOf } from './rows.js';
import { rowChunksOf } from './statements.js';

/** The blob of a received or stored file. */
export interface ReferencedBlob {
  readonly fileId: string;
  readonly key: string;
  readonly filename: string;
  readonly datasetId: string;
  readonly datasetName: string;
  readonly sizeBytes: number;
  /** Lower-case hexadecimal. */
  readonly sha256: string;
}

/** The store lacks a blob that the catalog references: it is lost, or the catalog has changed since the copy. */
export class BlobMissing extends Error {}

export interface CatalogCopyOptions {
  /** Finds blobs in the target's store. */
  readonly find: (keys: readonly string[]) => Promise<Map<string, FoundBlob>>;
  /** Both catalogs use one store, so that the versions of blobs stay. */
  readonly isSameStore: boolean;
  /**
   * The lost files, by id: the target has them as rejected files with this problem. A lost received file stays, and the
   * background check rejects it.
   */
  readonly lost: ReadonlyMap<string, { readonly datasetId: string; readonly problem: ErrorProblem }>;
  readonly signal: AbortSignal;
}

/** Reads the blobs that a catalog references in pages, dataset by dataset. */
export async function* referencedBlobs({ query }: Database): AsyncGenerator<ReferencedBlob[]> {
  for await (const { dataset, files } of filePagesOf(query, runOn(query))) {
    const stored = files.filter(hasBlob);
    if (stored.length > 0) yield stored.map((row) => namedBlobOf(row, dataset));
  }
}

/** The number of received and stored files, and of their bytes. */
export async function storedTotals({ query }: Database): Promise<{ files: number; bytes: number }> {
  const row = await query
    .selectFrom('file')
    .select(({ fn }) => [fn.countAll().as('files'), fn.sum('size_bytes').as('bytes')])
    .where('state', 'in', ['received', 'stored'])
    .executeTakeFirstOrThrow();
  return { files: Number(row.files), bytes: Number(row.bytes ?? 0) };
}

/** True if no table has a row. A row of a file needs one of its dataset. */
export async function isEmptyCatalog({ query }: Database): Promise<boolean> {
  for (const table of Object.keys(PRIMARY_KEYS) as PlainTable[]) {
    for await (const _ of pagesOf(query, runOn(query), table)) return false;
  }
  return true;
}

/** True if two catalogs have the same rows: an earlier copy is complete. Ignores versions of blobs and the trash. */
export async function haveSameRows(from: Database, to: Database): Promise<boolean> {
  return inSnapshot(from, (readOne) =>
    inSnapshot(to, async (readOther) => {
      const [one, other] = [comparableRows(from.query, readOne), comparableRows(to.query, readOther)];
      for (;;) {
        const [a, b] = [await one.next(), await other.next()];
        if (a.done || b.done) return a.done === b.done;
        if (!isDeepStrictEqual(a.value, b.value)) return false;
      }
    }),
  );
}

async function* comparableRows(query: Query, run: RunStatement): AsyncGenerator<object> {
  for (const table of Object.keys(PRIMARY_KEYS) as PlainTable[]) {
    if (table === 'trash') continue;
    for await (const rows of pagesOf(query, run, table)) for (const row of rows) yield { ...row };
  }
  for await (const { files } of filePagesOf(query, run)) {
    for (const file of files) yield { ...file, blob_version: null };
  }
}

/**
 * Copies one snapshot of all rows into an empty catalog, in one transaction, with the versions that the target's store has
 * for the blobs.
 *
 * @throws BlobMissing if the store lacks a blob; the signal's reason
 */
export async function copyCatalog(from: Database, to: Database, options: CatalogCopyOptions): Promise<void> {
  const { lost, signal } = options;
  const damagedDatasets = new Set([...lost.values()].map(({ datasetId }) => datasetId));
  await inSnapshot(from, (read) =>
    inSnapshot(to, async (run, { commit }) => {
      for (const table of Object.keys(PRIMARY_KEYS) as PlainTable[]) {
        for await (const page of pagesOf(from.query, read, table)) {
          signal.throwIfAborted();
          const rows =
            table !== 'dataset' ? page : await withCounts(page as DatasetRow[], { read, from, lost, damagedDatasets });
          for (const chunk of rowChunksOf<object>(rows)) await run(to.query.insertInto(table).values(chunk as never));
        }
      }
      for await (const { dataset, files } of filePagesOf(from.query, read)) {
        signal.throwIfAborted();
        const kept = files.map((row) => rejectedIfLost(row, lost));
        for (const chunk of rowChunksOf(await withVersions(kept, dataset, options))) {
          await run(to.query.insertInto('file').values(chunk));
        }
      }
      await commit([]);
    }),
  );
}

/** Writes the versions that the new store of a catalog has for its blobs, in one transaction. @throws BlobMissing */
export async function rewriteVersions(catalog: Database, options: CatalogCopyOptions): Promise<void> {
  const { query } = catalog;
  await inSnapshot(catalog, async (run, { send, commit }) => {
    for await (const { dataset, files } of filePagesOf(query, run)) {
      options.signal.throwIfAborted();
      const stored = await withVersions(files.filter(hasBlob), dataset, options);
      for (const chunk of rowChunksOf(stored)) {
        await send(
          chunk.map(({ id, blob_version }) => query.updateTable('file').set({ blob_version }).where('id', '=', id)),
        );
      }
    }
    await commit([]);
  });
}

function hasBlob({ state }: FileRow): boolean {
  return state === 'received' || state === 'stored';
}

function namedBlobOf(row: FileRow, dataset: DatasetRow): ReferencedBlob {
  const { id, filename, size_bytes, sha256 } = row;
  if (size_bytes === null || sha256 === null) throw new Error(`The catalog has no SHA-256 of ${filename} (${id}).`);
  const key = blobKeyOf({ id, datasetId: dataset.id });
  const names = { filename, datasetId: dataset.id, datasetName: dataset.name };
  return { fileId: id, key, ...names, sizeBytes: size_bytes, sha256 };
}

/** The rows with the versions of their blobs in the store. @throws BlobMissing */
async function withVersions(rows: FileRow[], dataset: DatasetRow, options: CatalogCopyOptions): Promise<FileRow[]> {
  const keyOf = ({ id }: FileRow) => blobKeyOf({ id, datasetId: dataset.id });
  const found = await options.find(rows.filter(hasBlob).map(keyOf));
  return rows.map((row) => {
    if (!hasBlob(row) || (row.state === 'received' && options.lost.has(row.id))) return row;
    const blob = found.get(keyOf(row));
    if (blob?.sizeBytes !== row.size_bytes) {
      throw new BlobMissing(`${row.filename} of "${dataset.name}" is missing in the blob store of the target.`);
    }
    return options.isSameStore ? row : { ...row, blob_version: blob.version };
  });
}

/** Turns a lost file into a rejected one, so that the status of its dataset reports it. */
function rejectedIfLost(row: FileRow, lost: CatalogCopyOptions['lost']): FileRow {
  const problem = lost.get(row.id)?.problem;
  if (problem === undefined) return row;
  const file = fileOf(row);
  if (file.upload.state !== 'stored') return row;
  const { finalizedAt } = file.upload;
  return fileColumns({ ...file, upload: { state: 'rejected', problem, finalizedAt } });
}

/** Counts the files of the damaged datasets again. */
async function withCounts(
  rows: DatasetRow[],
  context: {
    read: RunStatement;
    from: Database;
    lost: CatalogCopyOptions['lost'];
    damagedDatasets: ReadonlySet<string>;
  },
): Promise<DatasetRow[]> {
  const { read, from, lost, damagedDatasets } = context;
  const counted: DatasetRow[] = [];
  for (const row of rows) {
    if (damagedDatasets.has(row.id)) {
      const files = await read(from.query.selectFrom('file').selectAll().where('dataset_id', '=', row.id));
      const kept = files.map((file) => fileOf(rejectedIfLost(file, lost)));
      counted.push({ ...row, ...countColumns(countsOf(kept, row.updated_at)) });
    } else counted.push(row);
  }
  return counted;
}
