import { existsSync } from 'node:fs';
import { chmod, open, readdir, rename, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { DatabaseSync } from '@photostructure/sqlite';
import type { Database } from '../database/database.js';
import { syncFolder } from '../sync-folder.js';

/** The suffixes of the files that SQLite keeps beside a database (https://sqlite.org/tempfiles.html). */
const SUFFIXES = ['-wal', '-shm', '-journal'];

/**
 * Copies one snapshot of a SQLite catalog into a single file, even while a server writes to the catalog
 * (https://sqlite.org/lang_vacuum.html). It deletes the copy of an earlier attempt.
 */
export async function snapshotCatalog(from: string, to: string): Promise<void> {
  for (const suffix of ['', ...SUFFIXES]) await rm(`${to}${suffix}`, { force: true });
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

/** Replaces a catalog by a snapshot, atomically and durably. */
export async function replaceCatalog(snapshot: string, catalog: string): Promise<void> {
  const handle = await open(snapshot);
  await handle.sync().finally(() => handle.close());
  // SQLite would apply the write-ahead log of the old catalog to the new one.
  if (existsSync(catalog)) {
    try {
      checkpoint(catalog);
    } catch {
      // A damaged catalog is replaced too.
    }
  }
  for (const suffix of SUFFIXES) await rm(`${catalog}${suffix}`, { force: true });
  await rename(snapshot, catalog);
  await syncFolder(dirname(catalog));
}

/** Writes the write-ahead log of a database into its file. */
function checkpoint(path: string): void {
  const database = new DatabaseSync(path);
  try {
    database.exec('pragma journal_mode = delete');
  } finally {
    database.close();
  }
}

/**
 * Deletes the blobs in the folder of a `DiskBlobs` that the catalog does not reference.
 *
 * @returns the number of deleted files
 */
export async function deleteOrphanedBlobs({ query }: Database, root: string): Promise<number> {
  let removed = 0;
  for (const shard of await readdir(root)) {
    if (!/^[0-9a-f]{2}$/.test(shard)) continue;
    const names = await readdir(join(root, shard));
    if (names.length === 0) continue;
    const past = query.selectFrom('past_file').select('id').where('id', '>=', shard).where('id', '<', `${shard}~`);
    const rows = await query
      .selectFrom('file')
      .select('id')
      .where('state', 'in', ['received', 'stored'])
      .where('id', '>=', shard)
      .where('id', '<', `${shard}~`)
      .union(past)
      .execute();
    const referenced = new Set(rows.map(({ id }) => id));
    for (const name of names) {
      if (referenced.has(name)) continue;
      await rm(join(root, shard, name));
      removed++;
    }
  }
  return removed;
}

/** The key that signs the links of an installation, and identifies it; `undefined` if it has never been served. */
export async function linkKeyOf({ query }: Database): Promise<string | undefined> {
  const row = await query.selectFrom('setting').select('value').where('name', '=', 'link-key').executeTakeFirst();
  return row?.value;
}
