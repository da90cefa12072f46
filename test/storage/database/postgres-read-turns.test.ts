import { CompiledQuery } from 'kysely';
import { describe, expect, onTestFinished, test } from 'vitest';
import { MAX_TEXT_BYTES_AT_ONCE, ONE_PIECE, type Pieces } from '../../../src/pieces.js';
import { openPostgres } from '../../../src/storage/database/postgres.js';
import { whyNoPostgres } from '../../harness/available.js';
import { Gate } from '../../harness/paused-database.js';
import { databaseForTest } from '../../harness/postgres.js';

const POOL_SIZE = 4;
const READS = 5 * POOL_SIZE;

describe.skipIf(whyNoPostgres() !== undefined)('reads of many files in Postgres, of which a lock holds up some', () => {
  async function openLocked(readMs: number) {
    const url = new URL(await databaseForTest());
    url.searchParams.set('pool_size', String(POOL_SIZE));
    const database = await openPostgres(url.href, { readMs, transactionMs: 100_000 });
    const other = await openPostgres(url.href);
    const [locked, unlock] = [new Gate(), new Gate()];
    const lock = other.transact({ isDurable: false }, async ({ send }) => {
      await send([{ compile: () => CompiledQuery.raw('lock table file in access exclusive mode') }]);
      locked.open();
      await unlock.opened;
    });
    onTestFinished(async () => {
      unlock.open();
      await lock;
      await Promise.all([database.close(), other.close()]);
    });
    await Promise.race([locked.opened, lock]);
    const ended: string[] = [];
    const read = async (accountId: string) => {
      const statement = database.query.selectFrom('file').select('id');
      await database.read([statement], { ...ONE_PIECE, accountId });
      ended.push(accountId);
    };
    return { database, read, ended, unlock: () => unlock.open() };
  }

  test('leave connections to other statements', async () => {
    const { database, read, unlock } = await openLocked(5_000);
    const reads = Promise.all(Array.from({ length: READS }, () => read('many')));
    reads.catch(() => {});
    expect(await database.query.selectFrom('dataset').select('id').execute()).toEqual([]);
    unlock();
    await reads;
  });

  test('are those of one account after the other', async () => {
    const { read, ended, unlock } = await openLocked(100_000);
    const reads = [...Array<string>(READS).fill('many'), 'other'].map(read);
    unlock();
    await Promise.all(reads);
    expect(ended.indexOf('other')).toBeLessThan(READS / 2);
  });

  test('that wait for their turn fail at the deadline of reads', async () => {
    const { database, read } = await openLocked(300);
    const reads = await Promise.allSettled(Array.from({ length: READS }, () => read('many')));
    expect(reads.map((each) => each.status === 'rejected' && each.reason.code)).toEqual(
      Array(READS).fill('unavailable'),
    );
    expect(await database.query.selectFrom('dataset').select('id').execute()).toEqual([]);
  });
});

test.skipIf(whyNoPostgres())(
  'many rows that must wait for their turn are read again then, and not kept until then',
  async () => {
    const database = await openPostgres(await databaseForTest());
    onTestFinished(database.close);
    const { query } = database;
    const add = (name: string, value: string) => query.insertInto('setting').values({ name, value }).execute();
    const settings = query.selectFrom('setting').select(['name', 'value']).where('name', 'like', 'test %');
    const namesOf = async (pieces: Pieces) => (await database.read([settings], pieces))[0].map(({ name }) => name);
    let begun = 0;
    const begin = async () => {
      begun++;
      await add(`test begun ${begun}`, '');
    };
    const waiting = { ...ONE_PIECE, mustWait: () => true, begin };
    const atOnce = { ...ONE_PIECE, mustWait: () => false, begin };
    await add('test few', '');
    expect([await namesOf(waiting), await namesOf(atOnce)]).toEqual([['test few'], ['test few']]);
    await add('test many', 'x'.repeat(MAX_TEXT_BYTES_AT_ONCE + 1));
    expect(await namesOf(ONE_PIECE)).toEqual(['test few', 'test many']);
    expect(begun).toBe(0);
    expect((await namesOf(atOnce)).sort()).toEqual(['test few', 'test many']);
    expect((await namesOf(waiting)).sort()).toEqual(['test begun 1', 'test begun 2', 'test few', 'test many']);
  },
);
