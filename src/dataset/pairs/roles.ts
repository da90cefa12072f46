import type { Dataset, LinkSlot, Role, StoredFile } from '../dataset.js';
import { ServiceError } from '../errors.js';
import type { WarningCode } from '../problems.js';

export const ROLES = ['training', 'control', 'mask'] as const satisfies readonly Role[];

/** The order in answers and in the digest. */
export const LINK_SLOTS = ['control_1', 'control_2', 'control_3', 'mask'] as const satisfies readonly LinkSlot[];

/** The links of an answer, in the order of the slots. */
export function linksIn<L extends object>(links: { readonly [Slot in LinkSlot]?: L | undefined } = {}) {
  return LINK_SLOTS.flatMap((slot) => {
    const link = links[slot];
    return link === undefined ? [] : [{ ...link, slot }];
  });
}

export function roleOfSlot(slot: LinkSlot): 'control' | 'mask' {
  return slot === 'mask' ? 'mask' : 'control';
}

/** `control 2` */
export function slotText(slot: LinkSlot): string {
  return slot.replace('_', ' ');
}

/** How many datasets an error names. */
export const MAX_NAMED = 10;

type Named = Pick<Dataset, 'name' | 'role'>;

/** @throws ServiceError `wrong_role` */
export function requireTraining({ name, role }: Named): void {
  if (role === 'training') return;
  const message = `"${name}" has the role ${role}, and only training datasets have controls and masks. To make it a training dataset, run: ${roleCommand(name, 'training')}`;
  throw new ServiceError('wrong_role', message);
}

/** @throws ServiceError `wrong_role` */
export function requireRoleOfSlot(slot: LinkSlot, { name, role }: Named): void {
  const needed = roleOfSlot(slot);
  if (role === needed) return;
  const message = `"${name}" has the role ${role}, and can't be the ${slotText(slot)}. To make it a ${needed} dataset, run: ${roleCommand(name, needed)}`;
  throw new ServiceError('wrong_role', message);
}

/** Linked datasets keep their role and can't be deleted. @param users.known how many of them, of `total`, the request may know */
export function linkedToError(
  name: string,
  { names, known, total }: { names: readonly string[]; known: number; total: number },
): ServiceError {
  const unknown = 'datasets that this token is not bound to';
  const [first] = names;
  if (first === undefined) {
    const message = `"${name}" is a control or mask of ${unknown}. Remove their links with a token that may change them.`;
    return new ServiceError('dataset_linked', message);
  }
  const more = known > names.length ? ` and ${known - names.length} more` : '';
  const others = total > known ? `, and of ${unknown}` : '';
  const [users, its] =
    known === 1 ? ['this dataset', 'its links'] : [`these ${known} datasets`, 'the links of the first one'];
  const message = `"${name}" is a control or mask of ${users}: ${names.map((each) => `"${each}"`).join(', ')}${more}${others}. To remove ${its}, run: ${pairCommand(first)}`;
  return new ServiceError('dataset_linked', message);
}

export function hasLinksError(name: string): ServiceError {
  const message = `"${name}" has controls or masks, which only training datasets have. To remove its links, run: ${pairCommand(name)}`;
  return new ServiceError('dataset_linked', message);
}

function roleCommand(name: string, role: Role): string {
  return `trainyard role ${argument(name)} ${role}`;
}

function pairCommand(name: string): string {
  return `trainyard pair ${argument(name)} --none`;
}

/** For a shell; names have no quotes. */
function argument(name: string): string {
  return /^[\p{L}\p{M}\p{Nd}._-]+$/u.test(name) ? name : `"${name}"`;
}

const OF_MASKS: readonly WarningCode[] = ['BLACK_MASK', 'MASK_NOT_GRAYSCALE', 'NOT_FULLY_CHECKED'];

export function isInspectedAgain(before: Role, after: Role): boolean {
  return (before === 'mask') !== (after === 'mask');
}

/** Whether a change needs a new inspection: files stored as another role, or restored images that may concern masks. */
export function needsRecheck(change: {
  role: Role;
  inspectedAs: Role | undefined;
  restored: readonly StoredFile[];
}): boolean {
  const { role, inspectedAs, restored } = change;
  if (inspectedAs !== undefined && isInspectedAgain(inspectedAs, role)) return true;
  return restored.some(({ kind, upload }) => kind === 'image' && (role === 'mask' || hasMaskWarning(upload)));
}

function hasMaskWarning({ warnings }: StoredFile['upload']): boolean {
  return warnings.some(({ code }) => OF_MASKS.includes(code));
}
