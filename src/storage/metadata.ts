import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { Micros } from '../dataset/dataset.js';
import { Accounts } from './accounts.js';
import { Catalog } from './catalog.js';
import { openDatabase } from './database.js';
import { sqliteDialect } from './sqlite.js';

/**
 * The catalog and accounts of a data folder, which is made where it is missing, and into which nobody else on the machine may
 * look. Several processes may open it at once.
 */
export async function openMetadata(config: { dataFolder: string; blobGrace: Micros }) {
  await mkdir(config.dataFolder, { recursive: true, mode: 0o700 });
  const db = await openDatabase(sqliteDialect(join(config.dataFolder, 'catalog.sqlite')));
  return {
    catalog: new Catalog(db, { blobGrace: config.blobGrace }),
    accounts: new Accounts(db),
    close: () => db.destroy(),
  };
}
