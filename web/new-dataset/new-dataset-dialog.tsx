import { useQueryClient } from '@tanstack/react-query';
import { type FormEvent, type ReactNode, useState } from 'react';
import { useLocation } from 'wouter';
import type { Dataset } from '../../src/client/client.js';
import { parseDatasetName } from '../../src/dataset/names.js';
import { putDataset } from '../live/datasets.js';
import { useClient } from '../session/client.js';
import { Button } from '../ui/button.js';
import { Dialog } from '../ui/dialog.js';
import { messageOf } from '../ui/format.js';

interface NewDatasetDialogProps {
  readonly taken: ReadonlySet<string>;
  readonly onClose: () => void;
  /** Of files that it is made of: a name for it, what there is to say of them, and what happens to them then. */
  readonly from?: {
    readonly name: string;
    readonly about: ReactNode;
    readonly verb: string;
    readonly onMade: (dataset: Dataset) => void;
  };
}

/** Asks for a name, makes the dataset, and goes there. */
export function NewDatasetDialog({ taken, onClose, from }: NewDatasetDialogProps) {
  const client = useClient();
  const queries = useQueryClient();
  const [, navigate] = useLocation();
  const [name, setName] = useState(from?.name ?? '');
  const [refusal, setRefusal] = useState('');
  const [isMaking, setMaking] = useState(false);
  const fault = name.trim() === '' ? '' : faultOf(name, taken);

  const submit = async (event: FormEvent) => {
    event.preventDefault();
    if (fault !== '') return;
    setMaking(true);
    try {
      const made = await client.create(name.trim() === '' ? undefined : parseDatasetName(name));
      putDataset(queries, made);
      from?.onMade(made);
      navigate(`/datasets/${made.id}`);
    } catch (error) {
      setRefusal(messageOf(error));
      setMaking(false);
    }
  };

  return (
    <Dialog title="New dataset" onClose={onClose}>
      <form onSubmit={submit} className="flex flex-col gap-4">
        <div className="flex flex-col gap-1.5">
          <label htmlFor="dataset-name" className="text-sm font-medium">
            Name
          </label>
          <input
            id="dataset-name"
            autoComplete="off"
            spellCheck={false}
            value={name}
            onChange={(event) => {
              setName(event.target.value);
              setRefusal('');
            }}
            aria-invalid={fault !== '' || refusal !== ''}
            aria-describedby="dataset-name-help dataset-name-fault"
            className="rounded-lg border border-line bg-page px-3 py-2"
          />
          <p id="dataset-name-help" className="text-sm text-muted">
            Letters, digits, spaces and <code>. _ -</code>; the trainer finds it in a folder of this name. Left empty, a
            name is made up.
          </p>
          <p id="dataset-name-fault" role="alert" className="text-sm text-bad empty:hidden">
            {fault || refusal}
          </p>
        </div>
        {from?.about}
        <div className="flex justify-end gap-2">
          <Button onClick={onClose}>Cancel</Button>
          <Button type="submit" kind="primary" disabled={fault !== '' || isMaking}>
            {isMaking ? 'Creating …' : (from?.verb ?? 'Create')}
          </Button>
        </div>
      </form>
    </Dialog>
  );
}

/** By the service's own rules, so that what is fine here is fine there. */
function faultOf(name: string, taken: ReadonlySet<string>): string {
  try {
    const parsed = parseDatasetName(name);
    return taken.has(parsed) ? `There is a dataset named "${parsed}" already.` : '';
  } catch (error) {
    return messageOf(error);
  }
}
