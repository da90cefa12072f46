import { useQueryClient } from '@tanstack/react-query';
import { useState } from 'react';
import type { NewToken } from '../../src/client/client.js';
import { commandLine } from '../../src/command-line.js';
import { useDatasets } from '../live/datasets.js';
import { useClient } from '../session/client.js';
import { FormDialog } from '../session/dialog-form.js';
import { CopyLine } from '../ui/copy.js';
import { Dialog } from '../ui/dialog.js';
import { CheckField, TextField } from '../ui/fields.js';
import { Choices } from '../ui/panel.js';
import { refetchTokens } from './token-list.js';

const DAY_SECONDS = 86_400;
const DAYS = { 0: 'never', 30: '30 days', 90: '90 days', 365: 'a year' } as const;

/** Makes a token, and shows its secret once. */
export function NewTokenDialog({ onClose }: { onClose: () => void }) {
  const [made, setMade] = useState<NewToken>();
  return made === undefined ? (
    <RightsForm onMade={setMade} onClose={onClose} />
  ) : (
    <NewSecret secret={made.secret} onClose={onClose} />
  );
}

function RightsForm({ onMade, onClose }: { onMade: (token: NewToken) => void; onClose: () => void }) {
  const client = useClient();
  const queries = useQueryClient();
  const { data: datasets = [] } = useDatasets();
  const [name, setName] = useState('');
  const [readOnly, setReadOnly] = useState(false);
  const [ids, setIds] = useState<readonly string[]>([]);
  const [days, setDays] = useState<number>(0);
  const make = async () => {
    const made = await client.tokens.make({
      name: name.trim() || undefined,
      readOnly,
      datasets: ids.length === 0 ? undefined : ids,
      expiresInSeconds: days === 0 ? undefined : days * DAY_SECONDS,
    });
    refetchTokens(queries);
    onMade(made);
  };

  return (
    <FormDialog title="New token" onClose={onClose} work={make} label="Create token" busyLabel="Creating …">
      <TextField label="Name" value={name} onChange={setName} placeholder="The machine that uses it" />
      <CheckField isChecked={readOnly} onChange={setReadOnly}>
        Only reads: lists, downloads and mounts, and changes nothing
      </CheckField>
      {datasets.length > 0 && (
        <fieldset className="flex max-h-40 flex-col gap-1 overflow-y-auto rounded-lg border border-line p-3 text-sm">
          <legend className="px-1 font-medium">Only these datasets (none chosen: all)</legend>
          {datasets.map(({ id, name }) => (
            <CheckField
              key={id}
              isChecked={ids.includes(id)}
              onChange={(isChecked) => setIds(isChecked ? [...ids, id] : ids.filter((each) => each !== id))}
            >
              {name}
            </CheckField>
          ))}
        </fieldset>
      )}
      <Choices label="Expires" options={DAYS} value={days} onChange={setDays} />
    </FormDialog>
  );
}

function NewSecret({ secret, onClose }: { secret: string; onClose: () => void }) {
  return (
    <Dialog title="The new token" onClose={onClose} staysOnClickOutside close={{ kind: 'primary', children: 'Done' }}>
      <p>Copy it now. It is not stored, and not shown again.</p>
      <CopyLine text={secret} what="the token" />
      <p>On the machine that uses it, run this, and paste the token when it asks:</p>
      <CopyLine text={commandLine(location.origin, ['login', location.origin])} what="the command that signs in" />
    </Dialog>
  );
}
