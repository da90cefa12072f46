import { parseDatasetName } from '../../src/dataset/names.js';
import { messageOf } from '../ui/format.js';

interface NameFieldProps {
  readonly label?: string;
  readonly name: string;
  /** Why the name is not possible; empty if it is. */
  readonly error: string;
  readonly help?: string;
  readonly onChange: (name: string) => void;
}

/** The name of a dataset. */
export function NameField({ label = 'Name', name, error, help, onChange }: NameFieldProps) {
  return (
    <div className="flex flex-col gap-1.5">
      <label htmlFor="dataset-name" className="text-sm font-medium">
        {label}
      </label>
      <input
        id="dataset-name"
        autoComplete="off"
        spellCheck={false}
        value={name}
        onChange={(event) => onChange(event.target.value)}
        aria-invalid={error !== ''}
        aria-describedby="dataset-name-help dataset-name-error"
        className="touch rounded-lg border border-line bg-page px-3 py-2"
      />
      <p id="dataset-name-help" className="text-sm text-muted">
        Letters, digits, spaces and <code>. _ -</code>. The trainer finds the dataset in a folder of this name. {help}
      </p>
      <p id="dataset-name-error" role="alert" className="text-sm text-bad empty:hidden">
        {error}
      </p>
    </div>
  );
}

/** Applies the service's own rules. Returns '' for a valid name. */
export function datasetNameErrorOf(name: string, taken: ReadonlySet<string>): string {
  try {
    const parsed = parseDatasetName(name);
    return taken.has(parsed) ? `A dataset named "${parsed}" already exists. Choose another name.` : '';
  } catch (error) {
    return messageOf(error);
  }
}
