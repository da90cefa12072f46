import type { Role } from '../../src/dataset/dataset.js';
import { ROLE_WORDS } from '../live/slot-words.js';

/** The role of a control or mask dataset. Training datasets, which most are, have no badge. */
export function RoleBadge({ role }: { role: Role }) {
  if (role === 'training') return null;
  return (
    <span className="shrink-0 rounded-full border border-line px-2.5 py-0.5 text-xs font-semibold text-muted">
      {ROLE_WORDS[role]}
    </span>
  );
}
