import type { Dataset, LinkSlot, Role } from '../dataset.js';
import { ServiceError } from '../errors.js';
import { roleOfSlot, slotText } from './roles.js';

/** Of the datasets that an error lists by name. */
export const MAX_NAMED = 10;

type Named = Pick<Dataset, 'name' | 'role'>;

/** @throws ServiceError `wrong_role` if the dataset is no training dataset */
export function requireTraining({ name, role }: Named): void {
  if (role === 'training') return;
  const message = `"${name}" has the role ${role}, and only training datasets have controls and masks. To make it a training dataset, run: ${roleCommand(name, 'training')}`;
  throw new ServiceError('wrong_role', message);
}

/** @throws ServiceError `wrong_role` if the dataset can't be linked in this slot */
export function requireRoleOfSlot(slot: LinkSlot, { name, role }: Named): void {
  const needed = roleOfSlot(slot);
  if (role === needed) return;
  const message = `"${name}" has the role ${role}, and can't be the ${slotText(slot)}. To make it a ${needed} dataset, run: ${roleCommand(name, needed)}`;
  throw new ServiceError('wrong_role', message);
}

/** The error for a dataset that can't be deleted, or get another role, while others link to it. @param names at most `MAX_NAMED` */
export function linkedToError(
  name: string,
  { names, total }: { names: readonly string[]; total: number },
): ServiceError {
  const others = total > names.length ? ` and ${total - names.length} more` : '';
  const [users, its] =
    total === 1 ? ['this dataset', 'its links'] : [`these ${total} datasets`, 'the links of the first one'];
  const message = `"${name}" is a control or mask of ${users}: ${names.map((each) => `"${each}"`).join(', ')}${others}. To remove ${its}, run: ${pairCommand(names[0] ?? 'NAME')}`;
  return new ServiceError('dataset_linked', message);
}

/** The error for a dataset that can't get another role while it links to others. */
export function hasLinksError(name: string, linkedNames: readonly string[]): ServiceError {
  const message = `"${name}" has controls or masks: ${linkedNames.map((each) => `"${each}"`).join(', ')}. To remove these links, run: ${pairCommand(name)}`;
  return new ServiceError('dataset_linked', message);
}

function roleCommand(name: string, role: Role): string {
  return `trainyard role ${argument(name)} ${role}`;
}

function pairCommand(name: string): string {
  return `trainyard pair ${argument(name)} --none`;
}

/** A name as a shell takes it. Names have no quotes. */
function argument(name: string): string {
  return /^[\p{L}\p{M}\p{Nd}._-]+$/u.test(name) ? name : `"${name}"`;
}
