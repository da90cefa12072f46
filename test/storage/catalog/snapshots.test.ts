import { sql } from 'kysely';
import { expect, onTestFinished, test } from 'vitest';
import { inSnapshot } from '../../../src/storage/catalog/statements.js';
import { storedTotals } from '../../../src/storage/catalog/copy-catalog.js';
import { openPostgres } from '../../../src/storage/database/postgres.js';
import { whyNoPostgres } from '../../harness/available.js';
import { databaseForTest } from '../../harness/postgres.js';

test.skipIf(whyNoPostgres() !== undefined)(
  'a snapshot and the totals of a catalog may take longer than requests to Postgres',
  async () => {
    const url = await databaseForTest();
    const database = await openPostgres(url, { readMs: 200, transactionMs: 200 });
    const blocking = await openPostgres(url);
    onTestFinished(() => Promise.all([database.close(), blocking.close()]).then(() => {}));
    const count = database.query.selectFrom('file').select(({ fn }) => fn.countAll<number>().as('files'));
    const work = await blocking.transact({ isDurable: false }, async ({ send }) => {
      await send([{ compile: () => sql`lock table file`.compile(blocking.query) }]);
      const long = Promise.allSettled([inSnapshot(database, (run) => run(count)), storedTotals(database)]);
      // The deadlines of these end after those that the others would have.
      const requests = [database.transact({ isDurable: true }, ({ commit }) => commit([count])), count.execute()];
      const refused = { status: 'rejected', reason: { code: 'unavailable' } };
      expect(await Promise.allSettled(requests)).toMatchObject([refused, refused]);
      return { long };
    });
    expect(await work.long).toEqual([
      { status: 'fulfilled', value: [{ files: 0 }] },
      { status: 'fulfilled', value: { files: 0, bytes: 0 } },
    ]);
  },
);
