import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { microsClock } from '../../clock.js';
import type { Micros } from '../../dataset/dataset.js';
import { openSqlite } from '../database/sqlite.js';
import { Accounts } from './accounts.js';
import { Catalog } from './catalog.js';

export interface CatalogConfig {
  readonly dataFolder: string;
  readonly blobGrace: Micros;
  /** Of a Postgres database; without it, SQLite in the data folder. */
  readonly databaseUrl?: string | undefined;
}

/** The catalog, the accounts, and the clock by which everything in them is judged. */
export interface OpenCatalog {
  readonly catalog: Catalog;
  readonly accounts: Accounts;
  readonly now: () => Micros;
  /** Of a database elsewhere, as it may be shown. */
  readonly databaseName: string | undefined;
  readonly close: () => Promise<void>;
}

/**
 * Opens the metadata of an installation and brings its tables up to date. Several processes may have it open at once.
 *
 * @throws BackendUnusable
 */
export async function openCatalog(config: CatalogConfig): Promise<OpenCatalog> {
  const { databaseUrl, blobGrace, dataFolder } = config;
  if (databaseUrl === undefined) return openInFolder(dataFolder, { blobGrace });
  // Loaded here, so that nobody who does without it waits for its code.
  const { openOnPostgres } = await import('./postgres-metadata.js');
  return openOnPostgres(databaseUrl, { blobGrace });
}

/** The data folder is made where it is missing, and nobody else on the machine may look into it. */
async function openInFolder(dataFolder: string, options: { blobGrace: Micros }): Promise<OpenCatalog> {
  await mkdir(dataFolder, { recursive: true, mode: 0o700 });
  const db = await openSqlite(join(dataFolder, 'catalog.sqlite'));
  return {
    catalog: new Catalog(db, options),
    accounts: new Accounts(db),
    now: microsClock(),
    databaseName: undefined,
    close: () => db.close(),
  };
}
