import { countsOfStem } from '../../dataset/counts.js';
import type { Dataset, Micros, Role } from '../../dataset/dataset.js';
import { ServiceError } from '../../dataset/errors.js';
import { hasLinksError, isInspectedAgain, linkedToError, MAX_NAMED } from '../../dataset/pairs/roles.js';
import type { Compilable } from 'kysely';
import { type Database, isUniqueViolation, type Query, type Transaction } from '../database/database.js';
import { addUsage, quotaErrorOf, usageOfDataset } from './accounts/account-usage.js';
import type { ChangeOptions } from './file-changes.js';
import { linkingTo, lockLinks, markLinkedTo } from './pairs/links.js';
import { endRecheck, startRecheck } from './rechecks.js';
import { deletedEvent, enqueueAnnouncements, insertDeliveries, receivers } from './webhooks.js';
import { LINKED, unlinkedDatasetOf } from './rows.js';
import { withDataset } from './statements.js';
import { trashSelected } from './trash.js';

/** A dataset and the account that it must belong to. */
export type DatasetKeyOfAccount = Pick<Dataset, 'accountId' | 'id'>;

/** A dataset to change, and the datasets that errors may name: by default all of the account. */
export type ChangedDatasetKey = DatasetKeyOfAccount & { readonly boundIds?: readonly string[] | null };

export type NewDataset = Pick<Dataset, 'id' | 'accountId' | 'name' | 'createdAt'> & { readonly role?: Role };

/** @throws ServiceError `name_taken`, `quota_exceeded` */
export async function addDataset(
  { query, transact }: Database,
  { id, accountId, name, role = 'training', createdAt }: NewDataset,
  { limits, changes, notification }: ChangeOptions,
): Promise<Dataset> {
  const row = {
    ...{ id, account_id: accountId, name, role, created_at: createdAt, updated_at: createdAt },
    ...{
      ...countsOfStem([]),
      pending_until: null,
      linked: LINKED.none,
      version: 0,
      announced: null,
      file_groups: null,
    },
    ...{ revision: 0, revision_group: null, revision_since: null },
  };
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
  changes.announce({ datasetId: id });
  return unlinkedDatasetOf(row);
}

function nameTaken(name: string, cause: unknown): ServiceError {
  const message = `A dataset named "${name}" already exists. Choose another name, or delete that one first.`;
  return new ServiceError('name_taken', message, { cause });
}

/** What is missing stays. */
export interface DatasetChanges {
  readonly name?: string | undefined;
  readonly role?: Role | undefined;
}

/** @returns false if the account has no such dataset @throws ServiceError `name_taken`, `dataset_linked` */
export async function changeDataset(
  db: Database,
  key: ChangedDatasetKey,
  { name, role, now }: DatasetChanges & { now: Micros },
  { captionGrace, changes, notification }: ChangeOptions,
): Promise<boolean> {
  const { query } = db;
  const { id: datasetId } = key;
  const changing = withDataset(db, key, async (row, { send, commit }) => {
    if (row.account_id !== key.accountId) return undefined;
    const isOtherRole = role !== undefined && role !== row.role;
    if ((name ?? row.name) === row.name && !isOtherRole) return false;
    if (isOtherRole && row.linked === LINKED.from) throw hasLinksError(row.name);
    if (isOtherRole && row.linked === LINKED.to) throw await errorOfLinked(query, send, { ...key, name: row.name });
    await commit([
      query
        .updateTable('dataset')
        .set((eb) => ({
          name: name ?? row.name,
          role: role ?? row.role,
          updated_at: now,
          version: eb('version', '+', 1),
        }))
        .where('id', '=', datasetId),
      // A control without captions is READY, a training dataset is not.
      ...(isOtherRole
        ? [enqueueAnnouncements(query, { datasetId, isLinkedTo: false, dueAt: now + captionGrace })]
        : []),
      ...(isOtherRole && isInspectedAgain(row.role as Role, role)
        ? startRecheck(query, { datasetId, now, ifRunning: 'restart' })
        : []),
      ...notification({ datasetId }),
    ]);
    return true;
  });
  const isChanged = await changing.catch((error) => {
    throw isUniqueViolation(error) ? nameTaken(name ?? '', error) : error;
  });
  if (isChanged) changes.announce({ datasetId });
  return isChanged !== undefined;
}

async function errorOfLinked(
  query: Query,
  send: Transaction['send'],
  { id, name, boundIds }: ChangedDatasetKey & { name: string },
): Promise<ServiceError> {
  const [targets] = await send([linkingTo(query, id)]);
  const known = boundIds == null ? targets : targets.filter((target) => boundIds.includes(target.id));
  const names = known.slice(0, MAX_NAMED).map((target) => target.name);
  return linkedToError(name, { names, known: known.length, total: targets.length });
}

/**
 * Deletes a dataset with its files, its history and its links. Its blobs go to the trash.
 *
 * @returns false if the account has no such dataset
 * @throws ServiceError `dataset_linked` if others link to it
 */
export async function eraseDataset(
  db: Database,
  key: ChangedDatasetKey,
  now: Micros,
  { blobGrace, limits, changes, notification }: ChangeOptions,
): Promise<boolean> {
  const { query } = db;
  const changed = await db.transact({ isDurable: true, hasDeadline: false }, async ({ send, commit }) => {
    // The row locks wait for a change in flight, so that its files are counted too.
    const locked = await lockLinks(db, send, key);
    if (locked === undefined) return undefined;
    const { row, linked } = locked;
    if (row.linked === LINKED.to) throw await errorOfLinked(query, send, { ...key, name: row.name });
    const linkedIds = [...linked.keys()];
    const { accountId, id } = key;
    const [[usage], webhooks] = await send([usageOfDataset(query, id), receivers(query, accountId, 'dataset.deleted')]);
    const { files = 0, bytes = 0, historyBytes = 0 } = usage ?? {};
    const added = { datasets: -1, files: -files, bytes: -bytes };
    await commit([
      endRecheck(query, key),
      ...erasure(query, id, now + blobGrace),
      ...insertDeliveries(query, webhooks, deletedEvent({ id, name: row.name }, now)),
      ...addUsage(query, { accountId, added, historyBytes: -historyBytes, limits }),
      ...markLinkedTo(query, linkedIds),
      ...[id, ...linkedIds].flatMap((datasetId) => notification({ datasetId })),
    ]);
    return [id, ...linkedIds];
  });
  for (const datasetId of changed ?? []) changes.announce({ datasetId });
  return changed !== undefined;
}

/** A pending upload may have a blob, a rejected one has none. Other rows go with their dataset. */
function erasure(query: Query, id: string, deleteAfter: Micros): Compilable<unknown>[] {
  const files = query.selectFrom('file').select(['dataset_id', 'id']).where('dataset_id', '=', id);
  const past = query.selectFrom('past_file').select(['dataset_id', 'id']).where('dataset_id', '=', id);
  return [
    trashSelected(query, files.where('state', '<>', 'rejected'), deleteAfter),
    trashSelected(query, past, deleteAfter),
    query.deleteFrom('dataset').where('id', '=', id),
  ];
}
