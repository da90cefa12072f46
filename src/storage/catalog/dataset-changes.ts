import { countsOf } from '../../dataset/counts.js';
import type { Dataset, Micros, Role } from '../../dataset/dataset.js';
import { ServiceError } from '../../dataset/errors.js';
import { hasLinksError, linkedToError, MAX_NAMED } from '../../dataset/pairs/link-rules.js';
import { isInspectedAgain } from '../../dataset/pairs/mask-inspection.js';
import { type Database, isUniqueViolation, type Query, type Transaction } from '../database/database.js';
import { addUsage, quotaErrorOf, usageOfDataset } from './accounts/account-usage.js';
import type { ChangeOptions } from './file-changes.js';
import { linkingTo, lockLinks, markLinkedTo } from './pairs/links.js';
import { deleteRecheck, startRecheck } from './rechecks.js';
import { enqueueAnnouncements } from './webhooks/announcements.js';
import { deletedEvent, insertDeliveries, receivers } from './webhooks/deliveries.js';
import { countColumns, LINKED, NO_HISTORY, unlinkedDatasetOf } from './rows.js';
import { DELETED, withDataset } from './statements.js';

/** A dataset id and the account that it must belong to. */
export type DatasetKeyOfAccount = Pick<Dataset, 'accountId' | 'id'>;

/** A dataset that a request changes, and the datasets that errors may name; all of the account if it is null or missing. */
export type ChangedDatasetKey = DatasetKeyOfAccount & { readonly boundIds?: readonly string[] | null };

export type NewDataset = Pick<Dataset, 'id' | 'accountId' | 'name' | 'createdAt'> & { readonly role?: Role };

/** Not one that an account can be given. */
const NAME_OF_DELETED = '(deleted)';

/** @throws ServiceError `name_taken`, `quota_exceeded` */
export async function addDataset(
  { query, transact }: Database,
  { id, accountId, name, role = 'training', createdAt }: NewDataset,
  { limits, notification }: ChangeOptions,
): Promise<Dataset> {
  const counts = countColumns(countsOf([], createdAt));
  const names = { id, account_id: accountId, name, role, created_at: createdAt };
  const unchanged = { linked: LINKED.none, version: 0, announced: null };
  const row = { ...names, ...counts, ...NO_HISTORY, ...unchanged };
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
  return unlinkedDatasetOf(row);
}

function nameTaken(name: string, cause: unknown): ServiceError {
  const message = `A dataset named "${name}" already exists. Choose another name, or delete that one first.`;
  return new ServiceError('name_taken', message, { cause });
}

/** What a change of a dataset makes of it; what is missing stays. */
export interface DatasetChanges {
  readonly name?: string | undefined;
  readonly role?: Role | undefined;
}

/**
 * Changes the name and the role of a dataset.
 *
 * @returns whether anything changed; `undefined` if the account has no such dataset
 * @throws ServiceError `name_taken`; `dataset_linked` if a link depends on the role
 */
export async function changeDataset(
  db: Database,
  key: ChangedDatasetKey,
  { name, role, now, captionGrace, notification }: DatasetChanges & ChangeOptions & { now: Micros },
): Promise<boolean | undefined> {
  const { query } = db;
  const changing = withDataset(db, key, async (row, { send, commit }) => {
    if (row.account_id !== key.accountId) return undefined;
    const changes = {
      ...(name !== undefined && name !== row.name && { name }),
      ...(role !== undefined && role !== row.role && { role }),
    };
    if (Object.keys(changes).length === 0) return false;
    if ('role' in changes && row.linked === LINKED.from) throw hasLinksError(row.name);
    if ('role' in changes && row.linked === LINKED.to)
      throw await errorOfLinked(query, send, { ...key, name: row.name });
    await commit([
      query
        .updateTable('dataset')
        .set((eb) => ({ ...changes, updated_at: now, version: eb('version', '+', 1) }))
        .where('id', '=', key.id),
      // A control without captions is READY, a training dataset is not.
      ...('role' in changes
        ? enqueueAnnouncements(query, { datasetId: key.id, isLinkedTo: false, dueAt: now + captionGrace })
        : []),
      ...(role !== undefined && isInspectedAgain(row.role as Role, role)
        ? startRecheck(query, { datasetId: key.id, now, ifRunning: 'restart' })
        : []),
      ...notification({ datasetId: key.id }),
    ]);
    return true;
  });
  return changing.catch((error) => {
    throw isUniqueViolation(error) ? nameTaken(name ?? '', error) : error;
  });
}

async function errorOfLinked(
  query: Query,
  send: Transaction['send'],
  { id, name, boundIds }: ChangedDatasetKey & { name: string },
): Promise<ServiceError> {
  const links = query
    .selectFrom('link')
    .select(({ fn }) => fn.countAll().as('count'))
    .where('linked_id', '=', id);
  const [targets, [known]] = await send([
    linkingTo(query, id, boundIds).limit(MAX_NAMED),
    boundIds == null ? links : links.where('dataset_id', 'in', boundIds),
  ]);
  return linkedToError(name, { names: targets.map((target) => target.name), known: Number(known?.count) });
}

/**
 * Deletes a dataset with its links: it belongs to `DELETED` from then on. Its files are removed later, some at a time
 * (`trashDeleted`).
 *
 * @returns the ids of the dataset and of those that it was linked to; `undefined` if the account has no such dataset
 * @throws ServiceError `dataset_linked` if others link to it
 */
export function eraseDataset(
  db: Database,
  key: ChangedDatasetKey,
  { now, limits, notification }: ChangeOptions & { now: Micros },
): Promise<string[] | undefined> {
  const { query, transact } = db;
  return transact({ isDurable: true }, async ({ send, commit }) => {
    // The row locks come first: they wait for a change in flight, so that files of that change are counted too.
    const locked = await lockLinks(db, send, key);
    if (locked === undefined) return undefined;
    const { row, linked } = locked;
    if (row.linked === LINKED.to) throw await errorOfLinked(query, send, { ...key, name: row.name });
    const linkedIds = [...linked.keys()];
    const { accountId, id } = key;
    const [[usage], webhooks] = await send([usageOfDataset(query, id), receivers(db, accountId, 'dataset.deleted')]);
    const { files = 0, bytes = 0, historyBytes = 0 } = usage ?? {};
    const added = { datasets: -1, files: -files, bytes: -bytes };
    const account = { id: DELETED, name: NAME_OF_DELETED, created_at: now };
    await commit([
      query
        .insertInto('account')
        .values({ ...account, datasets: 0, files: 0, bytes: 0, history_bytes: 0 })
        .onConflict((conflict) => conflict.column('id').doNothing()),
      query
        .updateTable('dataset')
        // The name is free again: ids don't repeat.
        .set({ account_id: DELETED, name: id, linked: LINKED.none, updated_at: now })
        .where('id', '=', id),
      query.deleteFrom('link').where('dataset_id', '=', id),
      ...deleteRecheck(query, { id, accountId }),
      ...insertDeliveries(query, webhooks, deletedEvent({ id, name: row.name }, now)),
      ...addUsage(query, { accountId, added, historyBytes: -historyBytes, limits }),
      ...markLinkedTo(query, linkedIds),
      ...[id, ...linkedIds].flatMap((datasetId) => notification({ datasetId })),
    ]);
    return [id, ...linkedIds];
  });
}
