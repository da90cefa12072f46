import type { Role } from '../../src/dataset/dataset.js';
import { ROLE_WORDS } from '../live/slot-words.js';
import { Choices } from '../ui/panel.js';

const OPTIONS = { training: 'Training', control: 'Control', mask: 'Mask' } as const;

const EXPLANATIONS: Record<Role, string> = {
  training: 'Images or clips to train on, each with its caption.',
  control: 'What an edit model gets to see: an image of the same name for each target. Captions are not needed.',
  mask: 'Where an image counts in the training: white counts, black does not. Captions are not needed.',
};

/** Chooses the role of a dataset, and explains it. */
export function RoleChoice({ role, onChange }: { role: Role; onChange: (role: Role) => void }) {
  return (
    <div className="flex flex-col gap-1.5">
      <Choices label="Role" options={OPTIONS} value={role} onChange={onChange} />
      <p aria-live="polite" className="text-sm text-muted">
        {EXPLANATIONS[role]}
      </p>
    </div>
  );
}

/** The role of a control or mask dataset. Training datasets, which most are, have no badge. */
export function RoleBadge({ role }: { role: Role }) {
  if (role === 'training') return null;
  return (
    <span className="shrink-0 rounded-full border border-line px-2.5 py-0.5 text-xs font-semibold text-muted">
      {ROLE_WORDS[role]}
    </span>
  );
}
