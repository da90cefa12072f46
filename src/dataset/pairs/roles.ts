import type { LinkSlot, Role } from '../dataset.js';

export const ROLES = ['training', 'control', 'mask'] as const satisfies readonly Role[];

/** The order in answers and in the digest. */
export const LINK_SLOTS = ['control_1', 'control_2', 'control_3', 'mask'] as const satisfies readonly LinkSlot[];

export function roleOfSlot(slot: LinkSlot): 'control' | 'mask' {
  return slot === 'mask' ? 'mask' : 'control';
}

/** `control 2` */
export function slotText(slot: LinkSlot): string {
  return slot.replace('_', ' ');
}
