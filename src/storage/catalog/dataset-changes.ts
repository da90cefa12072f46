import { countsOf } from '../../dataset/counts.js';
import type { Dataset, Micros, Role } from '../../dataset/dataset.js';
import { ServiceError } from '../../dataset/errors.js';
import { type Database, isUniqueViolation } from '../database/database.js';
import { addUsage, quotaErrorOf, subtractDataset } from './accounts/account-usage.js';
import type { ChangeOptions } from './file-changes.js';
import { countColumns, datasetRecordOf, LINKED, NO_HISTORY } from './rows.js';
import { trashDataset } from './statements.js';

/** A dataset id and the account that it must belong to. */
export type DatasetKeyOfAccount = Pick<Dataset, 'accountId' | 'id'>;

export type NewDataset = Pick<Dataset, 'id' | 'accountId' | 'name' | 'createdAt'> & { readonly role?: Role };

/** @throws ServiceError `name_taken`, `quota_exceeded` */
export async function addDataset(
  { query, transact }: Database,
  { id, accountId, name, role = 'training', createdAt }: NewDataset,
  { limits, notification }: ChangeOptions,
): Promise<Dataset> {
  const counts = countColumns(countsOf([], createdAt));
  const names = { id, account_id: accountId, name, role, created_at: createdAt };
  const row = { ...names, ...counts, ...NO_HISTORY, linked: LINKED.none };
  const statements = [
    query.insertInto('dataset').values(row),
    ...addUsage(query, { accountId, added: { datasets: 1 }, limits }),
    ...notification({ datasetId: id }),
  ];
  try {
    await transact({ isDurable: true }, ({ commit }) => commit(statements));
  } catch (error) {
    throw isUniqueViolation(error) ? nameTaken(name, error) : quotaErrorOf(error, limits);
  }
  return { ...datasetRecordOf(row), links: [] };
}

function nameTaken(name: string, cause: unknown): ServiceError {
  const message = `A dataset named "${name}" already exists. Choose another name, or delete that one first.`;
  return new ServiceError('name_taken', message, { cause });
}

/** Deletes a dataset and adds its blobs to the trash. @returns false if the account has no such dataset */
export async function eraseDataset(
  { query, hasRowLocks, transact }: Database,
  key: DatasetKeyOfAccount,
  { now, blobGrace, notification }: Pick<ChangeOptions, 'blobGrace' | 'notification'> & { now: Micros },
): Promise<boolean> {
  const dataset = query
    .selectFrom('dataset')
    .select('id')
    .where('id', '=', key.id)
    .where('account_id', '=', key.accountId);
  // The row lock comes first: it waits for a change in flight, so that files of that change are trashed too.
  const [, , , , deleted] = await transact({ isDurable: true }, ({ commit }) =>
    commit([
      hasRowLocks ? dataset.forUpdate() : dataset,
      ...trashDataset(query, key, { now, blobGrace }),
      subtractDataset(query, key),
      query.deleteFrom('dataset').where('id', '=', key.id).where('account_id', '=', key.accountId).returning('id'),
      ...notification({ datasetId: key.id }),
    ]),
  );
  return deleted.length > 0;
}
