import type { Role, StoredFile } from '../dataset.js';
import type { WarningCode } from '../problems.js';

/** Warnings that the inspection of an image as a mask adds. */
const OF_MASKS: readonly WarningCode[] = ['BLACK_MASK', 'MASK_NOT_GRAYSCALE', 'NOT_FULLY_CHECKED'];

/** Whether the files of a dataset must be inspected again when its role changes. */
export function isInspectedAgain(before: Role, after: Role): boolean {
  return (before === 'mask') !== (after === 'mask');
}

/**
 * Whether the files of a dataset must be inspected again after a change of some of them.
 *
 * @param change.role that of the dataset
 * @param change.inspectedAs the role in which files were inspected that the change stores; `undefined` if it stores none
 * @param change.restored past files that the change stores again, which may have been inspected in another role
 */
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
