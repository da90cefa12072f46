import type { ReactNode } from 'react';
import { lastPartOf } from '../../../src/dataset/import/entry-paths.js';
import type { ImportChoices } from '../../../src/dataset/import/survey.js';
import { SelectField } from '../../ui/fields.js';
import { countOf, shortListOf } from '../../ui/format.js';
import { Choices } from '../../ui/panel.js';
import type { ClashChoice, ExistingChoice, PlannedUpload } from './plan-upload.js';
import type { PreparedUpload } from './prepare-upload.js';

const MAX_NAMES = 6;

const CLASH_OPTIONS = { both: 'Keep both', newest: 'Keep the newest', neither: 'Keep neither' } as const;

const EXISTING_OPTIONS = { replace: 'Replace them', keep: 'Keep the old', both: 'Keep both' } as const;

interface NameChoicesProps {
  readonly plan: PlannedUpload;
  readonly clash: ClashChoice;
  readonly existing: ExistingChoice;
  /** The dataset that has files of the same name. */
  readonly datasetName: string;
  readonly onClash: (choice: ClashChoice) => void;
  readonly onExisting: (choice: ExistingChoice) => void;
}

/** Asks, once for all files, what happens to those whose name another file has. */
export function NameChoices({ plan, clash, existing, datasetName, onClash, onExisting }: NameChoicesProps) {
  const plans = [...plan.values()];
  const clashing = plans.flatMap((each) => each.clashing);
  const overwriting = plans.flatMap((each) => each.overwriting);
  const renamed = plans.flatMap((each) => each.renamed);
  return (
    <>
      {clashing.length > 0 && (
        <NameChoice
          title={`${countOf(clashing.length, 'name')} ${clashing.length === 1 ? 'stands' : 'stand'} more than once`}
          names={clashing}
        >
          <Choices label="What to do" options={CLASH_OPTIONS} value={clash} onChange={onClash} isLabelHidden />
        </NameChoice>
      )}
      {overwriting.length > 0 && (
        <NameChoice
          title={`${datasetName} already has ${countOf(overwriting.length, 'file')} of the same name`}
          names={overwriting}
        >
          <Choices label="What to do" options={EXISTING_OPTIONS} value={existing} onChange={onExisting} isLabelHidden />
        </NameChoice>
      )}
      {renamed.length > 0 && (
        <p role="status" className="text-sm text-muted wrap-anywhere">
          {countOf(renamed.length, 'file')} {renamed.length === 1 ? 'gets' : 'get'} another name:{' '}
          {shortListOf(
            renamed.map(({ from, to }) => `${from} → ${to}`),
            MAX_NAMES,
          )}
        </p>
      )}
    </>
  );
}

function NameChoice({
  title,
  names = [],
  children,
}: {
  title: string;
  names?: readonly string[];
  children: ReactNode;
}) {
  return (
    <section className="flex flex-col gap-2 rounded-lg border border-line px-3 py-2 text-sm">
      <h3 className="font-medium wrap-anywhere">{title}</h3>
      <p className="text-muted wrap-anywhere empty:hidden">{shortListOf(names, MAX_NAMES)}</p>
      <div className="flex flex-wrap gap-x-4 gap-y-2">{children}</div>
    </section>
  );
}

interface ImportChoicesProps {
  readonly prepared: PreparedUpload;
  readonly choices: ImportChoices;
  readonly onChange: (choices: ImportChoices) => void;
}

/** Shows where captions come from, where more than `.txt` files have them, and lets the user choose. */
export function CaptionChoices({
  prepared: { tables, captionSources, severalSources },
  choices,
  onChange,
}: ImportChoicesProps) {
  const [first] = captionSources;
  return (
    <>
      {tables.map(({ path, columns, fileColumn, captionColumn, used }) => (
        <NameChoice key={path} title={`${countOf(used, 'caption')} from ${path}`}>
          <SelectField
            label="Files"
            options={columns}
            value={fileColumn}
            onChange={(column) => onChange({ ...choices, fileColumn: column })}
          />
          <SelectField
            label="Captions"
            options={columns.filter((column) => column !== fileColumn)}
            value={captionColumn}
            onChange={(column) => onChange({ ...choices, captionColumn: column })}
          />
        </NameChoice>
      ))}
      {severalSources > 0 && first !== undefined && (
        <NameChoice title={`${countOf(severalSources, 'file')} with several captions. Take first those of`}>
          <Choices
            label="Which captions to take first"
            isLabelHidden
            options={captionSources.map(({ name }) => ({ value: name, label: lastPartOf(name) }))}
            value={first.name}
            onChange={(captions) => onChange({ ...choices, captions })}
          />
        </NameChoice>
      )}
    </>
  );
}
