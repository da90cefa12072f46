import type { Role, StoredFile } from '../dataset.js';
import type { WarningCode } from '../problems.js';

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
