import type { Compilable } from 'kysely';
import type { Dataset } from '../../../dataset/dataset.js';
import type { Database, Query, Transaction } from '../../database/database.js';
import { type DatasetRow, LINKED } from '../rows.js';

/** A dataset with its links and the datasets that these lead to, whose rows are locked. */
export interface LockedLinks {
  readonly row: DatasetRow;
  readonly links: readonly { readonly slot: string; readonly linked_id: string }[];
  /** The datasets that it links to, and those that the caller named, by id. */
  readonly linked: ReadonlyMap<string, DatasetRow>;
}

const CHANGED = Symbol('changed');

/**
 * Runs work in a transaction that has locked the datasets that a dataset links to, those of `otherIds`, and then the dataset
 * itself. A change of files locks in the same order: the linked dataset, then those that link to it. Each of these groups is
 * locked in the order of the ids.
 *
 * @returns `undefined` if the account has no such dataset
 */
export async function withLockedLinks<T>(
  { query, hasRowLocks, transact }: Database,
  { accountId, id }: Pick<Dataset, 'accountId' | 'id'>,
  otherIds: readonly string[],
  work: (locked: LockedLinks, transaction: Transaction) => Promise<T>,
): Promise<T | undefined> {
  for (;;) {
    const before = await linksFrom(query, id).execute();
    const outcome = await transact({ isDurable: true }, async (transaction) => {
      const ids = [...new Set([...before.map(({ linked_id }) => linked_id), ...otherIds])];
      // Postgres has no empty list.
      const others = query
        .selectFrom('dataset')
        .selectAll()
        .where('id', 'in', ids.length === 0 ? [''] : ids);
      const [linked, [row], links] = await transaction.send([
        locked(others.orderBy('id'), hasRowLocks),
        locked(query.selectFrom('dataset').selectAll().where('id', '=', id), hasRowLocks),
        linksFrom(query, id),
      ]);
      if (row === undefined || row.account_id !== accountId) return undefined;
      // Another request has changed the links before the lock.
      if (links.some(({ linked_id }) => !ids.includes(linked_id))) return CHANGED;
      return work({ row, links, linked: new Map(linked.map((each) => [each.id, each])) }, transaction);
    });
    if (outcome !== CHANGED) return outcome;
  }
}

type RowLock = Compilable<DatasetRow> & { forNoKeyUpdate(): Compilable<DatasetRow> };

function locked(select: RowLock, hasRowLocks: boolean): Compilable<DatasetRow> {
  return hasRowLocks ? select.forNoKeyUpdate() : select;
}

function linksFrom(query: Query, datasetId: string) {
  return query.selectFrom('link').select(['slot', 'linked_id']).where('dataset_id', '=', datasetId).orderBy('slot');
}

/** Writes whether other datasets link to these. */
export function markLinkedTo(query: Query, ids: readonly string[]) {
  if (ids.length === 0) return [];
  return [
    query
      .updateTable('dataset')
      .set((eb) => ({
        linked: eb
          .case()
          .when(eb.exists(eb.selectFrom('link').select('slot').whereRef('link.linked_id', '=', 'dataset.id')))
          .then(eb.lit(LINKED.to))
          .else(eb.lit(LINKED.none))
          .end(),
      }))
      .where('id', 'in', ids),
  ];
}
