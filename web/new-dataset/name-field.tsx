import { parseDatasetName } from '../../src/dataset/names.js';
import { TextField } from '../ui/fields.js';
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
    <TextField
      {...{ label, error, onChange }}
      spellCheck={false}
      value={name}
      help={
        <>
          Letters, digits, spaces and <code>. _ -</code>. The trainer finds the dataset in a folder of this name. {help}
        </>
      }
    />
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
