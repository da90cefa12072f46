import type { LinkSlot, Role } from '../dataset.js';

export const ROLES = ['training', 'control', 'mask'] as const satisfies readonly Role[];

/** In the order in which answers list links and the digest of a linked dataset has them. */
export const LINK_SLOTS = ['control_1', 'control_2', 'control_3', 'mask'] as const satisfies readonly LinkSlot[];

/** The role that a dataset needs to be linked in a slot. */
export function roleOfSlot(slot: LinkSlot): 'control' | 'mask' {
  return slot === 'mask' ? 'mask' : 'control';
}

/** A slot as messages name it: `control 2`. */
export function slotText(slot: LinkSlot): string {
  return slot.replace('_', ' ');
}
