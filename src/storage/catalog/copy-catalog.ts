import { chmod, open, rename, rm } from 'node:fs/promises';
import { dirname } from 'node:path';
import { DatabaseSync } from '@photostructure/sqlite';
import { sql } from 'kysely';
import type { ErrorProblem } from '../../dataset/problems.js';
import { blobKeyOf, type BlobStore } from '../blobs/blobs.js';
import { type Database, query, type Statement } from '../database/database.js';
import { type Schema, TABLES } from '../database/schema.js';
import { openSqlite } from '../database/sqlite.js';
import { syncFolder } from '../folders.js';
import { insertAll, inSnapshot, rowChunksOf } from './rows.js';

/** Few round trips, bounded memory. */
const ROWS_PER_PAGE = 2000;

const HAS_BLOB = sql`state in ('received', 'stored')`;

/** The blob of a received, stored or past file. */
export type ReferencedBlob = ReturnType<typeof blobOf>;

/** The store lacks a blob: it is lost, or the catalog has changed since the copy. */
export class BlobMissing extends Error {}

/** Yields each blob that a catalog references once, one dataset after another. */
export async function* referencedBlobs(run: Database['run']): AsyncGenerator<ReferencedBlob[]> {
  const columns = sql`id, filename, size_bytes, sha256, blob_version, problem`;
  for (const dataset of await run(query.selectFrom('dataset').select(['id', 'name']).orderBy('id'))) {
    const ofDataset = sql<BlobRow>`
      select ${columns}, state from file where dataset_id = ${dataset.id} and ${HAS_BLOB}
      union all select ${columns}, 'past' from past_file where dataset_id = ${dataset.id}`;
    // A restored file is in both.
    const byId = new Map((await run(ofDataset)).map((row) => [row.id, blobOf(row, dataset)]));
    yield* rowChunksOf([...byId.values()].sort((a, b) => (a.key < b.key ? -1 : 1)));
  }
}

type BlobRow = Pick<Schema['file'], 'id' | 'filename' | 'state' | 'size_bytes' | 'sha256' | 'blob_version' | 'problem'>;

function blobOf(row: BlobRow, dataset: { readonly id: string; readonly name: string }) {
  const { id, filename, size_bytes: sizeBytes, sha256, blob_version: version, problem } = row;
  if (sizeBytes === null || sha256 === null) throw new Error(`The catalog has no SHA-256 of ${filename} (${id}).`);
  const key = blobKeyOf({ id, datasetId: dataset.id });
  const names = { fileId: id, key, filename, datasetId: dataset.id, datasetName: dataset.name };
  /** Whether the catalog knows already that the bytes are lost. */
  const isKnownLost = problem !== null && (JSON.parse(problem) as ErrorProblem).code === 'BYTES_LOST';
  // Its check also finds lost bytes.
  const isReceived = row.state === 'received';
  return { ...names, sizeBytes, sha256, version, isKnownLost, isReceived };
}

/** The count and size of all blobs, which may take long to read. */
export async function storedTotals(db: Database): Promise<{ files: number; bytes: number }> {
  const select = sql<{ files: number; bytes: number | null }>`
    select count(*) as files, sum(size_bytes) as bytes
    from (select id, size_bytes from file where ${HAS_BLOB} union select id, size_bytes from past_file) as blob`;
  // SQLite has no timeouts, and a transaction would block the writes of a server.
  const [totals] = db.hasRowLocks ? await inSnapshot(db, (run) => run(select)) : (await db.read([select]))[0];
  return { files: Number(totals?.files), bytes: Number(totals?.bytes ?? 0) };
}

/** True if a catalog was neither served nor has an account. */
export async function isEmptyCatalog({ run }: Database): Promise<boolean> {
  for (const table of ['account', 'setting'] as const) {
    if ((await run(query.selectFrom(table).selectAll().limit(1))).length > 0) return false;
  }
  return true;
}

/** The key that signs the links of an installation and identifies it; `undefined` if it was never served. */
export async function linkKeyOf({ run }: Database): Promise<string | undefined> {
  const [row] = await run(query.selectFrom('setting').select('value').where('name', '=', 'link-key'));
  return row?.value;
}

/**
 * Copies one snapshot of all rows into an empty catalog, unless both are the same, and records the versions of the blobs.
 *
 * @param options.find finds blobs in the store of the target; without it, the store stays the same
 * @throws BlobMissing; the signal's reason
 */
export async function copyCatalog(
  from: Database,
  to: Database,
  { find, signal }: { find: BlobStore['find'] | undefined; signal: AbortSignal },
): Promise<void> {
  await inSnapshot(to, async (run, { send, commit }) => {
    if (from !== to) await inSnapshot(from, (read) => copyRows(read, run, signal));
    if (find !== undefined) {
      for await (const blobs of referencedBlobs(run)) {
        signal.throwIfAborted();
        await send(await newVersions(blobs, find));
      }
    }
    await commit([]);
  });
}

async function copyRows(read: Database['run'], write: Database['run'], signal: AbortSignal): Promise<void> {
  for (const table of Object.keys(TABLES) as (keyof Schema)[]) {
    for await (const rows of pagesOf(read, table)) {
      signal.throwIfAborted();
      for (const insert of insertAll(table, rows as never)) await write(insert);
    }
  }
}

/** Reads all rows of a table in pages, ordered by primary key. */
async function* pagesOf(run: Database['run'], table: keyof Schema): AsyncGenerator<object[]> {
  const { key } = TABLES[table];
  const refs = sql.join(key.map((name) => sql.ref(name)));
  let after = sql``;
  for (;;) {
    const rows = await run(
      sql<Record<string, unknown>>`select * from ${sql.table(table)} ${after} order by ${refs} limit ${ROWS_PER_PAGE}`,
    );
    const last = rows.at(-1);
    if (last !== undefined) yield rows;
    if (last === undefined || rows.length < ROWS_PER_PAGE) return;
    after = sql`where (${refs}) > (${sql.join(key.map((name) => last[name]))})`;
  }
}

/** @throws BlobMissing */
async function newVersions(blobs: readonly ReferencedBlob[], find: BlobStore['find']): Promise<Statement[]> {
  const found = await find(blobs.map(({ key }) => key));
  return blobs.flatMap(({ fileId, key, filename, datasetName, sizeBytes, isKnownLost, isReceived, version }) => {
    const blob = found.get(key);
    if (blob?.sizeBytes !== sizeBytes) {
      if (isKnownLost || isReceived) return [];
      throw new BlobMissing(`${filename} of "${datasetName}" is missing in the file store of the target.`);
    }
    if (blob.version === version) return [];
    return (['file', 'past_file'] as const).map((table) =>
      query.updateTable(table).set({ blob_version: blob.version }).where('id', '=', fileId),
    );
  });
}

/** The suffixes of SQLite's files beside a database (https://sqlite.org/tempfiles.html). */
const SUFFIXES = ['-wal', '-shm', '-journal'];

/** Removes a SQLite catalog that no process has open. */
export async function removeCatalog(path: string): Promise<void> {
  for (const suffix of ['', ...SUFFIXES]) await rm(`${path}${suffix}`, { force: true });
}

/** Copies a snapshot into a new file, even while a server writes (https://sqlite.org/lang_vacuum.html). */
export async function snapshotCatalog(from: string, to: string): Promise<void> {
  const catalog = new DatabaseSync(from, { readOnly: true });
  try {
    catalog.exec('pragma busy_timeout = 30000');
    catalog.prepare('vacuum into ?').run(to);
  } finally {
    catalog.close();
  }
  // The catalog contains secrets.
  await chmod(to, 0o600);
}

/** Renames a catalog, perhaps over an earlier one, atomically and durably. */
export async function replaceCatalog(next: string, catalog: string): Promise<void> {
  const handle = await open(next);
  await handle.sync().finally(() => handle.close());
  // SQLite would apply the write-ahead log of the old catalog to the new one. A damaged catalog is replaced too.
  await openSqlite(catalog, { isSingleFile: true }).then(
    (old) => old.close(),
    () => {},
  );
  for (const suffix of SUFFIXES) await rm(`${catalog}${suffix}`, { force: true });
  await rename(next, catalog);
  await syncFolder(dirname(catalog));
}
