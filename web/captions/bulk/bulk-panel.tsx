import { useState } from 'react';
import type { Pair } from '../../live/pairs.js';
import { ONLY_READS, useCanWrite } from '../../session/account.js';
import { useIsShared } from '../../session/client.js';
import { Button } from '../../ui/button.js';
import { countOf } from '../../ui/format.js';
import { Panel } from '../../ui/panel.js';
import { ChangeForm, emptyChange, isComplete } from './change-form.js';
import { ChangePreview, usePlannedChange } from './change-preview.js';
import { JobStatus } from './job-status.js';
import { useJob } from './jobs.js';
import type { BulkChange } from './plan.js';

interface BulkPanelProps {
  readonly datasetId: string;
  /** The pairs to change. */
  readonly pairs: readonly Pair[];
  /** Describes the pairs, such as `captions with the tag “snow”`. */
  readonly scope: string;
  readonly initialKind: BulkChange['kind'];
}

/** Changes many captions at once, after a preview of each change. */
export function BulkPanel({ datasetId, pairs, scope, initialKind }: BulkPanelProps) {
  const job = useJob(datasetId);
  const canWrite = useCanWrite();
  const isShared = useIsShared();
  const [change, setChange] = useState(() => emptyChange(initialKind));
  if (isShared) return null;
  return (
    <Panel title="Change many captions">
      {job !== undefined && <JobStatus datasetId={datasetId} job={job} />}
      {!canWrite && <p className="text-sm text-muted">{ONLY_READS}</p>}
      {canWrite && (job === undefined || job.state === 'ended') && (
        <>
          <ChangeForm change={change} onChange={setChange} />
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
