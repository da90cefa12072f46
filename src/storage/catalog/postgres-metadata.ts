import type { Micros } from '../../dataset/dataset.js';
import { Accounts } from './accounts.js';
import { Catalog } from './catalog.js';
import { Changes } from '../database/change-feed.js';
import { DatabaseClock } from '../database/database-clock.js';
import type { Metadata } from './open-catalog.js';
import { Notifications } from '../database/notifications.js';
import { nameOf, openPostgres } from '../database/postgres.js';
import { TokenCache } from './token-cache.js';

/**
 * The metadata on a Postgres database, which any number of processes share: they hear of each other's changes, and the
 * database's clock is everybody's.
 *
 * @param options.localClock where the process takes the time between two looks at the database's clock, in microseconds
 * @throws DatabaseUnfit
 */
export async function openOnPostgres(
  url: string,
  options: { blobGrace: Micros; localClock?: () => Micros },
): Promise<Metadata> {
  const db = await openPostgres(url);
  const clock = await DatabaseClock.open(db.query, options.localClock).catch(async (error) => {
    await db.close();
    throw error;
  });
  const changes = new Changes();
  const tokens = new TokenCache();
  const notifications = new Notifications(url, db.query, {
    onMessage: (message) => {
      if (message === 'tokens') tokens.clear();
      else changes.announce(message.slice('dataset '.length));
    },
    onListening: () => {
      tokens.isHearing = true;
      changes.announceGap();
    },
    onDeaf: () => {
      tokens.isHearing = false;
    },
  });
  const { tellOthers } = notifications;
  return {
    catalog: new Catalog(db, { blobGrace: options.blobGrace, changes, tellOthers }),
    accounts: new Accounts(db, { tokens, tellOthers }),
    now: clock.now,
    databaseName: nameOf(url),
    close: async () => {
      clock.close();
      await notifications.close();
      await db.close();
    },
  };
}
