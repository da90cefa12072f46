import type { LinkSlot, Links } from '../../client/client.js';

/** The ids of linked datasets, as a request to change links has them. */
export type LinkIds = Readonly<Partial<Record<LinkSlot, string>>>;

/** The ids of the datasets that a training dataset is linked to. */
export function linkIdsOf(links: Links | undefined): LinkIds {
  return Object.fromEntries(
    Object.entries(links ?? {}).flatMap(([slot, link]) => (link === undefined ? [] : [[slot, link.dataset_id]])),
  );
}
