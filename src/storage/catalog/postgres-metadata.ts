import type { Micros } from '../../dataset/dataset.js';
import { ChangeFeed } from '../database/change-feed.js';
import { DatabaseClock } from '../database/database-clock.js';
import { Notifications } from '../database/notifications.js';
import { databaseNameOf, openPostgres } from '../database/postgres.js';
import { Accounts } from './accounts.js';
import { Catalog } from './catalog.js';
import type { OpenCatalog } from './open-catalog.js';
import { TokenCache } from './token-cache.js';

/**
 * The metadata on a Postgres database, which any number of processes share: they hear of each other's changes, and the
 * database's clock is everybody's.
 *
 * @param options.localClock where the process takes the time between two looks at the database's clock, in microseconds
 * @throws BackendUnusable
 */
export async function openOnPostgres(
  url: string,
  options: { blobGrace: Micros; localClock?: () => Micros },
): Promise<OpenCatalog> {
  const db = await openPostgres(url);
  const clock = await DatabaseClock.open(db.query, options.localClock).catch(async (error) => {
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
  const { notifyInstances: tellOthers } = notifications;
  return {
    catalog: new Catalog(db, { blobGrace: options.blobGrace, changes, notifyInstances: tellOthers }),
    accounts: new Accounts(db, { tokens, tellOthers }),
    now: clock.now,
    databaseName: databaseNameOf(url),
    close: async () => {
      clock.close();
      await notifications.close();
      await db.close();
    },
  };
}
