import type { Dataset } from '../../src/client/client.js';
import type { LinkSlot } from '../../src/dataset/dataset.js';
import { LINK_SLOTS } from '../../src/dataset/pairs/roles.js';

/** The controls and the mask that a person has chosen, by id. The controls have no gaps. */
export interface ChosenLinks {
  readonly controls: readonly string[];
  readonly mask: string | undefined;
}

export const NO_LINKS: ChosenLinks = { controls: [], mask: undefined };

const CONTROL_SLOTS = LINK_SLOTS.filter((slot): slot is Exclude<LinkSlot, 'mask'> => slot !== 'mask');

export const MAX_CONTROLS = CONTROL_SLOTS.length;

/** The links of a dataset as its status has them. */
export function chosenLinksOf(
  links: { readonly [Slot in LinkSlot]?: { readonly dataset_id: string } | undefined } = {},
): ChosenLinks {
  return { controls: CONTROL_SLOTS.flatMap((slot) => links[slot]?.dataset_id ?? []), mask: links.mask?.dataset_id };
}

/** The links as a request has them. */
export function requestOf({ controls, mask }: ChosenLinks): Partial<Record<LinkSlot, string>> {
  return {
    ...Object.fromEntries(controls.map((id, index) => [CONTROL_SLOTS[index], id])),
    ...(mask !== undefined && { mask }),
  };
}

/** The slot of the control at an index. */
export function controlSlotAt(index: number): LinkSlot {
  return CONTROL_SLOTS[index]!;
}

/** Chooses the control at an index, or removes it; those behind it then move up. */
export function withControl({ controls, mask }: ChosenLinks, index: number, id: string | undefined): ChosenLinks {
  const next = [...controls];
  next.splice(index, 1, ...(id === undefined ? [] : [id]));
  return { controls: next, mask };
}

interface Offers {
  /** Those with the role. */
  readonly fitting: readonly Dataset[];
  /** Training datasets that could get it. */
  readonly others: readonly Dataset[];
}

/** The datasets that can be chosen in a slot: each is linked in one slot only. */
export function offersFor(
  datasets: readonly Dataset[],
  { role, own, chosen }: { role: 'control' | 'mask'; own: string; chosen: readonly string[] },
): Offers {
  const free = datasets.filter(({ id }) => id !== own && !chosen.includes(id));
  const byName = (a: Dataset, b: Dataset) => a.name.localeCompare(b.name, 'en', { numeric: true });
  return {
    fitting: free.filter((dataset) => dataset.role === role).sort(byName),
    others: free.filter((dataset) => dataset.role === 'training').sort(byName),
  };
}
