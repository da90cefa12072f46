import type { ReactNode } from 'react';
import { countOf, shortListOf } from '../../ui/format.js';
import { Choices } from '../../ui/panel.js';
import type { ClashChoice, ExistingChoice, PlannedUpload } from './plan-upload.js';

const MAX_NAMES = 6;

const CLASH_OPTIONS = [
  { value: 'both', label: 'Keep both' },
  { value: 'newest', label: 'Keep the newest' },
  { value: 'neither', label: 'Keep neither' },
] as const satisfies readonly { value: ClashChoice; label: string }[];

const EXISTING_OPTIONS = [
  { value: 'replace', label: 'Replace them' },
  { value: 'keep', label: 'Keep the old' },
  { value: 'both', label: 'Keep both' },
] as const satisfies readonly { value: ExistingChoice; label: string }[];

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
  const { clashing, overwriting, renamed } = plan;
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

function NameChoice({ title, names, children }: { title: string; names: readonly string[]; children: ReactNode }) {
  return (
    <section className="flex flex-col gap-2 rounded-lg border border-line px-3 py-2 text-sm">
      <h3 className="font-medium wrap-anywhere">{title}</h3>
      <p className="text-muted wrap-anywhere">{shortListOf(names, MAX_NAMES)}</p>
      <div className="flex flex-wrap">{children}</div>
    </section>
  );
}
