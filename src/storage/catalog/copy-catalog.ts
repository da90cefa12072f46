import { isDeepStrictEqual } from 'node:util';
import { countsOf } from '../../dataset/counts.js';
import type { DatasetFile } from '../../dataset/dataset.js';
import type { ErrorProblem } from '../../dataset/problems.js';
import { blobKeyOf, type FoundBlob } from '../blobs/blobs.js';
import type { Database, Query } from '../database/database.js';
import {
  filePagesOf,
  type PlainTable,
  PRIMARY_KEYS,
  pagesOf,
  type RunStatement,
  runOn,
  inSnapshot,
} from './catalog-rows.js';
import { countColumns, type DatasetRow, datasetOf, type FileRow, fileColumns, fileOf } from './rows.js';
import { rowChunksOf } from './statements.js';

/** A stored file, as far as its bytes go. */
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

/** The catalog names bytes that are not there, or it has changed since they were copied. */
export class BlobMissing extends Error {}

/** How rows are changed on their way. */
export interface CatalogCopyOptions {
  /** What the target's store has of these blobs. */
  readonly find: (keys: readonly string[]) => Promise<Map<string, FoundBlob>>;
  /** The bytes stay where they are, and so do their versions. */
  readonly isSameStore: boolean;
  /** Files that are to be refused in the target, by their ids, and why. */
  readonly lost: ReadonlyMap<string, { readonly datasetId: string; readonly problem: ErrorProblem }>;
  readonly signal: AbortSignal;
}

/** All bytes that a catalog names, those of a dataset together, some thousands at a time. */
export async function* referencedBlobs({ query }: Database): AsyncGenerator<ReferencedBlob[]> {
  for await (const { dataset, files } of filePagesOf(query, runOn(query))) {
    const stored = files.filter(isStored);
    if (stored.length > 0) yield stored.map((row) => namedBlobOf(row, dataset));
  }
}

/** How much that is. */
export async function totalsOf({ query }: Database): Promise<{ files: number; bytes: number }> {
  const row = await query
    .selectFrom('file')
    .select(({ fn }) => [fn.countAll().as('files'), fn.sum('size_bytes').as('bytes')])
    .where('state', '=', 'stored')
    .executeTakeFirstOrThrow();
  return { files: Number(row.files), bytes: Number(row.bytes ?? 0) };
}

/** Whether there are no datasets, accounts or secrets in it. */
export async function isEmptyCatalog({ query }: Database): Promise<boolean> {
  for (const table of Object.keys(PRIMARY_KEYS) as PlainTable[]) {
    for await (const _ of pagesOf(query, runOn(query), table)) return false;
  }
  return true;
}

/** Whether an earlier copy was completed, and nothing has changed since but what the bytes are called, and the trash. */
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
 * Copies all rows as they are at one moment into an empty catalog, in one transaction; what a file's bytes are called is
 * what the target's store calls them.
 *
 * @throws BytesMissing where the store has not all that the rows name; the signal's reason
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
            table !== 'dataset' ? page : await recounted(page as DatasetRow[], { read, from, lost, damagedDatasets });
          for (const chunk of rowChunksOf<object>(rows)) await run(to.query.insertInto(table).values(chunk as never));
        }
      }
      for await (const { dataset, files } of filePagesOf(from.query, read)) {
        signal.throwIfAborted();
        const kept = files.map((row) => refused(row, lost));
        for (const chunk of rowChunksOf(await versioned(kept, dataset, options))) {
          await run(to.query.insertInto('file').values(chunk));
        }
      }
      await commit([]);
    }),
  );
}

/** Where the bytes have moved and the catalog stays: writes what they are called now, in one transaction. */
export async function rewriteVersions(catalog: Database, options: CatalogCopyOptions): Promise<void> {
  const { query } = catalog;
  await inSnapshot(catalog, async (run, { send, commit }) => {
    for await (const { dataset, files } of filePagesOf(query, run)) {
      options.signal.throwIfAborted();
      const stored = await versioned(files.filter(isStored), dataset, options);
      for (const chunk of rowChunksOf(stored)) {
        await send(
          chunk.map(({ id, blob_version }) => query.updateTable('file').set({ blob_version }).where('id', '=', id)),
        );
      }
    }
    await commit([]);
  });
}

function isStored(row: FileRow): boolean {
  return row.state === 'stored';
}

function namedBlobOf(row: FileRow, dataset: DatasetRow): ReferencedBlob {
  const { id, filename, size_bytes, sha256 } = row;
  if (size_bytes === null || sha256 === null) throw new Error(`The catalog has no SHA-256 of ${filename} (${id}).`);
  const key = blobKeyOf({ id, datasetId: dataset.id });
  return {
    fileId: id,
    key,
    filename,
    datasetId: dataset.id,
    datasetName: dataset.name,
    sizeBytes: size_bytes,
    sha256,
  };
}

/** @throws BytesMissing */
async function versioned(rows: FileRow[], dataset: DatasetRow, options: CatalogCopyOptions): Promise<FileRow[]> {
  const keyOf = ({ id }: FileRow) => blobKeyOf({ id, datasetId: dataset.id });
  const found = await options.find(rows.filter(isStored).map(keyOf));
  return rows.map((row) => {
    if (!isStored(row)) return row;
    const blob = found.get(keyOf(row));
    if (blob?.sizeBytes !== row.size_bytes) {
      throw new BlobMissing(`${row.filename} of "${dataset.name}" is not in the store that it is to be read from.`);
    }
    return options.isSameStore ? row : { ...row, blob_version: blob.version };
  });
}

/** A file whose bytes are lost becomes one that was refused, so that its dataset says so. */
function refused(row: FileRow, lost: CatalogCopyOptions['lost']): FileRow {
  const problem = lost.get(row.id)?.problem;
  return problem === undefined ? row : fileColumns(refusedFile(fileOf(row), problem));
}

function refusedFile(file: DatasetFile, problem: ErrorProblem): DatasetFile {
  const finalizedAt = file.upload.state === 'pending' ? file.createdAt : file.upload.finalizedAt;
  return { ...file, upload: { state: 'rejected', problem, finalizedAt } };
}

/** Datasets of which files are lost are counted anew. */
async function recounted(
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
    if (!damagedDatasets.has(row.id)) {
      counted.push(row);
      continue;
    }
    const files = await read(from.query.selectFrom('file').selectAll().where('dataset_id', '=', row.id));
    const counts = countsOf(
      files.map((file) => fileOf(refused(file, lost))),
      datasetOf(row).counts.lastActivity,
    );
    counted.push({ ...row, ...countColumns(counts) });
  }
  return counted;
}
