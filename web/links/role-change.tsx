import type { Dataset } from '../../src/client/client.js';
import { WriteButton } from '../session/write-button.js';
import { numberOf } from '../ui/format.js';

interface RoleChangeProps {
  readonly dataset: Dataset;
  readonly role: 'control' | 'mask';
  readonly isBusy: boolean;
  readonly onChange: () => void;
}

/** Offers to give a training dataset the role that a link needs, and says what that means. */
export function RoleChange({ dataset, role, isBusy, onChange }: RoleChangeProps) {
  const { name, counts } = dataset;
  return (
    <div className="flex flex-wrap items-center gap-3 rounded-lg bg-warn-soft p-3 text-sm text-warn">
      <p className="min-w-48 grow basis-0 wrap-anywhere">
        {name} is a training dataset. As a {role} dataset, it is not trained on by itself
        {counts.captions > 0 && `, and its captions (${numberOf(counts.captions)}) are not used`}. Its files stay as
        they are.
      </p>
      <WriteButton disabled={isBusy} onClick={onChange}>
        Make it a {role} dataset
      </WriteButton>
    </div>
  );
}
