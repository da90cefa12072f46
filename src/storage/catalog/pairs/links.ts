import { type Compilable, sql } from 'kysely';
import type { Dataset, LinkSlot, Micros, Role } from '../../../dataset/dataset.js';
import { ServiceError } from '../../../dataset/errors.js';
import { requireRoleOfSlot, requireTraining, slotText } from '../../../dataset/pairs/roles.js';
import type { Database, Query, Transaction } from '../../database/database.js';
import type { ChangeOptions } from '../file-changes.js';
import { type DatasetRow, LINKED } from '../rows.js';
import { insertAll, rowChunksOf, statementOf } from '../statements.js';
import { enqueueAnnouncements } from '../webhooks.js';

export interface NewLink {
  readonly slot: LinkSlot;
  readonly linkedId: string;
}

export interface LinkingDataset {
  readonly id: string;
  readonly name: string;
}

export class Links {
  readonly #db: Database;
  readonly #options: ChangeOptions;

  constructor(db: Database, options: ChangeOptions) {
    this.#db = db;
    this.#options = options;
  }

  /** By name; of all, or of those `among` some ids. */
  linkingTo(
    datasetId: string,
    { among = null, limit }: { among?: readonly string[] | null; limit?: number } = {},
  ): Promise<LinkingDataset[]> {
    return linkingTo(this.#db.query, datasetId)
      .$if(among !== null, (all) => all.where('dataset.id', 'in', among ?? []))
      .$if(limit !== undefined, (all) => all.limit(limit ?? 0))
      .execute();
  }

  /** Replaces all links. @returns false if there is no such dataset @throws ServiceError `wrong_role`, `dataset_not_found` */
  async replace(
    key: Pick<Dataset, 'accountId' | 'id'>,
    { links, now }: { links: readonly NewLink[]; now: Micros },
  ): Promise<boolean> {
    const { query, transact } = this.#db;
    const { captionGrace, changes, notification } = this.#options;
    const newIds = links.map(({ linkedId }) => linkedId);
    const changed = await transact({ isDurable: true }, async ({ send, commit }) => {
      const locked = await lockLinks(this.#db, send, { ...key, otherIds: newIds });
      if (locked === undefined) return undefined;
      requireLinkable(locked, links);
      if (isSame(locked.links, links)) return [];
      const { id } = locked.row;
      const rows = links.map(({ slot, linkedId }) => ({ dataset_id: id, slot, linked_id: linkedId }));
      const linked = links.length === 0 ? LINKED.none : LINKED.from;
      const touched = [...locked.linked.keys()];
      await commit([
        query.deleteFrom('link').where('dataset_id', '=', id),
        ...insertAll(query, 'link', rows),
        statementOf(
          query,
          sql`update dataset set linked = ${linked}, updated_at = ${now}, version = version + 1 where id = ${id}`,
        ),
        ...markLinkedTo(query, touched),
        enqueueAnnouncements(query, { datasetId: id, isLinkedTo: false, dueAt: now + captionGrace }),
        ...[id, ...touched].flatMap((datasetId) => notification({ datasetId })),
      ]);
      return [id, ...touched];
    });
    for (const datasetId of changed ?? []) changes.announce({ datasetId });
    return changed !== undefined;
  }
}

export function linkingTo(query: Query, linkedId: string) {
  return query
    .selectFrom('link')
    .innerJoin('dataset', 'dataset.id', 'link.dataset_id')
    .select(['dataset.id', 'dataset.name'])
    .where('link.linked_id', '=', linkedId)
    .orderBy('dataset.name');
}

interface LockedLinks {
  readonly row: DatasetRow;
  readonly links: readonly { readonly slot: string; readonly linked_id: string }[];
  /** The linked datasets and the `otherIds`, by id. */
  readonly linked: ReadonlyMap<string, DatasetRow>;
}

/** Locks a dataset, then the linked ones and the `otherIds`, in the order of ids. `undefined` without such a dataset. */
export async function lockLinks(
  { query }: Database,
  send: Transaction['send'],
  { accountId, id, otherIds = [] }: Pick<Dataset, 'accountId' | 'id'> & { otherIds?: readonly string[] },
): Promise<LockedLinks | undefined> {
  const all = query.selectFrom('dataset').selectAll().orderBy('id').forNoKeyUpdate();
  const [[row], links] = await send([
    all.where('id', '=', id),
    query.selectFrom('link').select(['slot', 'linked_id']).where('dataset_id', '=', id),
  ]);
  if (row === undefined || row.account_id !== accountId) return undefined;
  const ids = [...new Set([...links.map(({ linked_id }) => linked_id), ...otherIds])];
  const [linked] = ids.length === 0 ? [[]] : await send([all.where('id', 'in', ids)]);
  return { row, links, linked: new Map(linked.map((each) => [each.id, each])) };
}

/** Writes whether other datasets link to these. */
export function markLinkedTo(query: Query, ids: readonly string[]): Compilable<never>[] {
  const isLinkedTo = sql`exists (select 1 from link where link.linked_id = dataset.id)`;
  const linked = sql`case when ${isLinkedTo} then ${sql.lit(LINKED.to)} else ${sql.lit(LINKED.none)} end`;
  return rowChunksOf(ids).map((chunk) =>
    statementOf(query, sql<never>`update dataset set linked = ${linked} where id in (${sql.join(chunk)})`),
  );
}

function requireLinkable({ row, linked }: LockedLinks, links: readonly NewLink[]): void {
  if (links.length > 0) requireTraining({ name: row.name, role: row.role as Role });
  for (const { slot, linkedId } of links) {
    const found = linked.get(linkedId);
    if (found === undefined || found.account_id !== row.account_id) {
      throw new ServiceError('dataset_not_found', `The ${slotText(slot)} does not exist: dataset ${linkedId}.`);
    }
    requireRoleOfSlot(slot, { name: found.name, role: found.role as Role });
  }
}

function isSame(before: LockedLinks['links'], after: readonly NewLink[]): boolean {
  const slots = new Map(before.map(({ slot, linked_id }) => [slot, linked_id]));
  return before.length === after.length && after.every(({ slot, linkedId }) => slots.get(slot) === linkedId);
}
