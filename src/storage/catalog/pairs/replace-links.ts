import type { Dataset, Micros, Role } from '../../../dataset/dataset.js';
import { ServiceError } from '../../../dataset/errors.js';
import { requireRoleOfSlot, requireTraining } from '../../../dataset/pairs/link-rules.js';
import { slotText } from '../../../dataset/pairs/roles.js';
import type { NotifyInstances } from '../../database/change-feed.js';
import type { Database, Query } from '../../database/database.js';
import { runWith } from '../catalog-rows.js';
import { LINKED } from '../rows.js';
import { enqueueAnnouncements } from '../webhooks/announcements.js';
import { type LockedLinks, markLinkedTo, withLockedLinks } from './locked-links.js';
import { countUnpaired, type NewLink } from './recount-pairs.js';

/** Limit of the datasets that link to one: each change of its files is also one of theirs, in the same transaction. */
const MAX_LINKING = 1000;

type DatasetKey = Pick<Dataset, 'accountId' | 'id'>;

/** What links are replaced by. */
export interface LinkReplacement {
  readonly links: readonly NewLink[];
  readonly now: Micros;
}

export interface ReplacementOptions {
  /** As in `ChangeOptions`. */
  readonly captionGrace: Micros;
  readonly notification: NotifyInstances;
}

/**
 * Replaces the links of a dataset, and proves its pairs.
 *
 * @returns the ids of the datasets that changed; `undefined` if the account has no such dataset
 * @throws ServiceError `wrong_role`; `dataset_not_found` if a linked dataset is gone; `quota_exceeded` if too many link to it
 */
export async function replaceLinks(
  db: Database,
  key: DatasetKey,
  { links, now }: LinkReplacement,
  { captionGrace, notification }: ReplacementOptions,
): Promise<string[] | undefined> {
  const { query } = db;
  const newIds = links.map(({ linkedId }) => linkedId);
  return withLockedLinks(db, key, newIds, async (locked, { send, commit }) => {
    requireLinkable(locked, links);
    if (isSame(locked.links, links)) return [];
    const { id } = locked.row;
    const added = links.filter(({ linkedId }) => !locked.links.some(({ linked_id }) => linked_id === linkedId));
    requireRoom(locked, added, await send(added.map(({ linkedId }) => countLinking(query, linkedId))));
    const unpaired = await countUnpaired({ query, run: runWith(send) }, { targetId: id, links });
    const touched = [...new Set([...locked.links.map(({ linked_id }) => linked_id), ...newIds])];
    const rows = links.map(({ slot, linkedId }) => ({ dataset_id: id, slot, linked_id: linkedId }));
    const linked = links.length === 0 ? LINKED.none : LINKED.from;
    await commit([
      query.deleteFrom('link').where('dataset_id', '=', id),
      ...(rows.length === 0 ? [] : [query.insertInto('link').values(rows)]),
      query
        .updateTable('dataset')
        .set((eb) => ({ linked, unpaired, updated_at: now, version: eb('version', '+', 1) }))
        .where('id', '=', id),
      ...markLinkedTo(query, touched),
      ...enqueueAnnouncements(query, { datasetId: id, isLinkedTo: false, dueAt: now + captionGrace }),
      ...[id, ...touched].flatMap((datasetId) => notification({ datasetId })),
    ]);
    return [id, ...touched];
  });
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

function countLinking(query: Query, linkedId: string) {
  return query
    .selectFrom('link')
    .select((eb) => eb.fn.countAll<number>().as('linking'))
    .where('linked_id', '=', linkedId);
}

function requireRoom(
  { linked }: LockedLinks,
  links: readonly NewLink[],
  counts: readonly (readonly { readonly linking: number }[])[],
): void {
  for (const [i, { slot, linkedId }] of links.entries()) {
    const linking = counts[i]?.[0]?.linking ?? 0;
    if (linking < MAX_LINKING) continue;
    const message = `${linking} datasets link to the ${slotText(slot)} "${linked.get(linkedId)?.name}", which is the limit. Remove links that are not needed, or link to a dataset with a copy of its files.`;
    throw new ServiceError('quota_exceeded', message);
  }
}

function isSame(before: LockedLinks['links'], after: readonly NewLink[]): boolean {
  const slots = new Map(before.map(({ slot, linked_id }) => [slot, linked_id]));
  return before.length === after.length && after.every(({ slot, linkedId }) => slots.get(slot) === linkedId);
}
