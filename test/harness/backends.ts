import { readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, onTestFinished } from 'vitest';
import { Accounts } from '../../src/storage/accounts.js';
import type { BlobStore } from '../../src/storage/blobs.js';
import { Catalog, type CatalogOptions } from '../../src/storage/catalog.js';
import { openDatabase } from '../../src/storage/database.js';
import { DiskBlobs } from '../../src/storage/disk-blobs.js';
import { sqliteDialect } from '../../src/storage/sqlite.js';
import { temporaryFolder } from './server.js';

/** A way to open something real and empty, for one test alone; what it opens is closed and removed with the test. */
export interface Backend<T> {
  readonly name: string;
  readonly open: () => Promise<T>;
}

async function folderForTest(): Promise<string> {
  const folder = await temporaryFolder();
  onTestFinished(() => rm(folder, { recursive: true, force: true }));
  return folder;
}

/** Every database that the catalog runs on. */
export const catalogs: readonly Backend<{ catalog: Catalog; accounts: Accounts; accountId: string }>[] = [
  {
    name: 'SQLite',
    open: async () => {
      const db = await openDatabase(sqliteDialect(join(await folderForTest(), 'catalog.sqlite')));
      onTestFinished(() => db.destroy());
      const options: CatalogOptions = { blobGrace: 1000 };
      const accounts = new Accounts(db);
      const { token } = await accounts.createToken('tester', 1);
      const accountId = (await accounts.accountOf(token))!;
      return { catalog: new Catalog(db, options), accounts, accountId };
    },
  },
];

/** Every store that blobs are kept in. `keys` lists what is really there, half-received bytes included. */
export const blobStores: readonly Backend<{ blobs: BlobStore; keys: () => Promise<string[]> }>[] = [
  {
    name: 'disk',
    open: async () => {
      const folder = await folderForTest();
      const blobs = await DiskBlobs.open(folder);
      onTestFinished(() => blobs.close());
      return { blobs, keys: () => filesBelow(folder) };
    },
  },
];

async function filesBelow(folder: string): Promise<string[]> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  return entries
    .filter((entry) => entry.isFile())
    .map((entry) => entry.name)
    .sort();
}

/** One suite over every backend. */
export function onEach<T>(backends: readonly Backend<T>[], suite: (open: () => Promise<T>) => void): void {
  for (const { name, open } of backends) describe(`on ${name}`, () => suite(open));
}
