import { useQueryClient } from '@tanstack/react-query';
import { type InputHTMLAttributes, useId, useState } from 'react';
import type { DatasetFile } from '../../src/client/client.js';
import { stemOf } from '../../src/dataset/media.js';
import { refetchDatasetSoon, useDataset } from '../live/dataset.js';
import { useCanWrite } from '../session/account.js';
import { useClient, useIsShared } from '../session/client.js';
import { useRequesting } from '../session/dialog-form.js';
import { Alert } from '../ui/loaded.js';

interface GroupFieldProps {
  readonly datasetId: string;
  readonly files: readonly DatasetFile[];
}

/** The group of one or several pairs: a known or a new name, or none. Its repeats are changed in the view Train. */
export function GroupField({ datasetId, files }: GroupFieldProps) {
  const id = useId();
  const client = useClient();
  const queries = useQueryClient();
  const isReadOnly = !useCanWrite();
  const { groups = [] } = useDataset(datasetId).data ?? {};
  const { failure, run } = useRequesting();
  const before = new Set(files.map(({ group = '' }) => group));
  const [name = ''] = before.size === 1 ? before : [];
  const repeats = groups.find((group) => group.name === name)?.repeats;
  const save = async (next: string) => {
    if (next === name) return;
    const namesOf = (some: readonly DatasetFile[]) => some.map(({ filename }) => filename);
    const groups = [...before].filter(Boolean);
    const removed = (group: string) => namesOf(files.filter((file) => file.group === group));
    await run(async () => {
      if (next !== '') await client.groups.save(datasetId, next, { add: namesOf(files) });
      else await Promise.all(groups.map((group) => client.groups.save(datasetId, group, { remove: removed(group) })));
    });
    refetchDatasetSoon(queries, datasetId);
  };
  if (useIsShared()) return null;
  return (
    <div className="flex w-full flex-col gap-1">
      <label htmlFor={id} className="font-medium">
        Group {repeats !== undefined && <span className="font-normal text-muted">· {repeats} ×</span>}
      </label>
      <NameInput
        // A caption that comes meanwhile leaves what is typed.
        key={JSON.stringify([...new Set(files.map(({ filename }) => stemOf(filename)))])}
        id={id}
        list={`${id}-names`}
        name={name}
        disabled={isReadOnly}
        placeholder={before.size > 1 ? 'Several groups' : 'None'}
        onLeave={(next) => void save(next)}
      />
      <datalist id={`${id}-names`}>
        {groups.map((group) => (
          <option key={group.name} value={group.name} />
        ))}
      </datalist>
      <Alert>{failure}</Alert>
    </div>
  );
}

interface NameInputProps extends Omit<InputHTMLAttributes<HTMLInputElement>, 'name'> {
  readonly name: string;
  readonly onLeave: (name: string) => void;
}

/** Shows a name that changes elsewhere, but not while another one is typed. */
function NameInput({ name, onLeave, ...props }: NameInputProps) {
  const [isFocused, setFocused] = useState(false);
  const [shown, setShown] = useState(name);
  if (!isFocused && shown !== name) setShown(name);
  return (
    <input
      {...props}
      key={shown}
      defaultValue={shown}
      autoComplete="off"
      onKeyDown={({ key, nativeEvent, currentTarget }) =>
        key === 'Enter' && !nativeEvent.isComposing && currentTarget.blur()
      }
      onFocus={() => setFocused(true)}
      onBlur={({ target }) => {
        setFocused(false);
        onLeave(target.value.trim());
      }}
      className="min-h-9 touch rounded-lg border border-line bg-page px-3"
    />
  );
}
