import type { LinkSlot, Role } from '../../src/dataset/dataset.js';
import { slotText } from '../../src/dataset/pairs/roles.js';

/** `control`, `mask` or, where there are several controls, `control 2`. */
export function slotWord(slot: LinkSlot, slots: readonly LinkSlot[]): string {
  const isOnlyControl = slot === 'control_1' && !slots.includes('control_2');
  return isOnlyControl ? 'control' : slotText(slot);
}

/** What the page calls a dataset of each role. */
export const ROLE_WORDS = {
  training: 'Training dataset',
  control: 'Control dataset',
  mask: 'Mask dataset',
} as const satisfies Record<Role, string>;
