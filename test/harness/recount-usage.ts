import { sql } from 'kysely';
import { historyBytesOf } from '../../src/storage/catalog/accounts.js';
import { query } from '../../src/storage/database/database.js';

/** Counts the files of all accounts again. */
export function recountUsage() {
  const names = query
    .selectFrom('file')
    .innerJoin('dataset', 'dataset.id', 'file.dataset_id')
    .select(['dataset.account_id', sql<number>`max(coalesce(size_bytes, expected_bytes, 0))`.as('bytes')])
    .groupBy(['dataset.account_id', 'file.dataset_id', 'file.filename']);
  return query
    .with('file_name', () => names)
    .updateTable('account')
    .set((eb) => ({
      files: eb
        .selectFrom('file_name')
        .select(({ fn }) => fn.countAll<number>().as('files'))
        .whereRef('account_id', '=', 'account.id'),
      bytes: eb
        .selectFrom('file_name')
        .select(sql<number>`coalesce(sum(file_name.bytes), 0)`.as('bytes'))
        .whereRef('account_id', '=', 'account.id'),
      history_bytes: sql<number>`(${historyBytesOf(sql`past_file.dataset_id in (select id from dataset where account_id = account.id)`)})`,
    }));
}
