import type { LinkSlot, Role } from '../../src/dataset/dataset.js';
import { slotText } from '../../src/dataset/pairs/roles.js';
import { capitalized } from '../ui/format.js';

/** `control`, `mask` or, where there are several controls, `control 2`. */
export function slotWord(slot: LinkSlot, slots: readonly LinkSlot[]): string {
  const isOnlyControl = slot === 'control_1' && !slots.includes('control_2');
  return isOnlyControl ? 'control' : slotText(slot);
}

/** The same with a capital, for the beginning of a label. */
export function slotLabel(slot: LinkSlot, slots: readonly LinkSlot[]): string {
  return capitalized(slotWord(slot, slots));
}

/** What the page calls a dataset of each role. */
export const ROLE_WORDS = {
  training: 'Training dataset',
  control: 'Control dataset',
  mask: 'Mask dataset',
} as const satisfies Record<Role, string>;
