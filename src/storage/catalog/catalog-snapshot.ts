import { existsSync } from 'node:fs';
import { chmod, open, readdir, rename, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { DatabaseSync } from '@photostructure/sqlite';
import type { Database } from '../database/database.js';

/** What SQLite keeps beside a database (https://sqlite.org/tempfiles.html). */
const COMPANIONS = ['-wal', '-shm', '-journal'];

/**
 * Copies a catalog as it is at one moment, also while a server writes to it (https://sqlite.org/lang_vacuum.html). What is
 * under the other path, of an earlier attempt, is thrown away.
 */
export async function snapshotCatalog(from: string, to: string): Promise<void> {
  for (const suffix of ['', ...COMPANIONS]) await rm(`${to}${suffix}`, { force: true });
  const catalog = new DatabaseSync(from, { readOnly: true });
  try {
    catalog.exec('pragma busy_timeout = 30000');
    catalog.prepare('vacuum into ?').run(to);
  } finally {
    catalog.close();
  }
  // There are secrets in it.
  await chmod(to, 0o600);
}

/** Puts a snapshot, a single file, in the place of a catalog, for ever: there is either the old one or the new. */
export async function replaceCatalog(snapshot: string, catalog: string): Promise<void> {
  await sync(snapshot);
  // What was not yet folded into the old catalog would be taken for the new one's.
  if (existsSync(catalog)) {
    try {
      fold(catalog);
    } catch {
      // It is damaged itself, and goes.
    }
  }
  for (const suffix of COMPANIONS) await rm(`${catalog}${suffix}`, { force: true });
  await rename(snapshot, catalog);
  await sync(dirname(catalog));
}

/** Makes of a database a single file again. */
function fold(path: string): void {
  const database = new DatabaseSync(path);
  try {
    database.exec('pragma journal_mode = delete');
  } finally {
    database.close();
  }
}

async function sync(path: string): Promise<void> {
  const handle = await open(path);
  await handle.sync();
  await handle.close();
}

/**
 * Removes from the folder of a `DiskBlobs` what the catalog does not name.
 *
 * @returns how many files that were
 */
export async function deleteOrphanedBlobs({ query }: Database, root: string): Promise<number> {
  let removed = 0;
  for (const shard of await readdir(root)) {
    if (!/^[0-9a-f]{2}$/.test(shard)) continue;
    const names = await readdir(join(root, shard));
    if (names.length === 0) continue;
    const rows = await query
      .selectFrom('file')
      .select('id')
      .where('state', '=', 'stored')
      .where('id', '>=', shard)
      .where('id', '<', `${shard}~`)
      .execute();
    const named = new Set(rows.map(({ id }) => id));
    for (const name of names) {
      if (named.has(name)) continue;
      await rm(join(root, shard, name));
      removed++;
    }
  }
  return removed;
}

/** Tells installations apart; `undefined` of one that has never been served. */
export async function linkKeyOf({ query }: Database): Promise<string | undefined> {
  const row = await query.selectFrom('setting').select('value').where('name', '=', 'link-key').executeTakeFirst();
  return row?.value;
}
