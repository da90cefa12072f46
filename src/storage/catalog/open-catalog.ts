import { microsClock } from '../../clock.js';
import type { Micros } from '../../dataset/dataset.js';
import { dataFolderPaths, makePrivateFolder } from '../data-folder.js';
import { ChangeFeed } from '../database/change-feed.js';
import { openSqlite } from '../database/sqlite.js';
import { Accounts } from './accounts.js';
import { Catalog } from './catalog.js';
import { Rechecks } from './rechecks.js';
import { TokenCache } from './token-cache.js';

export interface CatalogConfig {
  readonly dataFolder: string;
  readonly blobGrace: Micros;
  /** The URL of a Postgres database; without it, the catalog is a SQLite file in the data folder. */
  readonly databaseUrl?: string | undefined;
}

/** The catalog, the accounts, the rechecks, and the clock that sets and compares all times in them. */
export interface OpenCatalog {
  readonly catalog: Catalog;
  readonly accounts: Accounts;
  readonly rechecks: Rechecks;
  readonly now: () => Micros;
  /** The Postgres database, without its password; `undefined` for SQLite. */
  readonly databaseName: string | undefined;
  readonly close: () => Promise<void>;
}

/**
 * Opens the catalog of an installation and creates or upgrades its tables. Several processes may have it open at once.
 *
 * @param options.localClock the clock of this process, in microseconds
 * @throws BackendUnusable
 */
export async function openCatalog(
  { databaseUrl, dataFolder, blobGrace }: CatalogConfig,
  options: { localClock?: () => Micros } = {},
): Promise<OpenCatalog> {
  if (databaseUrl !== undefined) return openOnPostgres(databaseUrl, { blobGrace, ...options });
  await makePrivateFolder(dataFolder);
  const db = await openSqlite(dataFolderPaths(dataFolder).catalog);
  return {
    catalog: new Catalog(db, { blobGrace }),
    accounts: new Accounts(db),
    rechecks: new Rechecks(db),
    now: microsClock(options.localClock, options.localClock),
    databaseName: undefined,
    close: () => db.close(),
  };
}

/**
 * Opens the catalog in a Postgres database, which any number of processes share: they notify one another of changes, and
 * use the database's clock.
 */
async function openOnPostgres(
  url: string,
  { blobGrace, localClock }: { blobGrace: Micros; localClock?: () => Micros },
): Promise<OpenCatalog> {
  // Imported only here, so that a process without Postgres does not load this code.
  const [{ databaseNameOf, openPostgres }, { DatabaseClock }, { Notifications }] = await Promise.all([
    import('../database/postgres.js'),
    import('../database/database-clock.js'),
    import('../database/notifications.js'),
  ]);
  const db = await openPostgres(url);
  const clock = await DatabaseClock.open(db.query, localClock).catch(async (error) => {
    await db.close();
    throw error;
  });
  const changes = new ChangeFeed();
  const tokens = new TokenCache();
  const notifications = new Notifications(url, db.query, {
    onMessage: (message) => {
      if (message === 'tokens') tokens.clear();
      else changes.announce(message.slice('dataset '.length));
    },
    onConnect: () => {
      tokens.isConnected = true;
      changes.announceGap();
    },
    onDisconnect: () => {
      tokens.isConnected = false;
    },
  });
  const { notifyInstances } = notifications;
  return {
    catalog: new Catalog(db, { blobGrace, changeFeed: changes, notifyInstances }),
    accounts: new Accounts(db, { tokens, notifyInstances }),
    rechecks: new Rechecks(db),
    now: clock.now,
    databaseName: databaseNameOf(url),
    close: async () => {
      clock.close();
      await notifications.close();
      await db.close();
    },
  };
}
