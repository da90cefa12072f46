import { useId } from 'react';
import type { Dataset } from '../../src/client/client.js';
import { useCanWrite } from '../session/account.js';

interface LinkFieldProps {
  /** `Control`, `Control 2` or `Mask`. */
  readonly label: string;
  readonly value: Dataset | undefined;
  readonly fitting: readonly Dataset[];
  /** Training datasets, whose role would change. */
  readonly others: readonly Dataset[];
  readonly onChange: (id: string | undefined) => void;
}

const NOTHING = '';

/** Chooses the dataset that is linked as a control or as the mask. */
export function LinkField({ label, value, fitting, others, onChange }: LinkFieldProps) {
  const id = useId();
  const canWrite = useCanWrite();
  const option = (dataset: Dataset) => (
    <option key={dataset.id} value={dataset.id}>
      {dataset.name}
    </option>
  );
  return (
    <div className="flex flex-wrap items-center gap-x-3 gap-y-1">
      <label htmlFor={id} className="w-24 shrink-0 text-sm font-medium">
        {label}
      </label>
      <select
        id={id}
        disabled={!canWrite}
        value={value?.id ?? NOTHING}
        onChange={({ target }) => onChange(target.value === NOTHING ? undefined : target.value)}
        className="min-h-9 touch min-w-0 grow rounded-lg border border-line bg-page px-2"
      >
        <option value={NOTHING}>None</option>
        {value !== undefined && option(value)}
        {fitting.map(option)}
        {others.length > 0 && <optgroup label="Training datasets">{others.map(option)}</optgroup>}
      </select>
    </div>
  );
}
