import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { MAX_ITEMS_AT_ONCE } from '../../../src/pieces.js';
import { openSqlite } from '../../../src/storage/database/sqlite.js';
import { raw } from '../../harness/query-plans.js';
import { temporaryFolder } from '../../harness/server.js';

test.each([
  [MAX_ITEMS_AT_ONCE, false],
  [MAX_ITEMS_AT_ONCE + 1, true],
])('a read of %i short rows begins large work before it has them: %s', async (rows, isLarge) => {
  const folder = await temporaryFolder();
  onTestFinished(() => rm(folder, { recursive: true }));
  const database = await openSqlite(join(folder, 'catalog.sqlite'));
  onTestFinished(() => database.close());
  let hasBegun = false;
  const begin = async () => {
    hasBegun = true;
  };
  const numbers = `with recursive number(n) as (select 1 union all select n + 1 from number where n < ${rows}) select n from number`;
  const [found] = await database.read([raw(numbers)], { begin, pause: async () => {} });
  expect([found?.length, hasBegun]).toEqual([rows, isLarge]);
});
