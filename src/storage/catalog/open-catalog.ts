import { sql } from 'kysely';
import { microsClock } from '../../clock.js';
import type { Micros } from '../../dataset/dataset.js';
import { dataFolderPaths, makePrivateFolder } from '../data-folder.js';
import { type Database, query } from '../database/database.js';
import { openSqlite } from '../database/sqlite.js';
import { Accounts } from './accounts.js';
import { Catalog, type CatalogOptions } from './catalog.js';
import { Jobs } from './jobs.js';
import { CaptionRuns } from './captioning.js';

export interface CatalogConfig extends Pick<CatalogOptions, 'blobGrace' | 'captionGrace' | 'accountLimits'> {
  readonly dataFolder: string;
  /** A Postgres URL; without it, the catalog is a SQLite file in the data folder. */
  readonly databaseUrl?: string | undefined;
}

/** An open catalog, with the clock for all times in it. */
export interface OpenCatalog extends ReturnType<typeof partsOn> {
  readonly now: () => Micros;
  /** The time for other machines. Unlike `now`, it does not run ahead after the clock was set back. */
  readonly machineTime: () => Micros;
  /** A Postgres database without its password; `undefined` for SQLite. */
  readonly databaseName: string | undefined;
  readonly close: () => Promise<void>;
}

interface OpenOptions {
  readonly localClock?: () => Micros;
  readonly onWarning?: (message: string) => void;
}

/** Opens the catalog of an installation and creates or upgrades its tables. @throws BackendUnusable */
export async function openCatalog(
  { databaseUrl, dataFolder, ...catalogOptions }: CatalogConfig,
  options: OpenOptions = {},
): Promise<OpenCatalog> {
  if (databaseUrl !== undefined) return openOnPostgres(databaseUrl, { ...catalogOptions, ...options });
  await makePrivateFolder(dataFolder);
  const db = await openSqlite(dataFolderPaths(dataFolder).catalog);
  return {
    ...partsOn(db, catalogOptions),
    now: microsClock(options.localClock, options.localClock),
    machineTime: () => Date.now() * 1000,
    databaseName: undefined,
    close: () => db.close(),
  };
}

function partsOn(database: Database, options: CatalogOptions) {
  const catalog = new Catalog(database, options);
  const [accounts, jobs] = [new Accounts(database), new Jobs(database)];
  const captionRuns = new CaptionRuns(database, catalog.changes);
  return { catalog, accounts, jobs, captionRuns, database };
}

/** Opens the catalog in Postgres, whose processes notify one another of changes and use the database's clock. */
async function openOnPostgres(
  url: string,
  { localClock, onWarning, ...catalogOptions }: Omit<CatalogConfig, 'databaseUrl' | 'dataFolder'> & OpenOptions,
): Promise<OpenCatalog> {
  // Imported here, so that a process without Postgres does not load this code.
  const { databaseNameOf, openDatabaseClock, openPostgres } = await import('../database/postgres.js');
  const { Notifications } = await import('../database/notifications.js');
  const db = await openPostgres(url);
  const clock = await openDatabaseClock(db, localClock).catch(async (error) => {
    await db.close();
    throw error;
  });
  const notifications = new Notifications(url, db, onWarning);
  return {
    ...partsOn(db, { ...catalogOptions, changeFeed: notifications.changes }),
    now: clock.now,
    machineTime: clock.estimate,
    databaseName: databaseNameOf(url),
    close: async () => {
      clock.close();
      await notifications.close();
      await db.close();
    },
  };
}

/** The value of a setting, which the first call creates. It never changes. */
export async function installationSetting({ run }: Database, name: string, make: () => string): Promise<string> {
  await run(sql`insert into setting (name, value) values (${name}, ${make()}) on conflict (name) do nothing`);
  const [setting] = await run(query.selectFrom('setting').select('value').where('name', '=', name));
  return setting!.value;
}
