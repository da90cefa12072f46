import { useState } from 'react';
import type { Pair } from '../../live/pairs.js';
import { ONLY_READS, useCanWrite } from '../../session/account.js';
import { useIsShared } from '../../session/client.js';
import { Button } from '../../ui/button.js';
import { countOf } from '../../ui/format.js';
import { Choices, Panel } from '../../ui/panel.js';
import { ChangePreview, usePlannedChange } from './change-preview.js';
import { JobStatus } from './job-status.js';
import { useJob } from './jobs.js';
import { type BulkChange, isComplete } from './plan.js';
import { CheckField, TextField } from '../../ui/fields.js';

interface BulkPanelProps {
  readonly datasetId: string;
  /** The pairs to change. */
  readonly pairs: readonly Pair[];
  /** Describes the pairs, such as `captions with the tag “snow”`. */
  readonly scope: string;
  readonly initialKind: Kind;
}

/** Changes many captions at once, after a preview of each change. */
export function BulkPanel({ datasetId, pairs, scope, initialKind }: BulkPanelProps) {
  const job = useJob(datasetId);
  const canWrite = useCanWrite();
  const isShared = useIsShared();
  const [change, setChange] = useState(EMPTY[initialKind]);
  if (isShared) return null;
  return (
    <Panel title="Change many captions">
      {job !== undefined && <JobStatus datasetId={datasetId} job={job} />}
      {!canWrite && <p className="text-sm text-muted">{ONLY_READS}</p>}
      {canWrite && (job === undefined || job.state === 'ended') && (
        <>
          <Choices
            label="Change"
            isLabelHidden
            options={KINDS}
            value={change.kind}
            onChange={(kind) => setChange(withKind(change, kind))}
          />
          <Fields change={change} onChange={setChange} />
          {isComplete(change) && <Preview datasetId={datasetId} pairs={pairs} scope={scope} change={change} />}
        </>
      )}
    </Panel>
  );
}

interface PreviewProps extends Omit<BulkPanelProps, 'initialKind'> {
  readonly change: BulkChange;
}

function Preview({ datasetId, pairs, scope, change }: PreviewProps) {
  const planned = usePlannedChange({ datasetId, pairs, change });
  const { changes, count, canStart, whyNot, start } = planned;
  return (
    <>
      <p role="status" className="text-sm text-muted">
        {`${countOf(changes.length, 'change')} to ${scope}.`}
      </p>
      <ChangePreview planned={planned} />
      {changes.length > 0 && (
        <div>
          <Button kind="primary" disabled={!canStart} title={whyNot} onClick={start}>
            Change {countOf(count, 'caption')}
          </Button>
        </div>
      )}
    </>
  );
}

type Kind = BulkChange['kind'];

/** Adding a tag has a dialog of its own. */
const KINDS: Partial<Record<Kind, string>> = { prepend: 'Prepend', append: 'Append', replace: 'Replace', fill: 'Fill' };

const EMPTY: Readonly<Record<Kind, BulkChange>> = {
  prepend: { kind: 'prepend', trigger: '' },
  append: { kind: 'append', trigger: '' },
  replace: { kind: 'replace', find: '', replacement: '', asTag: false, matchesCase: false, wholeWords: false },
  add: { kind: 'add', tag: '' },
  fill: { kind: 'fill', text: '', fillsBlank: false },
};

/** Switches to another kind of change. Keeps the trigger word between prepending and appending. */
function withKind(change: BulkChange, kind: Kind): BulkChange {
  const isTrigger = (kind === 'prepend' || kind === 'append') && 'trigger' in change;
  return isTrigger ? { ...change, kind } : EMPTY[kind];
}

function Fields({ change, onChange }: { change: BulkChange; onChange: (change: BulkChange) => void }) {
  switch (change.kind) {
    case 'prepend':
    case 'append':
      return (
        <TextField
          label="Trigger word"
          value={change.trigger}
          onChange={(trigger) => onChange({ ...change, trigger })}
          help={`Added ${change.kind === 'prepend' ? 'before' : 'after'} each caption, with a comma. Captions that contain it already do not change.`}
        />
      );
    case 'replace':
      return (
        <>
          <div className="grid gap-3 sm:grid-cols-2">
            <TextField label="Find" value={change.find} onChange={(find) => onChange({ ...change, find })} />
            <TextField
              label="Replace with"
              value={change.replacement}
              onChange={(replacement) => onChange({ ...change, replacement })}
            />
          </div>
          <div className="flex flex-wrap gap-x-6">
            <CheckField isChecked={change.asTag} onChange={(asTag) => onChange({ ...change, asTag })}>
              As a tag
            </CheckField>
            <CheckField isChecked={change.matchesCase} onChange={(matchesCase) => onChange({ ...change, matchesCase })}>
              Match case
            </CheckField>
            {!change.asTag && (
              <CheckField isChecked={change.wholeWords} onChange={(wholeWords) => onChange({ ...change, wholeWords })}>
                Whole words
              </CheckField>
            )}
          </div>
          {change.asTag && (
            <p className="text-sm text-muted">
              Finds tags that are exactly this. Replaced by nothing, a tag is removed with its comma.
            </p>
          )}
        </>
      );
    case 'add':
      return null;
    case 'fill':
      return (
        <>
          <TextField
            label="Text for missing captions"
            value={change.text}
            onChange={(text) => onChange({ ...change, text })}
          />
          <CheckField isChecked={change.fillsBlank} onChange={(fillsBlank) => onChange({ ...change, fillsBlank })}>
            Also fill blank captions
          </CheckField>
        </>
      );
  }
}
